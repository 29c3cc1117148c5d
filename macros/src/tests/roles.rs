//! `#[actor]`, `#[consumer]`, `#[producer]` and `#[projection]`.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

use super::{messages, pretty};
use crate::role::{Role, expand};

pub(super) fn actor(args: TokenStream, item: TokenStream) -> String {
    pretty(expand(Role::Actor, args, item))
}

pub(super) fn told(role: Role, args: TokenStream, item: TokenStream) -> String {
    messages(expand(role, args, item))
}

#[test]
fn handlers_of_a_block() {
    assert_snapshot!(actor(
        quote!(attrs(cart.id = self.id)),
        quote! {
            impl<T> Message<Envelope<Add>> for my::Cart<T> {
                type Reply = ();

                async fn handle(&mut self, message: Envelope<Add>, _: Context) -> Result<(), Full> {
                    self.add(message).await
                }

                fn handle_later(&mut self, _: &[Remove]) {}

                fn handler_count(&self, by: Kind) -> usize { 1 }
                fn handle_nothing(&self) {}
            }
        }
    ));
}

#[test]
fn a_function_named_after_what_it_gets() {
    assert_snapshot!(pretty(expand(
        Role::Consumer,
        quote!(system = "kafka", destination = ?topic.name, batch, level = debug),
        quote! {
            async fn store(orders: Vec<Order>, topic: &Topic) {}
        }
    )));
}

#[test]
fn an_operation_is_measured_where_it_was_made() {
    assert_snapshot!(pretty(expand(
        Role::Producer,
        quote!(system = "kafka", destination = "orders"),
        quote! {
            fn publish(order: &str) -> Result<(), Full> { send(order) }
        }
    )));
}

#[test]
fn what_does_not_fit_is_told() {
    let handler = || {
        quote!(
            async fn handle(message: Add) {}
        )
    };
    assert_snapshot!(told(
        Role::Actor,
        quote!(err, ret(Debug), system = "kafka"),
        handler()
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(message = 1, message = 2),
        handler()
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(
            async fn handle((a, b): (u8, u8)) {}
        )
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(impl Cart { fn add(&self, item: u8) {} })
    ));
    assert_snapshot!(told(
        Role::Actor,
        quote!(),
        quote!(
            struct Cart;
        )
    ));
    assert_snapshot!(told(Role::Actor, quote!(attrs(id = id()?)), handler()));
    assert_snapshot!(told(
        Role::Consumer,
        quote!(batch = true),
        quote!(
            fn take(_: Order) {}
        )
    ));
    assert_snapshot!(told(
        Role::Consumer,
        quote!(system = "kafka", destination = "a", batch),
        quote!(
            fn take((a, b): Pair) {}
        )
    ));
    assert_snapshot!(told(Role::Producer, quote!(batch), handler()));
    assert_snapshot!(told(Role::Projection, quote!(name = summary), handler()));
}
