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

#[actor]
async fn matched<T>(inbox: &mut Inbox<T>) -> Result<usize, ()>
where
    T: AsRef<str>,
{
    let mut total = 0;
    loop {
        match inbox.recv().await {
            // An arm of another type than `()`.
            Some(word) if (*word).as_ref().is_empty() => return Err(()),
            Some(ref word) if (**word).as_ref() == "!" => break Ok(total),
            Some(word) => {
                let length = (*word).as_ref().len();
                total += length;
                length
            }
            None => return Ok(total),
        };
    }
}

#[actor]
async fn bound(mut inbox: Inbox<u8>) -> Option<u8> {
    let mut all = true;
    let mut last = 0;
    while all {
        let byte = match inbox.recv().await {
            Some(byte) => byte.into_inner(),
            None => return None,
        };
        all = byte > 0;
        last += byte;
    }
    loop {
        if let Some(byte) = inbox.recv().await {
            last += *byte;
        } else {
            return Some(last);
        }
    }
}

/// Borrows, returns what borrows, and has a name that an expansion has, too.
#[actor]
fn longest<'a>(receiver: &::std::sync::mpsc::Receiver<&'a str>, turn: &'a str) -> &'a str {
    let mut longest = turn;
    for word in receiver.iter() {
        if word.len() > longest.len() {
            longest = word;
        }
    }
    longest
}

struct Locked<T>(::std::sync::Mutex<::std::sync::mpsc::Receiver<T>>);

#[actor]
impl<T: Into<u64>> Locked<T> {
    // The lock is held while the message is handled, as without the annotation.
    fn run(self, limit: u64) -> Result<u64, ::std::sync::mpsc::RecvError> {
        let mut sum = 0;
        while let Ok(number) = self.0.lock().unwrap().recv() {
            if self.0.try_lock().is_ok() {
                return Ok(0);
            }
            sum += number.into();
            if sum > limit {
                break;
            }
        }
        loop {
            let number = self.0.lock().unwrap().recv()?;
            sum += number.into();
            if sum > 2 * limit {
                return Ok(sum);
            }
        }
    }
}

#[actor]
fn never_on_a_thread(receiver: ::std::sync::mpsc::Receiver<u8>) -> ! {
    loop {
        match receiver.recv() {
            Ok(_) => {}
            Err(_) => ::std::process::exit(0),
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
    let (tx, mut rx) = mpsc::unbounded_channel();
    for word in ["one", "three", "!", ""] {
        tx.send(word).unwrap();
    }
    assert_eq!(block_on(matched(&mut rx)), Ok(8));
    assert_eq!(block_on(matched(&mut rx)), Err(()));
    let (tx, rx) = mpsc::unbounded_channel();
    for byte in [1, 0, 5] {
        tx.send(byte).unwrap();
    }
    drop(tx);
    assert_eq!(block_on(bound(rx)), Some(6));
    let (tx, rx) = ::std::sync::mpsc::channel();
    for word in ["a", "longest", "is"] {
        tx.send(word).unwrap();
    }
    drop(tx);
    assert_eq!(longest(&rx, "mine"), "longest");
    let (tx, rx) = ::std::sync::mpsc::channel::<u32>();
    for number in [1, 7, 3, 4, 9] {
        tx.send(number).unwrap();
    }
    let locked = Locked(::std::sync::Mutex::new(rx));
    assert_eq!(locked.run(7), Ok(15));
    let _ = never_on_a_thread;
}
