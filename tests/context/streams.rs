//! Combinators of futures keep the context of whoever polls them; streams and sinks have a span for each item.

use futures::stream::{self, FuturesUnordered};
use futures::{SinkExt as _, StreamExt as _};
use throughline::task::{SinkExt as _, StreamExt as _, spawn};
use throughline::testing::Capture;
use throughline::{Context, FutureExt as _, span};

use crate::runtimes::{current_thread, on_every_runtime, picture, step};

#[test]
fn hop_join_all() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let done = futures::future::join_all([step(1), step(2)]).await;
        assert_eq!(done, [1, 2]);
    }), @r"
    root
    ├─ step {number=1}
    └─ step {number=2}
    ");
}

#[test]
fn hop_join() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        tokio::join!(step(1), step(2).in_span(span!("branch")), async {
            spawn(step(3)).await.expect("no panic")
        });
    }), @r"
    root
    ├─ branch
    │  └─ step {number=2}
    ├─ step {number=1}
    └─ step {number=3}
    ");
}

#[test]
fn hop_select() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        tokio::select! {
            biased;
            () = std::future::pending().in_span(span!("loser")) => {}
            done = step(1).in_span(span!("winner")) => {
                step(done + 1).await;
            }
        }
    }), @r#"
    root
    ├─ loser {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    ├─ step {number=2}
    └─ winner
       └─ step {number=1}
    "#);
}

#[test]
fn hop_futures_unordered() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let mut tasks: FuturesUnordered<_> = (1..=3).map(step).collect();
        while tasks.next().await.is_some() {}
    }), @r"
    root
    ├─ step {number=1}
    ├─ step {number=2}
    └─ step {number=3}
    ");
}

#[test]
fn hop_futures_unordered_of_spawned_tasks() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let mut tasks: FuturesUnordered<_> = (1..=3).map(|number| spawn(step(number))).collect();
        while tasks.next().await.is_some() {}
    }), @r"
    root
    ├─ step {number=1}
    ├─ step {number=2}
    └─ step {number=3}
    ");
}

#[test]
fn hop_buffer_unordered() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let sum = stream::iter(1..=4)
            .map(|number| step(number).in_span(span!("buffered", number = number)))
            .buffer_unordered(2)
            .fold(0, |sum, number| async move { sum + number })
            .await;
        assert_eq!(sum, 10);
    }), @r"
    root
    ├─ buffered {number=1}
    │  └─ step {number=1}
    ├─ buffered {number=2}
    │  └─ step {number=2}
    ├─ buffered {number=3}
    │  └─ step {number=3}
    └─ buffered {number=4}
       └─ step {number=4}
    ");
}

/// Two steps, each pending once.
fn steps() -> impl futures::Stream<Item = u32> {
    stream::iter(1..=2).then(step)
}

#[test]
fn hop_stream_items() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let mut items = Box::pin(steps().each_in_span(|| span!("item")));
        while let Some(number) = items.next().await {
            step(number * 10).in_span(span!("handles")).await;
        }
    }), @r"
    root
    ├─ handles
    │  └─ step {number=10}
    ├─ handles
    │  └─ step {number=20}
    ├─ item
    ├─ item
    │  └─ step {number=1}
    └─ item
       └─ step {number=2}
    ");
}

#[test]
fn a_stream_that_is_dropped_cancels_the_item_under_way() {
    let capture = Capture::start();
    let _here = capture.attach();
    current_thread().block_on(async {
        let mut items = Box::pin(steps().each_in_span(|| span!("item")));
        assert!(futures::poll!(items.next()).is_pending());
        assert!(!Context::current().span_context().is_valid());
    });
    insta::assert_snapshot!(picture(&capture), @r#"
    item {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ step {number=1, span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}

#[test]
fn hop_sink_items() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let sink = futures::sink::unfold((), |(), number: u32| async move {
            step(number).await;
            Ok::<(), std::convert::Infallible>(())
        });
        let mut sink = Box::pin(sink.each_send_in_span(|number: &u32| span!("send", number = *number)));
        sink.send(1).await.expect("infallible");
        sink.feed(2).await.expect("infallible");
        sink.close().await.expect("infallible");
    }), @r"
    root
    ├─ send {number=1}
    │  └─ step {number=1}
    └─ send {number=2}
       └─ step {number=2}
    ");
}

#[test]
fn hop_stream_in_a_task() {
    insta::assert_snapshot!(on_every_runtime(|| async {
        let items = steps().each_in_span(|| span!("item")).in_current_context();
        spawn(async move {
            let mut items = Box::pin(items);
            while items.next().await.is_some() {}
        }).await.expect("no panic");
    }), @r"
    root
    ├─ item
    ├─ item
    │  └─ step {number=1}
    └─ item
       └─ step {number=2}
    ");
}
