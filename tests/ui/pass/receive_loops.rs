//! Loops that receive messages, where names and lints could get in their way.
#![deny(warnings, unreachable_code, clippy::pedantic)]
#![forbid(unsafe_code)]

use futures::executor::block_on;
use throughline::actor;
use throughline::channel::mpsc;

mod core {}
mod std {}

type Inbox<T> = mpsc::UnboundedReceiver<T>;

struct Pair<A, B> {
    first: Inbox<A>,
    second: Inbox<B>,
}

#[actor]
impl<A: Copy + Into<i64>, B> Pair<A, B>
where
    B: AsRef<str>,
{
    async fn run(self) -> Option<i64> {
        let Self {
            mut first,
            mut second,
        } = self;
        let mut total = 0;
        while let Some(number) = first.recv().await {
            total += (*number).into();
        }
        while let Some(word) = second.recv().await {
            total += i64::try_from((*word).as_ref().len()).ok()?;
            if total > 100 {
                return None;
            }
        }
        Some(total)
    }
}

#[actor]
async fn first_of(inbox: &mut Inbox<i64>) -> i64 {
    // Each way through the body leaves it.
    while let Some(number) = inbox.recv().await {
        if *number == 1 {
            return 1;
        }
        break;
    }
    0
}

#[actor(message = "Any")]
async fn borrowed<'a, T: PartialEq>(mut receiver: Inbox<&'a T>, wanted: &'a T) -> usize {
    let mut found = 0;
    let span = ();
    while let Some(item) = receiver.recv().await
        && *item != wanted
    {
        let () = span;
        found += 1;
    }
    found
}

#[actor]
async fn never(mut receiver: Inbox<u8>) -> ! {
    loop {
        while let Some(byte) = receiver.recv().await {
            drop(byte);
        }
    }
}

fn spawnable<F: Future + Send + 'static>(_: &F) {}

fn main() {
    let (numbers, first) = mpsc::unbounded_channel::<i32>();
    let (words, second) = mpsc::unbounded_channel::<&str>();
    numbers.send(3).unwrap();
    words.send("four").unwrap();
    drop((numbers, words));
    let pair = Pair { first, second }.run();
    spawnable(&pair);
    assert_eq!(block_on(pair), Some(7));
    let (tx, mut rx) = mpsc::unbounded_channel();
    tx.send(1).unwrap();
    assert_eq!(block_on(first_of(&mut rx)), 1);
    let [wanted, other] = ["here", "there"].map(str::to_owned);
    let (tx, rx) = mpsc::unbounded_channel();
    tx.send(&other).unwrap();
    tx.send(&wanted).unwrap();
    assert_eq!(block_on(borrowed(rx, &wanted)), 1);
    let _ = never;
}
