//! Traces of kameo's actors stay bounded, and what stops an actor is no loss that nobody sees.

use std::collections::BTreeMap;

use super::*;

use crate::in_request;

/// How many spans each trace has, ascending; none was dropped, none is open.
fn sizes(capture: &Capture) -> Vec<usize> {
    let stats = capture.stats();
    assert_eq!((stats.live(), stats.dropped_full), (0, 0));
    let mut sizes: Vec<_> = capture.traces().iter().map(|trace| trace.len()).collect();
    sizes.sort_unstable();
    sizes
}

/// Ticks by itself until it is done, with the policy that actors have.
#[derive(Actor)]
struct Metronome(u32);

impl Message<Tick> for Metronome {
    type Reply = ();

    async fn handle(&mut self, _: Tick, ctx: &mut Context<Self, ()>) {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                let tick = ctx.actor_ref().timer_traced(Tick);
                tick.try_send().expect("room");
            }
            None => ctx.stop(),
        }
    }
}

traced_actor!(Metronome);

#[tokio::test]
async fn a_hundred_thousand_ticks_of_a_timer_start_no_trace() {
    let capture = Capture::start();
    let metronome = Metronome::spawn(Metronome(100_000));
    let start = async { metronome.tell_traced(Tick).await.expect("room") };
    in_request(&capture, start).await;
    metronome.wait_for_shutdown().await;
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    └─ Metronome Tick {actor.message.operation="tell"}
    "#);
}

#[tokio::test]
async fn ticks_that_may_start_traces_start_short_ones() {
    let capture = Capture::start();
    let (done, rang) = oneshot::channel();
    let clock = Clock::spawn(Clock {
        left: 10_000,
        done: Some(done),
    });
    let start = async { clock.tell_traced(Tick).await.expect("room") };
    in_request(&capture, start).await;
    rang.await.expect_err("dropped");
    stop(&clock).await;
    let sizes = sizes(&capture);
    assert_eq!(sizes.len(), 10_001, "one for each tick, and the request's");
    assert_eq!(sizes[9_999..], [1, 2], "the request, and what it told");
}

/// Splits what it gets in two, as often as it says.
#[derive(Actor)]
struct Splitter(Option<oneshot::Sender<()>>, usize);

struct Split(u32);

impl Message<Split> for Splitter {
    type Reply = ();

    async fn handle(&mut self, Split(depth): Split, ctx: &mut Context<Self, ()>) {
        if let Some(left) = depth.checked_sub(1) {
            for _ in 0..2 {
                let split = ctx.actor_ref().tell_traced(Split(left));
                split.try_send().expect("room");
            }
        }
        self.1 -= 1;
        if self.1 == 0 {
            drop(self.0.take());
        }
    }
}

traced_actor!(Splitter);

#[tokio::test]
async fn a_fan_out_of_depth_twelve_is_in_traces_of_the_size_that_is_allowed() {
    let capture = Capture::start();
    let (done, split) = oneshot::channel();
    let messages = (1 << 13) - 1;
    let splitter =
        Splitter::spawn_with_mailbox(Splitter(Some(done), messages), mailbox::unbounded());
    let start = async { splitter.tell_traced(Split(12)).await.expect("room") };
    in_request(&capture, start).await;
    split.await.expect_err("dropped");
    stop(&splitter).await;
    let sizes = sizes(&capture);
    assert_eq!(sizes.iter().sum::<usize>(), messages + 1, "none is missing");
    // Its count may have begun again while it was small, for the traces of the tests beside this one.
    assert!(sizes.last() <= Some(&5_200), "{:?}", sizes.last());
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for span in capture.spans() {
        if let (None, Some(reason)) = (span.parent, span.attribute("trace.relation.reason")) {
            assert_eq!(span.links.len(), 1, "it says what it goes on from");
            *reasons.entry(reason.to_string()).or_default() += 1;
        }
    }
    let expected = BTreeMap::from([("\"spans\"".to_owned(), sizes.len() - 1)]);
    assert_eq!(reasons, expected);
}

#[tokio::test]
async fn what_comes_after_the_stop_is_undelivered() {
    let capture = Capture::start();
    let prepared = Account::prepare();
    let account = prepared.actor_ref().clone();
    let requests = async {
        account.tell_traced(Deposit(1)).await.expect("room");
        account.stop_gracefully().await.expect("room");
        // kameo refuses it, or leaves it in the mailbox: nobody handles it.
        drop(account.tell_traced(Deposit(2)).await);
    };
    in_request(&capture, requests).await;
    let (account, _) = prepared.run(Account::default()).await.expect("started");
    assert_eq!(account.balance, 1);
    insta::assert_snapshot!(outline(&capture), @r#"
    request
    ├─ Account Deposit {actor.message.operation="tell", span.outcome="undelivered"}
    └─ Account Deposit {actor.message.operation="tell"}
       └─ book
    "#);
}
