//! `fn -> impl Future`, boxed futures, and futures of traits.
#![deny(warnings)]

use std::fmt::Display;
use std::future::{Future, ready};
use std::pin::Pin;

use futures::executor::block_on;
use futures::future::BoxFuture;
use futures::FutureExt as _;
use throughline::traced;

fn is_send<T: Send>(value: T) -> T {
    value
}

#[traced(attrs(n = n))]
fn plain(n: u32) -> impl Future<Output = u32> {
    let doubled = n * 2;
    async move { doubled + 1 }
}

#[traced(err)]
fn early(n: u32) -> impl Future<Output = Result<u32, String>> + Send {
    if n == 0 {
        return ready(Err("zero".to_owned()));
    }
    ready(Ok(n))
}

#[traced(err, ret)]
fn inferred(text: &str) -> impl Future<Output = Result<u32, Box<dyn std::error::Error + Send + Sync>>> + Send + '_ {
    async move {
        if text.is_empty() {
            return Ok(0);
        }
        let number: u32 = text.parse()?;
        Ok(number)
    }
}

#[traced]
fn borrowing<'a, T: Display + Sync>(value: &'a T) -> impl Future<Output = String> + Send + use<'a, T> {
    async move { value.to_string() }
}

#[traced(attrs(n = n))]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    let doubled = n * 2;
    Box::pin(async move { doubled })
}

#[traced]
fn boxed_early(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    if n == 0 {
        return Box::pin(ready(7));
    }
    std::boxed::Box::pin(plain(n))
}

#[traced(err)]
fn alias(n: u32) -> BoxFuture<'static, Result<u32, String>> {
    async move { Ok(n) }.boxed()
}

trait Handler {
    type Future: Future<Output = u32>;

    fn call(&self, n: u32) -> Self::Future;
    fn handle(&self, n: u32) -> impl Future<Output = u32> + Send;
    async fn run(&self) -> u32;
}

struct Service;

#[traced]
impl Handler for Service {
    type Future = Pin<Box<dyn Future<Output = u32>>>;

    fn call(&self, n: u32) -> Self::Future {
        Box::pin(async move { n })
    }

    fn handle(&self, n: u32) -> impl Future<Output = u32> + Send {
        async move { n }
    }

    async fn run(&self) -> u32 {
        self.call(1).await + self.handle(2).await
    }
}

#[traced]
async fn recursive(n: u32) -> u32 {
    if n == 0 { 0 } else { 1 + Box::pin(recursive(n - 1)).await }
}

#[traced]
fn recursive_boxed(n: u32) -> BoxFuture<'static, u32> {
    Box::pin(async move { if n == 0 { 0 } else { 1 + recursive_boxed(n - 1).await } })
}

fn main() {
    assert_eq!(block_on(is_send(plain(2))), 5);
    assert_eq!(block_on(is_send(early(0))), Err("zero".into()));
    assert_eq!(block_on(is_send(inferred("12"))).unwrap(), 12);
    assert_eq!(block_on(is_send(borrowing(&3))), "3");
    assert_eq!(block_on(boxed(2)), 4);
    assert_eq!((block_on(boxed_early(0)), block_on(boxed_early(1))), (7, 3));
    assert_eq!(block_on(alias(1)), Ok(1));
    assert_eq!(block_on(Service.run()), 3);
    assert_eq!(block_on(is_send(recursive(5))), 5);
    assert_eq!(block_on(recursive_boxed(5)), 5);
}
