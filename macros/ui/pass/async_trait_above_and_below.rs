//! `#[traced]` on either side of `#[async_trait]`, on the block and on the method.
#![deny(warnings)]

use std::fmt::Display;

use async_trait::async_trait;
use futures::executor::block_on;
use throughline::traced;

#[async_trait]
trait Orders {
    async fn place(&self, id: u64) -> Result<u64, String>;
    async fn pair(&mut self, (a, b): (u64, u64)) -> u64;
    async fn generic<T: Display + Send + Sync + 'static>(&self, value: T) -> String;

    #[traced(attrs(n = n))]
    async fn with_default(&self, n: u64) -> u64
    where
        Self: Sync,
    {
        n + 1
    }
}

struct Above;
struct Below;
struct OnMethods {
    base: u64,
}

#[traced(err)]
#[async_trait]
impl Orders for Above {
    #[traced(attrs(id = id))]
    async fn place(&self, id: u64) -> Result<u64, String> {
        if id == 0 {
            return Err("zero".into());
        }
        Ok(id)
    }

    #[traced(attrs(a = a))]
    async fn pair(&mut self, (a, b): (u64, u64)) -> u64 {
        a + b
    }

    async fn generic<T: Display + Send + Sync + 'static>(&self, value: T) -> String {
        value.to_string()
    }
}

#[async_trait]
#[traced(err)]
impl Orders for Below {
    #[traced(attrs(id = id))]
    async fn place(&self, id: u64) -> Result<u64, String> {
        if id == 0 {
            return Err("zero".into());
        }
        Ok(id)
    }

    async fn pair(&mut self, (a, b): (u64, u64)) -> u64 {
        a + b
    }

    #[traced(attrs(value = %value))]
    async fn generic<T: Display + Send + Sync + 'static>(&self, value: T) -> String {
        value.to_string()
    }
}

#[async_trait]
impl Orders for OnMethods {
    #[traced(attrs(id = id, base = self.base), err)]
    async fn place(&self, id: u64) -> Result<u64, String> {
        if id == 0 {
            return Err("zero".into());
        }
        let sum = async { self.base + id }.await;
        Ok(sum)
    }

    #[traced]
    async fn pair(&mut self, (a, b): (u64, u64)) -> u64 {
        self.base += a;
        self.base + b
    }

    #[traced(ret)]
    async fn generic<T: Display + Send + Sync + 'static>(&self, value: T) -> String {
        value.to_string()
    }
}

async fn all(mut orders: impl Orders + Sync) -> (Result<u64, String>, Result<u64, String>, u64, String, u64) {
    (
        orders.place(1).await,
        orders.place(0).await,
        orders.pair((1, 2)).await,
        orders.generic("x").await,
        orders.with_default(1).await,
    )
}

fn main() {
    for result in [block_on(all(Above)), block_on(all(Below)), block_on(all(OnMethods { base: 0 }))] {
        assert_eq!(result, (Ok(1), Err("zero".into()), 3, "x".into(), 2));
    }
}
