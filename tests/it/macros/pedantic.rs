//! Expansions are quiet under every lint that the code around them asks for; `cargo clippy` is what tests it.
#![deny(
    warnings,
    unused,
    unreachable_code,
    clippy::all,
    clippy::pedantic,
    clippy::nursery
)]
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;

use futures::executor::block_on;
use throughline::{span, traced};

#[traced(attrs(n = n, text = %text), err, ret)]
fn sync(n: u32, text: &str) -> Result<u32, String> {
    const LIMIT: u32 = 10;
    if n > LIMIT {
        return Err(text.to_owned());
    }
    Ok(n)
}

#[traced(attrs(n = n))]
fn guarded(n: u32) -> Option<u32> {
    use std::cmp::min;

    const fn helper(n: u32) -> u32 {
        n
    }

    let n = n.checked_sub(1)?;
    Some(min(helper(n), 5))
}

#[traced(err, ret(Display), attrs(first = ?list.first()))]
async fn not_sync(
    list: Vec<u32>,
    mut other: Vec<u32>,
    _unused: String,
) -> Result<u32, std::num::ParseIntError> {
    const LIMIT: &str = "10";
    other.extend(list);
    let limit: u32 = LIMIT.parse()?;
    std::future::ready(()).await;
    Ok(other.into_iter().filter(|n| *n < limit).sum())
}

#[traced]
async fn nothing() {
    std::future::ready(()).await;
}

#[traced]
async fn forever() -> ! {
    loop {
        std::future::ready(()).await;
    }
}

#[traced(ret)]
fn future(n: u32) -> impl Future<Output = u32> + Send {
    if n == 0 {
        return std::future::ready(0);
    }
    std::future::ready(n)
}

#[traced(err)]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = Result<u32, String>> + Send>> {
    let doubled = 2 * n;
    Box::pin(async move { Ok(doubled) })
}

#[derive(Debug, Default)]
struct Counter {
    count: u32,
}

#[traced(level = debug, attrs(count = self.count))]
impl Counter {
    fn increment(&mut self) -> &mut u32 {
        self.count += 1;
        &mut self.count
    }

    #[traced(err(Debug), parent = throughline::Context::current(), links = None::<throughline::core::SpanContext>)]
    async fn consume(self, by: u32) -> Result<u32, ()> {
        std::future::ready(()).await;
        Ok(self.count + by)
    }
}

#[throughline::test]
async fn expansions_are_quiet() -> Result<(), String> {
    assert_eq!(sync(1, "x")?, 1);
    assert_eq!(guarded(1), Some(0));
    assert_eq!(not_sync(vec![1, 11], vec![], String::new()).await, Ok(1));
    nothing().await;
    assert_eq!(future(2).await, 2);
    assert_eq!(boxed(2).await, Ok(4));
    let mut counter = Counter::default();
    assert_eq!(*counter.increment(), 1);
    assert_eq!(counter.consume(1).await, Ok(2));
    let guard = span!(level: debug, "block", n = 1, text = %"x").enter();
    drop(guard);
    drop(forever());
    Ok(())
}

#[throughline::test]
fn expansions_without_a_runtime_are_quiet() {
    block_on(nothing());
}
