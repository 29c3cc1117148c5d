//! Futures that are dropped, whenever and however.

use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use throughline::testing::Oracle;
use throughline::{Context, FutureExt, span, task, traced};
use throughline_tests::support::{inv, load};
use tokio::runtime::Builder;

use crate::MEMORY;
use crate::support::{LONG, Row, receiver, size, to};

/// The most polls that [`work`] takes.
const POLLS: usize = 50;

const LEAK_LIMIT: usize = 64 << 10;

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[traced]
async fn work(steps: usize) {
    for step in 0..steps {
        one_step(step as i64).await;
    }
}

#[traced(attrs(step = step))]
async fn one_step(step: i64) {
    yield_once().await;
    black_box(step);
}

fn poll(future: Pin<&mut impl Future>) -> bool {
    future
        .poll(&mut TaskContext::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn row_19_a_cancelled_future_ends_its_spans_once() {
    let row = Row::alone(
        19,
        "future dropped at each of 50 polls; abort, select!, timeout, JoinSet",
        "each span ends once, marked cancelled; context restored; a million cancellations leak <= 64 KiB",
    );
    let receiver = receiver();
    let pipeline = to(&receiver.endpoint()).start().expect("a pipeline starts");
    let context = pipeline.context();
    let here = context.attach();
    let before = Context::current();
    for polls in 0..=POLLS {
        let mut future = Box::pin(work(POLLS));
        for _ in 0..polls {
            assert!(
                !poll(future.as_mut()),
                "it takes one poll more than {POLLS}"
            );
        }
        drop(future);
        assert_eq!(Context::current(), before, "after {polls} polls");
        let stats = pipeline.stats();
        assert_eq!(stats.live, 0, "after {polls} polls: {stats}");
    }
    drop(here);
    in_tasks(&context);
    assert!(pipeline.flush(LONG).is_complete());
    let spans = receiver.spans();
    let cancelled = spans
        .iter()
        .filter(|span| span.attribute("span.outcome").is_some())
        .count();
    let oracle = Oracle::new();
    oracle.issue(spans.iter().map(|span| span.span_id));
    inv::hold(&oracle, &receiver, &pipeline.stats());
    // The function and the step it was in, for each dropped after its first poll, and 4 x 2 in tasks.
    assert_eq!(cancelled, 2 * POLLS + 8);

    let leaked = leak(size(20_000, 100_000, 1_000_000));
    row.holds(format!(
        "{} futures dropped, {cancelled} spans cancelled once; {} cancellations leak {leaked} bytes",
        POLLS + 1 + 4,
        size(20_000, 100_000, 1_000_000)
    ));
}

/// Cancels the same work in the four ways that a runtime has.
fn in_tasks(context: &Context) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(
        async {
            let aborted = task::spawn(stuck());
            tokio::task::yield_now().await;
            aborted.abort();
            assert!(aborted.await.is_err_and(|error| error.is_cancelled()));

            tokio::select! {
                biased;
                () = stuck() => unreachable!("it never ends"),
                () = yield_once() => {}
            }
            let timed_out = tokio::time::timeout(Duration::from_millis(1), stuck()).await;
            assert!(timed_out.is_err());

            let mut set = task::JoinSet::new();
            set.spawn(stuck());
            tokio::task::yield_now().await;
            set.abort_all();
            while set.join_next().await.is_some() {}
        }
        .with_context(context.clone()),
    );
}

#[traced]
async fn stuck() {
    stuck_inside().await;
}

#[traced]
async fn stuck_inside() {
    std::future::pending().await
}

/// How many bytes are left of so many cancellations, beyond what the first ones leave.
fn leak(cancellations: u64) -> usize {
    let receiver = receiver();
    receiver.keep_ids_only();
    let pipeline = to(&receiver.endpoint())
        .no_exporter()
        .start()
        .expect("a pipeline starts");
    let cancel = |times: u64| {
        let _here = pipeline.context().attach();
        for time in 0..times {
            let mut future = pin!(work(4).in_span(span!("root")));
            for _ in 0..time % 4 {
                poll(future.as_mut());
            }
        }
    };
    cancel(1000);
    let before = MEMORY.current_usage();
    cancel(cancellations);
    let leaked = MEMORY.current_usage().saturating_sub(before);
    assert!(leaked <= LEAK_LIMIT, "{leaked} bytes leaked");
    assert_eq!(pipeline.stats().live, 0);
    load::record_in(&pipeline, 1);
    leaked
}
