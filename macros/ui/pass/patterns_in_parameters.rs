//! Patterns, `mut` and underscores as parameters; the bound names are at hand in the arguments of the attribute.
#![deny(warnings)]

use std::future::Future;
use std::pin::Pin;

use futures::executor::block_on;
use throughline::traced;

struct Point {
    x: i32,
    y: i32,
}

struct Wrapper(String);

#[traced(attrs(point.x = x, point.y = y, first = a))]
fn sync((a, b): (i32, i32), Point { x, y }: Point, [c, .., d]: [i32; 3], _: u8, _unused: String) -> i32 {
    a + b + x + y + c + d
}

#[traced(attrs(name = %name, sum = a + b))]
async fn not_sync((a, b): (i32, i32), Wrapper(name): Wrapper, mut list: Vec<i32>, _: u8, _unused: String) -> String {
    list.push(a + b);
    format!("{name}{list:?}")
}

#[traced]
async fn by_reference(&Point { x, .. }: &Point, &mut ref mut y: &mut i32) -> i32 {
    *y += 1;
    x + *y
}

#[traced]
async fn absent(a: String, #[cfg(any())] b: String, #[cfg(all())] c: String) -> String {
    a + &c
}

macro_rules! generated {
    ($(#[$attr:meta])* $vis:vis fn $name:ident($arg:ident: $ty:ty) -> $ret:ty $body:block) => {
        $(#[$attr])*
        #[traced(attrs(argument = ?$arg))]
        $vis fn $name($arg: $ty) -> $ret $body

        mod $name {
            use super::*;

            #[traced(ret(Debug))]
            pub async fn not_sync(first: $ty, $arg: $ty) -> $ty {
                let _ = first;
                $arg
            }
        }
    };
}

generated!(
    /// Made by a macro.
    pub(crate) fn by_macro(n: u32) -> impl Future<Output = u32> {
        async move { n }
    }
);

generated!(
    fn boxed_by_macro(n: String) -> Pin<Box<dyn Future<Output = String>>> {
        Box::pin(async move { n })
    }
);

fn main() {
    assert_eq!(block_on(absent("a".into(), "c".into())), "ac");
    assert_eq!(block_on(by_macro(1)) + block_on(by_macro::not_sync(1, 2)), 3);
    assert_eq!(block_on(boxed_by_macro("a".into())), "a");
    assert_eq!(block_on(boxed_by_macro::not_sync("a".into(), "b".into())), "b");
    assert_eq!(sync((1, 2), Point { x: 3, y: 4 }, [5, 0, 6], 0, String::new()), 21);
    assert_eq!(block_on(not_sync((1, 2), Wrapper("n".into()), vec![0], 0, String::new())), "n[0, 3]");
    assert_eq!(block_on(by_reference(&Point { x: 1, y: 2 }, &mut 3)), 5);
}
