//! Patterns, `mut` and underscores as parameters; the bound names are at hand in the arguments of the attribute.
#![deny(warnings)]

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

fn main() {
    assert_eq!(sync((1, 2), Point { x: 3, y: 4 }, [5, 0, 6], 0, String::new()), 21);
    assert_eq!(block_on(not_sync((1, 2), Wrapper("n".into()), vec![0], 0, String::new())), "n[0, 3]");
    assert_eq!(block_on(by_reference(&Point { x: 1, y: 2 }, &mut 3)), 5);
}
