//! `#[traced]` on one function.

use insta::assert_snapshot;
use quote::quote;

use super::traced;

#[test]
fn sync_function() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            /// Documentation stays.
            #[inline]
            pub(crate) unsafe extern "C" fn total<'a, T: Price, const N: usize>(items: &'a [T; N]) -> u64
            where
                T: 'a,
            {
                #![allow(unused)]
                items.iter().map(|item| item.price()).sum()
            }
        }
    ));
}

#[test]
fn sync_function_with_all_arguments() {
    assert_snapshot!(traced(
        quote!(
            name = "sum",
            kind = client,
            level = debug,
            target = "shop",
            attrs(items.count = items.len(), first = %items[0], last = ?a + b, "a key" = x as u64),
            err(Debug),
            ret(Display),
            parent = context,
            links = [one, other],
            crate = crate::renamed
        ),
        quote! {
            fn total(items: &[u64]) -> Result<u64, Error> {
                Ok(items.iter().sum())
            }
        }
    ));
}

#[test]
fn async_function() {
    assert_snapshot!(traced(
        quote!(attrs(order.id = %id), err),
        quote! {
            async fn place_order(id: OrderId) -> Result<Receipt, OrderError> {
                charge(id).await?;
                Ok(Receipt)
            }
        }
    ));
}

#[test]
fn async_function_without_arguments() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            async fn tick() {
                work().await;
            }
        }
    ));
}

#[test]
fn async_function_with_error_and_value() {
    assert_snapshot!(traced(
        quote!(err, ret(Display)),
        quote! {
            async fn parse(text: &str) -> io::Result<u64> {
                text.parse()
            }
        }
    ));
}

#[test]
fn async_function_keeps_the_drop_order() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            async fn serve(mut first: Guard, (a, _b): (Guard, Guard), Point { x, y: named }: Point, by_ref: &str, unused: Guard) {
                first.use_it();
                println!("{a:?} {x} {named}");
            }
        }
    ));
}

#[test]
fn async_function_that_returns_an_opaque_type() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            async fn lines(path: &Path) -> Result<(impl Iterator<Item = String>, [u8; 4]), Error> {
                read(path).await
            }
        }
    ));
}

#[test]
fn async_function_that_never_returns() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            async fn forever() -> ! {
                loop {}
            }
        }
    ));
}

#[test]
fn function_that_returns_a_future() {
    assert_snapshot!(traced(
        quote!(attrs(n = n), ret),
        quote! {
            fn later(n: u64) -> impl Future<Output = u64> + Send + use<> {
                let doubled = 2 * n;
                async move { doubled }
            }
        }
    ));
}

#[test]
fn function_that_returns_a_future_early() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn later(n: u64) -> impl Future<Output = u64> {
                if n == 0 {
                    return ready(0);
                }
                ready(n)
            }
        }
    ));
}

#[test]
fn boxed_future_of_async_trait() {
    // What async-trait 0.1.92 makes of `async fn place(&self, id: u64) -> Result<u64, E> { Ok(id) }`.
    assert_snapshot!(traced(
        quote!(attrs(id = id), err),
        quote! {
            #[allow(clippy::type_complexity)]
            fn place<'life0, 'async_trait>(
                &'life0 self,
                id: u64,
            ) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<u64, E>> + ::core::marker::Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(async move {
                    if let ::core::option::Option::Some(__ret) = ::core::option::Option::None::<Result<u64, E>> {
                        #[allow(unreachable_code)]
                        return __ret;
                    }
                    let __self = self;
                    let id = id;
                    let __ret: Result<u64, E> = { Ok(id) };
                    #[allow(unreachable_code)]
                    __ret
                })
            }
        }
    ));
}

#[test]
fn boxed_future_after_statements() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn call(&self, request: Request) -> Self::Future {
                let inner = self.inner.clone();
                if request.is_empty() {
                    return Box::pin(ready(None));
                }
                ::std::boxed::Box::pin(async move { inner.call(request).await })
            }
        }
    ));
}

#[test]
fn boxed_future_of_another_function() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn call(&self, request: Request) -> BoxFuture<'static, Response> {
                Box::pin(self.inner.call(request))
            }
        }
    ));
}

#[test]
fn boxed_by_a_method() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn call(&self) -> BoxFuture<'static, ()> {
                let inner = self.inner.clone();
                async move { inner.call().await }.boxed()
            }
        }
    ));
}

#[test]
fn other_boxes_are_sync() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn stream(&self) -> Pin<Box<dyn Stream<Item = u8>>> {
                Box::pin(self.inner.stream())
            }
        }
    ));
}

#[test]
fn function_that_returns_a_reference() {
    assert_snapshot!(traced(
        quote!(ret),
        quote! {
            fn longest<'a>(&'a self, other: &'a str) -> &'a str {
                return other;
            }
        }
    ));
}

#[test]
fn raw_identifiers_lose_their_mark() {
    assert_snapshot!(traced(
        quote!(attrs(r#type = r#type, self.r#ref = 1)),
        quote! {
            fn r#match(r#type: u8) {}
        }
    ));
}

#[test]
fn spawn_calls_carry_the_context() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            async fn fan_out() {
                let task = tokio::spawn(one(a, b));
                return ::tokio::task::spawn(async move { tokio::task::spawn_local(two()) },).await;
                tokio::task::spawn_blocking(|| std::thread::spawn(work));
                tokio::select! { _ = tokio::spawn(three()) => {} }
            }
        }
    ));
}

#[test]
fn other_calls_are_left_alone() {
    assert_snapshot!(traced(
        quote!(),
        quote! {
            fn others() {
                spawn(one());
                my::tokio::spawn(one());
                <T>::tokio::spawn(one());
                set.spawn(one());
                tokio::spawn();
                tokio::spawn;
                std::thread::Builder::new().spawn(one);
                stringify!(tokio::spawn(one()));
                macro_rules! mine { () => { tokio::spawn(one()) } }
            }
        }
    ));
}

#[test]
fn spawn_calls_are_left_on_request() {
    assert_snapshot!(traced(
        quote!(spawns = leave),
        quote! {
            impl Pool {
                fn start() {
                    tokio::spawn(one());
                }
                #[traced(spawns = carry)]
                fn order() {
                    tokio::spawn(one());
                }
            }
        }
    ));
}
