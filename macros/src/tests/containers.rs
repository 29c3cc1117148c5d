//! `#[traced]` on impl blocks, traits and modules.

use insta::assert_snapshot;
use quote::quote;

use super::traced;

#[test]
fn impl_block() {
    assert_snapshot!(traced(
        quote!(level = debug, err, attrs(id = self.id, shared = 1)),
        quote! {
            #[allow(dead_code)]
            impl<T: 'static, const N: usize> shop::Orders<T, N>
            where
                T: Clone,
            {
                #![allow(unused)]
                const LIMIT: usize = 10;
                helper!();

                pub fn new(id: u64) -> Self {
                    Self { id }
                }

                #[traced(name = "place", level = info, attrs(shared = 2, items = items.len()))]
                pub async fn place_order(&self, items: Vec<T>) -> Result<u64, Error> {
                    Ok(0)
                }

                #[throughline::skip]
                #[must_use]
                pub fn id(&self) -> u64 {
                    self.id
                }

                const fn limit() -> usize {
                    Self::LIMIT
                }
            }
        }
    ));
}

#[test]
fn impl_of_a_trait() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            unsafe impl<'a> Handler<Message> for &'a mut dyn Actor {
                type Reply = ();

                fn handle(&mut self, message: Message) -> Self::Reply {}
            }
        }
    ));
}

#[test]
fn trait_definition() {
    assert_snapshot!(traced(
        quote!(kind = server),
        quote! {
            pub trait Repository<T>: Send + 'static
            where
                T: Clone,
            {
                type Error;

                fn load(&self, id: u64) -> Option<T>;

                fn exists(&self, id: u64) -> bool {
                    self.load(id).is_some()
                }
            }
        }
    ));
}

#[test]
fn module() {
    assert_snapshot!(traced(
        quote!(target = "shop"),
        quote! {
            pub mod orders {
                use std::fmt;

                #[derive(Debug)]
                pub struct Order;

                pub fn place() {}

                impl Order {
                    #[traced(target = "elsewhere")]
                    fn check(&self) {}
                }

                mod inner {
                    fn deep() {}
                }

                #[skip]
                mod left_out {
                    #[traced]
                    fn by_itself() {}
                }

                #[rustfmt::skip]
                fn other_attributes_stay() {}
            }
        }
    ));
}
