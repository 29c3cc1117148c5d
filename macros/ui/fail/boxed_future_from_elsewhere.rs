use std::future::Future;
use std::pin::Pin;

use throughline::traced;

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

fn elsewhere() -> Boxed {
    Box::pin(async {})
}

#[traced]
fn delegated() -> Pin<Box<dyn Future<Output = ()> + Send>> {
    elsewhere()
}

#[traced]
fn in_branches(first: bool) -> Pin<Box<dyn Future<Output = ()> + Send + 'static>> {
    if first { Box::pin(async {}) } else { elsewhere() }
}

fn main() {
    let _ = delegated();
    let _ = in_branches(true);
}
