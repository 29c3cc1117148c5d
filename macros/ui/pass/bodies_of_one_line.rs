//! The braces of a short body are not superfluous.
#![deny(warnings)]

use std::future::{Future, ready};
use std::pin::Pin;

use throughline::traced;

#[traced]
fn sync(n: u32) -> u32 { n }

#[traced(ret)]
fn recorded(n: u32) -> u32 { n }

#[traced]
async fn not_sync(n: u32) -> u32 { ready(n).await }

#[traced]
async fn nothing() { ready(()).await }

#[traced]
async fn forever() -> ! { std::future::pending().await }

#[traced]
fn future(n: u32) -> impl Future<Output = u32> { ready(n) }

#[traced]
fn early(n: u32) -> impl Future<Output = u32> { return ready(n) }

#[traced]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32>>> { Box::pin(async move { n }) }

#[traced]
fn empty() {}

#[throughline::test]
async fn test() { ready(()).await }

#[throughline::main(flavor = "current_thread")]
async fn main() { run().await }

async fn run() {
    assert_eq!(sync(1) + recorded(1), 2);
    assert_eq!(not_sync(1).await + future(1).await + early(1).await + boxed(1).await, 4);
    nothing().await;
    empty();
    let _ = forever;
}
