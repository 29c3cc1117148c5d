//! The annotation does not count as a use.
#![deny(dead_code)]

use throughline::traced;

#[traced]
fn never_called() {}

#[traced(err)]
async fn never_awaited() -> Result<(), String> {
    Ok(())
}

struct Type;

#[traced]
impl Type {
    fn called(&self) {}

    fn never_called(&self) {}
}

#[throughline::test]
async fn not_built() {}

fn main() {
    Type.called();
}
