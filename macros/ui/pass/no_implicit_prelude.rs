//! Expansions need nothing in scope.
#![no_implicit_prelude]
#![deny(warnings)]
#![forbid(unsafe_code)]

#[::throughline::traced(attrs(n = n, twice = %n), ret)]
fn sync(n: u32) -> u32 {
    n
}

#[::throughline::traced(attrs(n = ?n), err, ret(Debug), target = "shop", level = debug)]
async fn not_sync(n: u32) -> ::std::result::Result<u32, ::std::string::String> {
    ::std::result::Result::Ok(n)
}

struct Type;

#[::throughline::traced]
impl Type {
    fn method(&self) -> ::std::option::Option<u32> {
        ::std::option::Option::Some(1)
    }

    fn future(&self) -> impl ::std::future::Future<Output = ()> {
        async {}
    }

    #[::throughline::skip]
    fn skipped(&self) {}
}

#[::throughline::main(flavor = "current_thread")]
async fn main() {
    ::std::assert_eq!(sync(1), 1);
    ::std::assert_eq!(not_sync(1).await, ::std::result::Result::Ok(1));
    ::std::assert_eq!(Type.method(), ::std::option::Option::Some(1));
    Type.future().await;
    Type.skipped();
    let _span = ::throughline::span!("block", key = 1);
}
