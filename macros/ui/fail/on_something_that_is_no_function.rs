use throughline::traced;

#[traced]
struct Data;

#[traced]
const LIMIT: u32 = 1;

#[traced]
macro_rules! nothing {
    () => {};
}

#[traced]
use std::fmt;

#[traced]
unsafe extern "C" {
    safe fn abs(n: i32) -> i32;
}

struct Type;

impl Type {
    #[traced]
    const LIMIT: u32 = 1;
}

fn main() {
    nothing!();
    let _: (Data, fmt::Result) = (Data, Ok(()));
    abs((LIMIT + Type::LIMIT) as i32);
}
