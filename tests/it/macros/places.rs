//! Where `#[traced]` may stand, and which spans come of it.

use std::future::{Future, ready};
use std::pin::Pin;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::executor::block_on;
use futures::future::BoxFuture;
use throughline::testing::Capture;
use throughline::traced;

use crate::support::{poll_once, yield_once};

struct Account {
    owner: &'static str,
    balance: i64,
}

#[traced(attrs(owner = self.owner, bank = "ours"), err, ret)]
impl Account {
    #[skip]
    fn balance(&self) -> i64 {
        self.balance
    }

    const fn zero() -> i64 {
        0
    }

    fn open(owner: &'static str) -> Self
    where
        Self: Sized,
    {
        Self {
            owner,
            balance: Self::zero(),
        }
    }

    #[traced(name = "pay in", attrs(amount = amount, bank = "theirs"), level = debug)]
    async fn pay_in(&mut self, amount: i64) -> Result<i64, String> {
        if amount < 0 {
            return Err("negative".to_owned());
        }
        self.balance += amount;
        Ok(self.balance())
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Account")
    }
}

#[test]
fn impl_blocks() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut account = Account::open("ada");
    assert_eq!(block_on(account.pay_in(5)), Ok(5));
    assert!(block_on(account.pay_in(-5)).is_err());
    insta::assert_snapshot!(capture.tree(), @r#"
    Account::open {bank="ours", return="Account"}
    pay in {bank="theirs", owner="ada", amount=5, return="5"}
    pay in {bank="theirs", owner="ada", amount=-5, error.type="alloc::string::String"} error: negative
       • exception {exception.type="alloc::string::String", exception.message="negative"}
    "#);
}

#[traced]
mod shop {
    pub(super) trait Priced {
        fn price(&self) -> u64;

        fn double_price(&self) -> u64 {
            2 * self.price()
        }
    }

    pub(super) struct Apple;

    impl Priced for Apple {
        fn price(&self) -> u64 {
            till::rounded(3)
        }
    }

    mod till {
        pub(super) fn rounded(price: u64) -> u64 {
            price
        }
    }

    #[throughline::traced(kind = server)]
    pub(super) fn sell(apple: &Apple) -> u64 {
        apple.double_price() + untraced()
    }

    #[skip]
    fn untraced() -> u64 {
        1
    }
}

#[test]
fn modules_and_traits() {
    let capture = Capture::start();
    let _here = capture.attach();
    assert_eq!(shop::sell(&shop::Apple), 7);
    insta::assert_snapshot!(capture.tree(), @r"
    sell [server]
    └─ Priced::double_price
       └─ Apple::price
          └─ rounded
    ");
}

#[async_trait]
trait Greeter {
    async fn greet(&self, name: &str) -> Result<String, String>;
}

struct Above(u8);
struct Below(u8);
struct Within(u8);

#[traced(attrs(name = name, number = self.0), err)]
#[async_trait]
impl Greeter for Above {
    async fn greet(&self, name: &str) -> Result<String, String> {
        inner(name).await
    }
}

#[async_trait]
#[traced(attrs(name = name, number = self.0), err)]
impl Greeter for Below {
    async fn greet(&self, name: &str) -> Result<String, String> {
        inner(name).await
    }
}

#[async_trait]
impl Greeter for Within {
    #[traced(name = "Within::greet", attrs(name = name, number = self.0), err)]
    async fn greet(&self, name: &str) -> Result<String, String> {
        inner(name).await
    }
}

#[traced]
async fn inner(name: &str) -> Result<String, String> {
    yield_once().await;
    if name.is_empty() {
        Err("nobody".to_owned())
    } else {
        Ok(format!("hello {name}"))
    }
}

#[test]
fn async_trait_on_either_side() {
    let greeters: [(&str, Box<dyn Greeter>); 3] = [
        ("Above", Box::new(Above(1))),
        ("Below", Box::new(Below(1))),
        ("Within", Box::new(Within(1))),
    ];
    let pictures = greeters.map(|(name, greeter)| {
        let capture = Capture::start();
        let _here = capture.attach();
        assert_eq!(block_on(greeter.greet("ada")).as_deref(), Ok("hello ada"));
        assert!(block_on(greeter.greet("")).is_err());
        capture.tree().replace(name, "Type")
    });
    insta::assert_snapshot!(pictures[0], @r#"
    Type::greet {name="ada", number=1}
    └─ inner
    Type::greet {name="", number=1, error.type="alloc::string::String"} error: nobody
    │  • exception {exception.type="alloc::string::String", exception.message="nobody"}
    └─ inner
    "#);
    assert_eq!(pictures[1], pictures[0]);
    assert_eq!(pictures[2], pictures[0]);
}

#[traced(attrs(n = n))]
fn returned(n: u32) -> impl Future<Output = u32> {
    async move {
        yield_once().await;
        n
    }
}

#[traced]
fn boxed(n: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    if n == 0 {
        return Box::pin(ready(0));
    }
    Box::pin(async move { returned(n).await })
}

#[traced(err)]
fn boxed_by_a_method(n: u32) -> BoxFuture<'static, Result<u32, String>> {
    async move {
        boxed(n)
            .map(|n| {
                if n > 1 {
                    Ok(n)
                } else {
                    Err(format!("only {n}"))
                }
            })
            .await
    }
    .boxed()
}

#[test]
fn returned_futures_are_whole_spans() {
    let capture = Capture::start();
    let _here = capture.attach();
    assert_eq!(block_on(boxed_by_a_method(2)), Ok(2));
    assert_eq!(block_on(boxed_by_a_method(0)), Err("only 0".to_owned()));
    insta::assert_snapshot!(capture.tree(), @r#"
    boxed_by_a_method
    └─ boxed
       └─ returned {n=2}
    boxed_by_a_method {error.type="alloc::string::String"} error: only 0
    │  • exception {exception.type="alloc::string::String", exception.message="only 0"}
    └─ boxed
    "#);
}

#[test]
fn a_returned_future_that_is_dropped_is_cancelled() {
    let capture = Capture::start();
    let _here = capture.attach();
    let mut future = Box::pin(returned(1));
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    insta::assert_snapshot!(capture.tree(), @r#"returned {n=1, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready"#);
}

#[traced]
async fn recursive(n: u32) -> u32 {
    if n == 0 {
        0
    } else {
        1 + Box::pin(recursive(n - 1)).await
    }
}

#[test]
fn a_thousand_levels_fit_a_stack_of_two_mebibytes() {
    let capture = Capture::start();
    let worker = {
        let capture = capture.clone();
        std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || {
                let _here = capture.attach();
                block_on(recursive(999))
            })
    };
    assert_eq!(worker.expect("a thread").join().expect("no overflow"), 999);
    assert_eq!(capture.traces().len(), 1);
    assert_eq!(capture.traces()[0].assert_complete().len(), 1000);
}
