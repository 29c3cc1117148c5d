//! The user's modules, types, locals and items may have any name.
#![deny(warnings)]

use futures::executor::block_on;
use ::throughline::traced;

mod core {
    pub mod option {
        pub enum Option {}
    }
}

mod std {
    pub fn nothing() {}
}

mod throughline {
    pub mod __private {}
}

#[derive(Debug, PartialEq)]
struct Result(u32);

#[derive(Debug, PartialEq)]
enum Option {
    Some(u32),
}

#[allow(dead_code)]
struct Span;

/// Methods of these names on everything.
#[allow(dead_code)]
trait Everywhere: Sized {
    fn attribute(self, _: &u8, _: u8) {}
    fn is_recording(self) -> u8 {
        0
    }
    fn enter(self) {}
    fn exit(self) {}
    fn end(self) {}
    fn inspect(self) {}
    fn from(self) {}
    fn as_ref(self) {}
    fn ok(self) {}
}

impl<T> Everywhere for T {}

#[traced(attrs(n = n), err, ret)]
fn with_such_methods(n: u32) -> ::core::result::Result<u32, ::std::string::String> {
    ::core::result::Result::Ok(n)
}

#[traced(attrs(n = n), err, ret)]
async fn with_such_methods_async(n: u32) -> ::core::result::Result<u32, ::std::string::String> {
    ::core::result::Result::Ok(n)
}

#[traced(attrs(span = span, guard = guard, result = result))]
fn sync(span: u32, guard: u32, result: u32) -> Result {
    let __span = span;
    let __guard = guard;
    let __result = result;
    Result(__span + __guard + __result)
}

#[traced(attrs(n = __span), ret)]
fn recorded(__span: u32) -> Option {
    let __ret = __span;
    Option::Some(__ret)
}

#[traced(attrs(n = span))]
async fn not_sync(span: u32) -> Result {
    const __CALLSITE: u32 = 1;
    static CALLSITE: u32 = 2;
    let __out = span + __CALLSITE + CALLSITE;
    Result(__out)
}

#[traced]
fn r#type(r#match: u32) -> u32 {
    use self::std::nothing;
    nothing();
    r#match
}

#[traced]
fn nested(n: u32) -> u32 {
    #[traced]
    fn inner(n: u32) -> u32 {
        n + 1
    }
    let closure = |span: u32| {
        let _inner = ::throughline::span!("inner", span = span);
        span
    };
    inner(closure(n))
}

fn main() {
    assert_eq!(sync(1, 2, 3), Result(6));
    assert_eq!(recorded(1), Option::Some(1));
    assert_eq!(block_on(not_sync(1)), Result(4));
    assert_eq!(r#type(1), 1);
    assert_eq!(nested(1), 2);
    assert_eq!(with_such_methods(1), block_on(with_such_methods_async(1)));
    let _ = |never: core::option::Option| match never {};
}
