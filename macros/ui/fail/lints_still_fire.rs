//! The annotation hides none of the compiler's lints about the user's code.
#![deny(warnings)]

use throughline::traced;

#[traced]
pub async fn unused_variables(unused: u32, used: u32) -> u32 {
    let local = 1;
    used
}

#[traced]
pub fn unused_mut(mut argument: Vec<u32>) -> usize {
    argument.len()
}

#[traced(err)]
pub fn inspected(unused: u32) -> Result<u32, String> {
    return Ok(1);
    Ok(2)
}

#[traced]
#[must_use]
pub fn must_use() -> u32 {
    1
}

#[traced]
#[deprecated]
pub async fn old() {}

fn main() {
    must_use();
    let _ = old();
    let _ = unused_variables(1, 2);
    unused_mut(vec![]);
    let _ = inspected(1);
}
