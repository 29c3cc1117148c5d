//! `#[throughline::main]` and `#[throughline::test]`.

use insta::assert_snapshot;
use proc_macro2::TokenStream;
use quote::quote;

fn main(args: TokenStream, item: TokenStream) -> String {
    super::pretty(crate::entry::main(args, item))
}

fn test(args: TokenStream, item: TokenStream) -> String {
    super::pretty(crate::entry::test(args, item))
}

#[test]
fn async_main() {
    assert_snapshot!(main(
        quote!(),
        quote! {
            #[allow(unused)]
            async fn main() -> Result<(), Error> {
                #![allow(clippy::all)]
                serve().await?;
                Ok(())
            }
        }
    ));
}

#[test]
fn main_with_arguments() {
    assert_snapshot!(main(
        quote!(flavor = "multi_thread", worker_threads = 4, crate = renamed),
        quote! {
            async fn main() {}
        }
    ));
}

#[test]
fn sync_main() {
    assert_snapshot!(main(
        quote!(),
        quote! {
            fn main() -> ExitCode {
                ExitCode::SUCCESS
            }
        }
    ));
}

#[test]
fn async_test() {
    assert_snapshot!(test(
        quote!(),
        quote! {
            #[should_panic]
            async fn works() {
                panic!()
            }
        }
    ));
}

#[test]
fn async_test_with_capture() {
    assert_snapshot!(test(
        quote!(flavor = "multi_thread"),
        quote! {
            async fn works(mut capture: Capture) -> Result<(), Error> {
                Ok(())
            }
        }
    ));
}

#[test]
fn sync_test_with_capture() {
    assert_snapshot!(test(
        quote!(),
        quote! {
            fn works(capture: Capture) {}
        }
    ));
}
