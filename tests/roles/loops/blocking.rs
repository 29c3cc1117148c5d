//! Loops that block their thread until a message comes.

use std::panic::catch_unwind;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

fn note(number: u32) {
    drop(span!("note", number = i64::from(number)).enter());
}

/// Runs `work` in a span of the capture that is called `request`.
fn requested<R>(capture: &Capture, work: impl FnOnce() -> R) -> R {
    let _request = span!(parent: capture.context(), "request").enter();
    work()
}

fn sent(capture: &Capture, numbers: &[u32]) -> flume::Receiver<u32> {
    let (tx, rx) = flume::unbounded();
    requested(capture, || {
        numbers.iter().for_each(|n| tx.send(*n).expect("open"));
    });
    rx
}

/// Leaves its loops in every way there is.
#[actor(name = "number")]
fn sum(numbers: flume::Receiver<u32>) -> Result<u32, Refused> {
    let mut sum = 0;
    'all: loop {
        while let Ok(number) = numbers.recv() {
            match *number {
                0 => continue,
                1 => continue 'all,
                2 => break,
                3 => break 'all,
                4 => return Ok(4),
                _ => {}
            }
            note(*number);
            sum += check(number.into_inner())?;
        }
        // Whatever is done here is no message's.
        note(0);
        if sum == 99 {
            return Err(Refused(sum));
        }
        sum += 1;
    }
    Ok(sum)
}

#[test]
fn a_loop_that_blocks_can_be_left_in_every_way() {
    let capture = Capture::start();
    for (numbers, ended) in [
        (&[0, 1, 5, 2, 3][..], Ok(6)),
        (&[7, 4][..], Ok(4)),
        (&[5, 13][..], Err(Refused(13))),
        // This one is returned after the loop.
        (&[99, 2][..], Err(Refused(99))),
    ] {
        let numbers = sent(&capture, numbers);
        let _here = capture.attach();
        assert_eq!(sum(numbers), ended);
    }
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    insta::assert_snapshot!(capture.tree_with(&options.hide("exception.*")), @r#"
    request
    ├─ number
    ├─ number
    ├─ number
    │  └─ note {number=5}
    ├─ number
    └─ number
    note {number=0}
    request
    ├─ number
    │  └─ note {number=7}
    └─ number
    request
    ├─ number
    │  └─ note {number=5}
    └─ number {error.type="roles::loops::Refused"} error: 13 is refused
       │  • exception
       └─ note {number=13}
    request
    ├─ number
    │  └─ note {number=99}
    └─ number
    note {number=0}
    "#);
}

/// Whatever has a `recv` is a receiver; this one looks around when it is asked.
struct Watched<'a> {
    numbers: mpsc::UnboundedReceiver<u32>,
    capture: &'a Capture,
}

impl Watched<'_> {
    fn recv(&mut self) -> Option<Delivery<u32>> {
        assert_eq!(self.capture.stats().live(), 0, "the turn before is over");
        assert_eq!(Context::current(), Context::default());
        self.numbers.blocking_recv()
    }
}

#[actor(loop)]
fn watch(mut watched: Watched<'_>) -> u32 {
    let mut sum = 0;
    while let Some(number) = watched.recv() {
        assert_ne!(Context::current(), Context::default());
        sum += *number;
    }
    sum
}

#[test]
fn the_wait_of_a_thread_is_in_no_span() {
    let capture = Capture::start();
    let (tx, numbers) = mpsc::unbounded_channel();
    requested(&capture, || {
        tx.send(5).expect("open");
        tx.send(6).expect("open");
    });
    drop(tx);
    let capture = &capture;
    assert_eq!(watch(Watched { numbers, capture }), 11);
    insta::assert_snapshot!(tree(capture), @r#"
    request
    ├─ watch u32 {trace.relation="child", actor.message.type="u32"}
    └─ watch u32 {trace.relation="child", actor.message.type="u32"}
    "#);
}

struct Till {
    inbox: mpsc::Receiver<Change>,
    balance: i64,
}

#[actor(message = %change.kind(), attrs(balance = self.balance))]
impl Till {
    fn run(mut self) -> i64 {
        while let Some(change) = self.inbox.blocking_recv() {
            if matches!(*change, Change::Close) {
                break;
            }
            self.handle(change.into_inner());
        }
        note(0);
        self.balance
    }

    fn handle(&mut self, change: Change) {
        match change {
            Change::Deposit(amount) => self.balance += amount,
            Change::Withdraw(amount, reply) => {
                self.balance -= amount;
                reply.send(true).ok();
            }
            Change::Close => {}
        }
    }
}

#[tokio::test]
async fn an_actor_on_a_thread_of_its_own() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::named("till", 4);
    let till = std::thread::spawn(|| Till { inbox, balance: 0 }.run());
    deposit_and_withdraw(&capture, &tx).await;
    assert_eq!(till.join().expect("joins"), 4);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ Till Deposit {actor.type="Till", trace.relation="child", actor.message.type="Deposit", balance=0}
    ├─ Till Withdraw {actor.type="Till", trace.relation="child", actor.message.operation="ask", actor.message.type="Withdraw", balance=7}
    └─ Till Change {actor.type="Till", trace.relation="child", actor.message.type="Change"}
    "#);
}

/// What a `for` goes through is a receiver by the name of its type.
#[consumer(system = "memory", destination = "numbers", attrs(number = i64::from(*number)))]
fn each(numbers: &flume::Receiver<u32>) -> Result<(), Refused> {
    for number in numbers.iter() {
        if *number == 0 {
            break;
        }
        check(*number)?;
    }
    Ok(())
}

/// Nobody is known to have sent what comes out of the standard library's channel.
#[actor]
fn plain(numbers: Receiver<u32>) -> u32 {
    let mut sum = 0;
    for number in &numbers {
        note(number);
        sum += number;
        if sum > 5 {
            break;
        }
    }
    loop {
        match numbers.recv_timeout(Duration::ZERO) {
            Ok(number) => sum += number,
            Err(_) => return sum,
        }
    }
}

#[test]
fn what_a_for_goes_through() {
    let capture = Capture::start();
    let numbers = sent(&capture, &[1, 0, 13, 2]);
    assert_eq!(each(&numbers), Ok(()));
    assert_eq!(each(&numbers), Err(Refused(13)));
    drop(numbers);
    let (tx, rx) = channel();
    for number in [2, 4, 8] {
        tx.send(number).expect("open");
    }
    assert_eq!(requested(&capture, || plain(rx)), 14);
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ process numbers [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="memory", messaging.destination.name="numbers", trace.relation="child", actor.message.type="u32", number=1}
    ├─ process numbers [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="memory", messaging.destination.name="numbers", trace.relation="child", actor.message.type="u32", number=0}
    ├─ process numbers [consumer] {messaging.operation.name="process", messaging.operation.type="process", messaging.system="memory", messaging.destination.name="numbers", trace.relation="child", actor.message.type="u32", number=13, error.type="roles::loops::Refused"} error: 13 is refused
    │     • exception
    └─ process u32 {actor.message.type="u32", trace.relation="child", span.outcome="undelivered"}
    request
    ├─ plain u32 {actor.message.type="u32"}
    │  └─ note {number=2}
    ├─ plain u32 {actor.message.type="u32"}
    │  └─ note {number=4}
    └─ plain u32 {actor.message.type="u32"}
    "#);
}

#[actor]
fn fail(inbox: flume::Receiver<u32>) {
    while let Ok(number) = inbox.recv() {
        note(*number);
        assert!(*number != 1, "told to");
    }
}

#[test]
fn a_panic_on_a_thread_is_the_messages() {
    let capture = Capture::start();
    let inbox = sent(&capture, &[0, 1, 2]);
    catch_unwind(AssertUnwindSafe(|| fail(inbox))).expect_err("told to");
    assert_eq!(Context::current(), Context::default());
    insta::assert_snapshot!(tree(&capture), @r#"
request
├─ fail u32 {trace.relation="child", actor.message.type="u32"}
│  └─ note {number=0}
├─ fail u32 {trace.relation="child", actor.message.type="u32", span.outcome="panicked", error.type="panic"} error: panicked
│  └─ note {number=1}
└─ process u32 {actor.message.type="u32", trace.relation="child", span.outcome="undelivered"}
"#);
}

/// Calls a loop in each message of its own, which leaves the span as it was.
#[actor]
fn nested(jobs: flume::Receiver<flume::Receiver<u32>>) -> Result<(), Refused> {
    while let Ok(job) = jobs.recv() {
        let before = Context::current();
        sum(job.into_inner()).ok();
        assert_eq!(Context::current(), before);
        check(13)?;
    }
    Ok(())
}

#[test]
fn a_loop_within_a_message_of_another_on_one_thread() {
    let capture = Capture::start();
    let (tx, jobs) = flume::unbounded();
    let numbers = sent(&capture, &[5, 3]);
    requested(&capture, || tx.send(numbers).expect("open"));
    assert_eq!(nested(jobs), Err(Refused(13)));
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    ├─ number {trace.relation="child", actor.message.type="u32"}
    │  └─ note {number=5}
    └─ number {trace.relation="child", actor.message.type="u32"}
    request
    └─ nested Receiver {trace.relation="child", actor.message.type="Receiver", error.type="roles::loops::Refused"} error: 13 is refused
          • exception
    "#);
}
