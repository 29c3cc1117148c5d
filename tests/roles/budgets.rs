//! Traces stay bounded, however actors write to each other.

use std::collections::HashMap;

use throughline::actor;
use throughline::channel::{Envelope, Policy, Starts, mpsc};
use throughline::testing::{Capture, Trace};

use crate::in_request;

/// Every span that was made, by trace: nothing was dropped, nothing is open.
fn traces(capture: &Capture) -> Vec<Trace> {
    let stats = capture.stats();
    assert_eq!((stats.live(), stats.dropped_full), (0, 0));
    let traces = capture.traces();
    for trace in &traces {
        trace.assert_complete();
    }
    traces
}

/// How often each reason was given for a new trace.
fn reasons(capture: &Capture) -> Vec<(String, usize)> {
    let mut reasons = HashMap::new();
    for span in capture.spans() {
        if let (None, Some(reason)) = (span.parent, span.attribute("trace.relation.reason")) {
            *reasons
                .entry(reason.to_string().replace('"', ""))
                .or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = reasons.into_iter().collect();
    reasons.sort();
    reasons
}

struct Tick(u32);

struct Clock {
    myself: mpsc::UnboundedSender<Tick>,
    timer: bool,
}

#[actor]
impl Clock {
    async fn handle(&mut self, tick: Tick) {
        let Some(left) = tick.0.checked_sub(1) else {
            return;
        };
        let next = match self.timer {
            true => Envelope::timer(Tick(left)),
            false => Envelope::new(Tick(left)),
        };
        self.myself
            .send_envelope(next)
            .expect("this actor has the receiver");
    }
}

/// Runs a clock that ticks so often, started within a request.
async fn tick(capture: &Capture, ticks: u32, timer: bool, policy: Policy) {
    let (myself, rx) = mpsc::unbounded_named("clock");
    let mut rx = rx.with_policy(policy);
    let mut clock = Clock { myself, timer };
    in_request(capture, clock.handle(Tick(ticks))).await;
    while let Ok(delivery) = rx.try_recv() {
        delivery.handle(async |tick| clock.handle(tick).await).await;
    }
}

#[tokio::test]
async fn a_hundred_thousand_ticks_of_a_timer_start_no_trace() {
    let capture = Capture::start();
    tick(&capture, 100_000, true, Policy::new()).await;
    let traces = traces(&capture);
    assert_eq!(traces.len(), 1);
    assert_eq!(traces[0].len(), 2, "the request and what it did");
}

#[tokio::test]
async fn a_timer_that_may_start_traces_starts_short_ones() {
    let capture = Capture::start();
    let policy = Policy::new().starts(Starts::Everything);
    tick(&capture, 10_000, true, policy).await;
    let traces = traces(&capture);
    assert_eq!(traces.len(), 10_001);
    assert!(traces.iter().all(|trace| trace.len() <= 2));
    assert_eq!(reasons(&capture), [("timer".to_owned(), 10_000)]);
}

#[tokio::test]
async fn an_actor_that_writes_to_itself_for_ever_makes_many_traces() {
    let capture = Capture::start();
    tick(&capture, 20_000, false, Policy::new()).await;
    let traces = traces(&capture);
    assert!(
        traces.iter().all(|trace| trace.len() <= 18),
        "16 hops, the one that starts it, and the request"
    );
    let spans: usize = traces.iter().map(Trace::len).sum();
    assert_eq!(spans, 20_002);
    let new = traces.len() - 1;
    assert_eq!(reasons(&capture), [("hops".to_owned(), new)]);
    // Each new trace says what it goes on from.
    let linked = capture
        .spans()
        .iter()
        .filter(|span| !span.links.is_empty())
        .count();
    assert_eq!(linked, new);
}

struct Split(u32);

struct Splitter(mpsc::UnboundedSender<Split>);

#[actor]
impl Splitter {
    async fn handle(&mut self, split: Split) {
        if let Some(left) = split.0.checked_sub(1) {
            for _ in 0..2 {
                self.0.send(Split(left)).expect("the receiver is there");
            }
        }
    }
}

#[tokio::test]
async fn a_fan_out_of_depth_twelve_is_in_traces_of_the_size_that_is_allowed() {
    for max_spans in [5_000, 1_000] {
        let capture = Capture::start();
        let (tx, rx) = mpsc::unbounded_named("splitter");
        let mut rx = rx.with_policy(Policy::new().max_spans(max_spans));
        let mut splitter = Splitter(tx);
        let start = async { splitter.0.send(Split(12)).expect("open") };
        in_request(&capture, start).await;
        while let Ok(delivery) = rx.try_recv() {
            delivery
                .handle(async |split| splitter.handle(split).await)
                .await;
        }
        let traces = traces(&capture);
        let spans: usize = traces.iter().map(Trace::len).sum();
        assert_eq!(spans, 1 + (1 << 13) - 1);
        let largest = traces.iter().map(Trace::len).max();
        // Its count may have begun again while it was small, for the traces of the tests beside this one.
        let most = usize::try_from(max_spans).expect("it is small") + 200;
        assert!(largest <= Some(most), "{largest:?}");
        let new = traces.len() - 1;
        assert_eq!(reasons(&capture), [("spans".to_owned(), new)]);
    }
}
