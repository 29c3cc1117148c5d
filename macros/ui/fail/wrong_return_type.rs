//! What is wrong in the body is shown in the body.

use throughline::traced;

#[traced]
fn sync(n: u32) -> String {
    n
}

#[traced]
async fn not_sync(n: u32) -> Result<u32, String> {
    if n == 0 {
        return Err(1);
    }
    n
}

#[traced(err)]
fn inspected(n: u32) -> Result<u32, String> {
    Ok(n.to_string())
}

#[traced]
async fn unit() {
    1
}

fn main() {
    let _ = (sync(1), not_sync(1), inspected(1), unit());
}
