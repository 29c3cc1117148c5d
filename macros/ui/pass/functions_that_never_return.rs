//! `-> !`, and bodies that diverge.
#![deny(warnings, unreachable_code)]

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};

use futures::executor::block_on;
use throughline::traced;

#[traced]
fn sync() -> ! {
    panic!("sync")
}

#[traced]
async fn not_sync() -> ! {
    panic!("async")
}

#[traced]
async fn forever() -> ! {
    loop {
        std::future::pending::<()>().await;
    }
}

#[traced]
async fn uninhabited() -> Infallible {
    panic!("uninhabited")
}

#[traced(ret)]
fn unfinished() -> u32 {
    panic!("unfinished")
}

#[traced(attrs(n = n))]
async fn unfinished_async(n: u32) -> Result<u32, String> {
    panic!("unfinished {n}")
}

#[traced]
async fn nothing() {
    panic!("nothing")
}

fn main() {
    set_hook(Box::new(|_| {}));
    assert!(catch_unwind(|| sync()).is_err());
    assert!(catch_unwind(|| unfinished()).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(unfinished_async(1)))).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| block_on(nothing()))).is_err());
    let _ = (not_sync, forever, uninhabited);
}
