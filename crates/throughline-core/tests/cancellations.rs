//! Futures that are dropped at random polls leave nothing: no memory, no context. It counts the memory of its process,
//! so it is alone in it.
//!
//! A million cancellations in an optimised build, a tenth of that otherwise; `CANCELLATIONS` in the environment sets
//! another number.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};

use peak_alloc::PeakAlloc;
use throughline_core::{
    Callsite, CallsiteSpec, Context, FutureExt, Level, Recorder, RecorderConfig, Span, SpanKind,
    current,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

static CALLSITE: Callsite = Callsite::new(CallsiteSpec {
    name: "work",
    kind: SpanKind::Internal,
    level: Level::Info,
    target: "cancellations",
    scope_name: "cancellations",
    scope_version: "",
    static_fields: &[],
});

const LEAK_LIMIT: usize = 64 << 10;
const MOST_POLLS: u64 = 9;

/// Pending a few times, at each poll with something recorded.
async fn pending(times: u64) {
    let mut left = times;
    std::future::poll_fn(|_| {
        current().set_attribute("left", left as i64);
        left = left.saturating_sub(1);
        if left == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Spans in spans, a span entered within a poll, and a context carried into a branch.
async fn work(depth: u64) {
    if depth == 0 {
        return pending(3).await;
    }
    Span::start(&CALLSITE).in_scope(|| current().set_attribute("depth", depth as i64));
    let branch = pending(2).in_current_context();
    Box::pin(work(depth - 1))
        .in_span(Span::start(&CALLSITE))
        .await;
    branch.await;
}

/// Steele, Lea and Flood's SplitMix64: the same numbers on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Polls a future some times and drops it; whether it was ready before.
fn cancel(random: &mut Random) -> bool {
    let depth = random.below(4);
    let future = pin!(work(depth).in_span(Span::start(&CALLSITE)));
    let polls = random.below(MOST_POLLS);
    poll_times(future, polls)
}

fn poll_times(mut future: Pin<&mut impl Future<Output = ()>>, polls: u64) -> bool {
    let mut context = TaskContext::from_waker(Waker::noop());
    (0..polls).any(|_| future.as_mut().poll(&mut context).is_ready())
}

#[test]
fn cancellations_at_random_polls_leave_nothing() {
    let recorder = Recorder::start(RecorderConfig::default());
    let here = recorder.context().attach();
    let drain = || {
        recorder.drain(|_| ControlFlow::Continue(()));
    };
    let mut random = Random(4);
    let mut run = |count: u64| {
        let mut cancelled = 0;
        for number in 0..count {
            cancelled += u64::from(!cancel(&mut random));
            if number % 256 == 0 {
                drain();
            }
        }
        drain();
        cancelled
    };
    // What is kept to be used again is there after the first few.
    run(10_000);
    let wanted = std::env::var("CANCELLATIONS").ok();
    let wanted = wanted.and_then(|count| count.parse().ok());
    let count = wanted.unwrap_or(if cfg!(debug_assertions) {
        100_000
    } else {
        1_000_000
    });
    let before = MEMORY.current_usage();
    let (mut cancelled, mut futures) = (0, 0);
    while cancelled < count {
        let step = (count - cancelled).min(10_000);
        cancelled += run(step);
        futures += step;
    }
    let leaked = MEMORY.current_usage().saturating_sub(before);
    let stats = recorder.stats();
    println!(
        "{cancelled} cancellations of {futures} futures, {} spans: {leaked} bytes more than before",
        stats.started
    );
    assert!(leaked <= LEAK_LIMIT, "{leaked} bytes leaked");
    assert_eq!(stats.live(), 0);
    assert_eq!(stats.published, stats.started, "nothing was dropped");
    assert_eq!(
        Context::current(),
        recorder.context(),
        "what was attached here"
    );
    drop(here);
    assert_eq!(Context::current(), Context::default(), "the depth is zero");
}
