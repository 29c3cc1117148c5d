//! `?` and `return` leave the traced function, whatever it returns.
#![deny(warnings)]

use std::convert::Infallible;
use std::error::Error;
use std::num::ParseIntError;
use std::ops::ControlFlow;

use futures::executor::block_on;
use throughline::traced;

#[traced]
fn option(text: &str) -> Option<char> {
    let first = text.chars().next()?;
    if first == 'x' {
        return None;
    }
    Some(first)
}

#[traced(ret)]
fn recorded_option(text: &str) -> Option<char> {
    let first = text.chars().next()?;
    Some(first)
}

#[traced]
async fn async_option(text: &str) -> Option<char> {
    Some(text.chars().next()?)
}

#[traced(err)]
async fn converted(text: &str) -> Result<i32, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        return Err("empty".into());
    }
    let number: i32 = text.parse()?;
    Ok(number)
}

#[traced(err, ret)]
fn both(text: &str) -> Result<i32, ParseIntError> {
    let number = text.parse()?;
    Ok(number)
}

#[traced(err(Debug), ret(Display))]
async fn both_async(text: &str) -> Result<i32, ParseIntError> {
    Ok(text.parse()?)
}

#[traced]
async fn coerced(short: bool) -> Box<dyn Fn() -> i32> {
    if short {
        return Box::new(|| 1);
    }
    Box::new(|| 2)
}

#[traced(ret(Display))]
fn looped() -> i32 {
    loop {
        if true {
            break 3;
        }
    }
}

#[traced]
async fn flow(stop: bool) -> ControlFlow<i32> {
    if stop {
        ControlFlow::Break(1)?;
    }
    ControlFlow::Continue(())
}

#[traced(err(Debug))]
async fn infallible() -> Result<u8, Infallible> {
    Ok(1)
}

#[traced(ret)]
async fn erased() -> Result<impl Iterator<Item = u8> + std::fmt::Debug, ()> {
    if false {
        return Err(());
    }
    Ok([1, 2].into_iter())
}

#[traced(ret)]
fn erased_sync() -> Option<impl Iterator<Item = u8> + std::fmt::Debug> {
    Some([1, 2].into_iter())
}

#[traced]
async fn panics() {
    panic!("as intended")
}

#[traced]
async fn default_value() -> Vec<u8> {
    Default::default()
}

fn main() {
    assert_eq!((option("a"), option("x"), option("")), (Some('a'), None, None));
    assert_eq!(recorded_option(""), None);
    assert_eq!(block_on(async_option("a")), Some('a'));
    assert_eq!(block_on(converted("5")).unwrap(), 5);
    assert_eq!(block_on(converted("")).unwrap_err().to_string(), "empty");
    assert_eq!(both("5"), Ok(5));
    assert!(block_on(both_async("x")).is_err());
    assert_eq!((block_on(coerced(true))(), block_on(coerced(false))()), (1, 2));
    assert_eq!(looped(), 3);
    assert_eq!(block_on(flow(true)), ControlFlow::Break(1));
    assert_eq!(block_on(flow(false)), ControlFlow::Continue(()));
    assert_eq!(block_on(infallible()), Ok(1));
    assert_eq!(block_on(erased()).unwrap().count(), 2);
    assert_eq!(erased_sync().unwrap().count(), 2);
    assert!(block_on(default_value()).is_empty());
    let _ = panics;
}
