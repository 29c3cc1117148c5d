//! Channels: a message brings its sender's context, its handler gets a span, and every message is counted.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;
use std::{io, thread};

use throughline::channel::{
    ChannelStats, Policy, Relation, async_channel, broadcast, flume, mpsc, oneshot, stats, watch,
};
use throughline::core::clock;
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{Context, FutureExt, span, task, traced};

/// The picture, without how long messages waited.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    let options = TreeOptions::new().sorted_by_name();
    capture.tree_with(&options.hide("actor.mailbox.wait"))
}

/// The picture without attributes.
fn names(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    capture.tree_with(&TreeOptions::new().sorted_by_name().hide("*"))
}

/// The counts of the channels of that name.
fn counts(name: &str) -> ChannelStats {
    let mut all = stats().into_iter();
    all.find(|channel| channel.name == name).expect("made")
}

/// What became of the messages: sent, received, undelivered, lagged, rejected, still there.
fn balance(name: &str) -> [u64; 6] {
    let counts = counts(name);
    [
        counts.sent,
        counts.received,
        counts.undelivered,
        counts.lagged,
        counts.rejected,
        counts.depth,
    ]
}

#[traced]
async fn step() {
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn the_senders_span_ends_before_its_message_is_handled() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("orders", 4);
    let send = async { tx.send("book").await.expect("open") };
    send.in_span(span!(parent: capture.context(), "request"))
        .await;
    assert_eq!(capture.stats().live(), 0, "the queue holds no span");
    assert_eq!(Context::current(), Context::default());
    let delivery = rx.recv().await.expect("sent");
    assert_eq!((*delivery, delivery.channel()), ("book", Some("orders")));
    delivery.handle(|_| step()).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    request
    └─ process orders {actor.mailbox.name="orders", actor.message.type="&str", trace.relation="child", trace.relation.reason="tell"}
       └─ step
    "#);
    let counts = counts("orders");
    assert_eq!((counts.sent, counts.received, counts.depth), (1, 1, 0));
    assert!(counts.wait_max_nanos > 0 && counts.wait_max_nanos == counts.wait_sum_nanos);
}

#[tokio::test]
async fn every_way_to_send_and_to_receive_carries_the_context() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("ways", 16);
    let (unbounded, mut unbounded_rx) = mpsc::unbounded_named("ways");
    let send = async {
        tx.send("send").await.expect("open");
        tx.try_send("try_send").expect("room");
        let patience = Duration::from_secs(60);
        let sent = tx.send_timeout("send_timeout", patience).await;
        sent.expect("room");
        tx.reserve().await.expect("room").send("reserve");
        tx.try_reserve().expect("room").send("try_reserve");
        let permits = tx.reserve_many(2).await.expect("room");
        permits.for_each(|permit| permit.send("reserve_many"));
        let permit = tx.clone().reserve_owned().await.expect("room");
        drop(permit.send("reserve_owned"));
        let weak = tx.downgrade().upgrade().expect("tx lives");
        task::spawn_blocking(move || weak.blocking_send("blocking_send").expect("room"))
            .await
            .expect("no panic");
        unbounded.send("unbounded send").expect("open");
        let weak = unbounded.downgrade().upgrade().expect("it lives");
        weak.send("weak unbounded send").expect("open");
    };
    send.in_span(span!(parent: capture.context(), "request"))
        .await;
    let mut deliveries = vec![
        rx.recv().await.expect("sent"),
        rx.try_recv().expect("sent"),
        poll_fn(|cx| rx.poll_recv(cx)).await.expect("sent"),
        unbounded_rx.recv().await.expect("sent"),
        unbounded_rx.try_recv().expect("sent"),
    ];
    let (mut rx, delivery) = thread::spawn(move || {
        let delivery = rx.blocking_recv();
        (rx, delivery)
    })
    .join()
    .expect("no panic");
    deliveries.extend(delivery);
    assert_eq!(rx.recv_many(&mut deliveries, 16).await, 5);
    assert!(rx.is_empty() && rx.capacity() == 16);
    for delivery in deliveries {
        let span = delivery.span(*delivery);
        async { _ = delivery.into_inner() }.in_span(span).await;
    }
    insta::assert_snapshot!(names(&capture), @r"
    request
    ├─ blocking_send
    ├─ reserve
    ├─ reserve_many
    ├─ reserve_many
    ├─ reserve_owned
    ├─ send
    ├─ send_timeout
    ├─ try_reserve
    ├─ try_send
    ├─ unbounded send
    └─ weak unbounded send
    ");
    assert_eq!(balance("ways"), [11, 11, 0, 0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hops_make_one_trace() {
    let capture = Capture::start();
    let (orders, mut orders_rx) = mpsc::named::<u32>("two hops: orders", 4);
    let (mails, mut mails_rx) = mpsc::unbounded_named::<u32>("two hops: mails");
    // Neither task has a context of its own.
    let shop = tokio::spawn(async move {
        while let Some(delivery) = orders_rx.recv().await {
            let mails = mails.clone();
            let handler =
                |order: u32| async move { task::spawn(async move { mails.send(order) }).await };
            let sent = delivery.handle(handler).await.expect("no panic");
            sent.expect("open");
        }
    });
    let post = tokio::spawn(async move {
        let mut hops = Vec::new();
        while let Some(delivery) = mails_rx.recv().await {
            hops.push(delivery.context().hops());
            delivery.handle(|_| step()).await;
        }
        hops
    });
    async { orders.send(7).await.expect("open") }
        .in_span(span!(parent: capture.context(), "request"))
        .await;
    drop(orders);
    shop.await.expect("no panic");
    assert_eq!(post.await.expect("no panic"), [2], "also through a task");
    insta::assert_snapshot!(names(&capture), @r"
    request
    └─ process two hops: orders
       └─ process two hops: mails
          └─ step
    ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fan_out_to_eight_workers_has_one_parent() {
    let capture = Capture::start();
    let mut workers = tokio::task::JoinSet::new();
    let mut ways = Vec::new();
    for number in 0..8 {
        let (tx, mut rx) = mpsc::named::<()>("fan out", 1);
        ways.push(tx);
        workers.spawn(async move {
            while let Some(delivery) = rx.recv().await {
                let name = format!("worker {number}");
                let span = delivery.span(&name);
                step().in_span(span).await;
            }
        });
    }
    let scatter = async {
        for tx in ways {
            tx.send(()).await.expect("open");
        }
    };
    scatter
        .in_span(span!(parent: capture.context(), "scatter"))
        .await;
    workers.join_all().await;
    let trace = &capture.traces()[0];
    let root = trace.assert_complete().find("scatter").expect("recorded");
    assert_eq!(trace.children(root.span_id).count(), 8);
    assert_eq!((capture.traces().len(), trace.len()), (1, 17));
    assert_eq!(balance("fan out"), [8, 8, 0, 0, 0, 0]);
}

#[tokio::test]
async fn every_receiver_of_a_broadcast_gets_the_context() {
    let capture = Capture::start();
    let (tx, rx) = broadcast::named("news", 2);
    let slow = tx.subscribe().with_policy(Relation::Link);
    let unread = rx.resubscribe();
    span!(parent: capture.context(), "publish").in_scope(|| {
        assert_eq!(tx.send("old").expect("three receivers"), 3);
        assert_eq!(tx.send("older").expect("three receivers"), 3);
    });
    let (mut rx, mut slow) = (rx, slow);
    for _ in 0..2 {
        rx.recv().await.expect("sent").handle(|_| step()).await;
    }
    span!(parent: capture.context(), "publish more")
        .in_scope(|| tx.send("new"))
        .expect("three receivers");
    // Room for two: the first message is gone.
    let lagged = broadcast::error::RecvError::Lagged(1);
    assert_eq!(slow.recv().await.expect_err("too slow"), lagged);
    for _ in 0..2 {
        slow.recv().await.expect("sent").handle(|_| step()).await;
    }
    rx.try_recv().expect("sent").handle(|_| step()).await;
    assert_eq!(balance("news"), [9, 5, 0, 1, 0, 3]);
    drop((rx, slow, unread));
    assert_eq!(balance("news"), [9, 5, 3, 1, 0, 0]);
    assert!(tx.send("unheard").is_err());
    assert_eq!(counts("news").rejected, 1);
    insta::assert_snapshot!(names(&capture), @r"
    publish
    ├─ process news
    │  └─ step
    └─ process news
       └─ step
    publish more
    └─ process news
       └─ step
    process news
    │  → publish (another trace)
    └─ step
    process news
    │  → publish more (another trace)
    └─ step
    ");
}

#[tokio::test]
async fn a_watched_value_links_its_last_writer() {
    let capture = Capture::start();
    let (tx, mut rx) = watch::channel(0);
    span!(parent: capture.context(), "first write").in_scope(|| tx.send(1).expect("watched"));
    span!(parent: capture.context(), "second write")
        .in_scope(|| tx.send_modify(|value| *value += 1));
    rx.changed().await.expect("a sender lives");
    let delivery = rx.borrow_and_update().delivery();
    assert_eq!(*delivery, 2);
    delivery.handle(|_| step()).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    first write
    second write
    process i32 {trace.relation="link", trace.relation.reason="receiver", actor.message.type="i32"}
    │  → second write (another trace)
    └─ step
    "#);
}

/// A message that holds the way back.
struct Question(oneshot::Sender<u32>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ask_is_a_child_whatever_the_budgets_say() {
    let capture = Capture::start();
    let (tx, rx) = mpsc::named::<Question>("desk", 4);
    let budget = Policy::new().max_age(Duration::ZERO).max_hops(0);
    let mut rx = rx.with_policy(budget);
    let desk = tokio::spawn(async move {
        while let Some(delivery) = rx.recv().await {
            let answer = |Question(reply)| async { reply.send(42) };
            delivery.handle(answer).await.expect("the asker waits");
        }
    });
    let ask = async {
        assert_eq!(tx.ask(Question).await.expect("answered"), 42);
        let (reply, answer) = oneshot::channel();
        // Told, not asked: the handler outlives its budget, and the reply says where it came from.
        tx.send(Question(reply)).await.expect("open");
        assert_eq!(answer.await.expect("answered"), 42);
    };
    ask.in_span(span!(parent: capture.context(), "asker")).await;
    drop(tx);
    desk.await.expect("no panic");
    insta::assert_snapshot!(tree(&capture), @r#"
    asker
    │  → process desk (another trace)
    └─ process desk {actor.mailbox.name="desk", actor.message.type="Question", trace.relation="child", trace.relation.reason="ask", actor.message.operation="ask"}
    process desk {actor.mailbox.name="desk", actor.message.type="Question", trace.relation="link", trace.relation.reason="hops"}
       → asker (another trace)
    "#);
}

#[tokio::test]
async fn an_ask_says_why_there_is_no_answer() {
    let (tx, mut rx) = mpsc::unbounded_named::<Question>("silent desk");
    let (asked, ()) = tokio::join!(tx.ask(Question), async {
        drop(rx.recv().await);
    });
    assert!(asked.expect_err("dropped").is_unanswered());
    drop(rx);
    assert!(tx.ask(Question).await.expect_err("closed").is_closed());
    assert_eq!(balance("silent desk"), [1, 1, 0, 0, 1, 0]);
}

#[tokio::test]
async fn a_handler_fails_panics_and_is_cancelled() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::unbounded_named("outcomes");
    span!(parent: capture.context(), "sender").in_scope(|| {
        for number in 0..4 {
            tx.send(number).expect("open");
        }
    });
    let mut next = || rx.try_recv().expect("sent");
    let failed = next().try_handle(|_| async { Err::<(), _>(io::Error::other("out of stock")) });
    failed.await.expect_err("as the handler said");
    let panicked = tokio::spawn(next().handle(|_| async { panic!("on purpose") }));
    assert!(panicked.await.expect_err("it panicked").is_panic());
    tokio::select! {
        biased;
        () = next().handle(|_| std::future::pending()) => unreachable!("it is pending"),
        () = async {} => (),
    }
    drop(next().handle(|_| step()));
    assert_eq!(Context::current(), Context::default());
    let options = TreeOptions::new().hide("actor.*").hide("trace.*");
    assert_eq!(capture.stats().live(), 0);
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    sender
    ├─ process outcomes {error.type="std::io::error::Error"} error: out of stock
    │     • exception {exception.type="std::io::error::Error", exception.message="out of stock"}
    ├─ process outcomes {span.outcome="panicked", error.type="panic"} error: panicked
    ├─ process outcomes {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ process outcomes {span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    "#);
}

#[tokio::test]
async fn what_is_left_in_a_channel_is_counted() {
    let (tx, mut rx) = mpsc::named("left", 3);
    for number in 0..3 {
        tx.try_send(number).expect("room");
    }
    assert!(tx.try_send(3).is_err(), "full");
    assert_eq!(*rx.recv().await.expect("sent"), 0);
    assert_eq!(balance("left"), [3, 1, 0, 0, 1, 2]);
    rx.close();
    assert_eq!(tx.send(4).await.expect_err("closed").0, 4);
    assert_eq!(*rx.recv().await.expect("still there"), 1);
    assert_eq!(balance("left"), [3, 2, 0, 0, 2, 1]);
    drop(rx);
    assert_eq!(balance("left"), [3, 2, 1, 0, 2, 0]);
    // A send that is given up while it waits for room was never sent.
    let (tx, rx) = mpsc::named("given up", 1);
    tx.send(()).await.expect("room");
    tokio::select! {
        biased;
        _ = tx.send(()) => unreachable!("there is no room"),
        () = async {} => (),
    }
    let (unbounded, unbounded_rx) = mpsc::unbounded_named("given up");
    drop(unbounded_rx);
    assert!(unbounded.send(()).is_err());
    drop((tx, rx));
    assert_eq!(balance("given up"), [1, 0, 1, 0, 1, 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_exact_under_concurrency() {
    const SENDERS: u64 = 4;
    const EACH: u64 = 2_000;
    let (tx, mut rx) = mpsc::named("crowd", 7);
    let (flume_tx, flume_rx) = flume::named_bounded("flume crowd", 7);
    let (async_tx, async_rx) = async_channel::named_bounded("async crowd", 7);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..SENDERS {
        let (tx, flume_tx, async_tx) = (tx.clone(), flume_tx.clone(), async_tx.clone());
        tasks.spawn(async move {
            for _ in 0..EACH {
                tx.send(()).await.expect("open");
                flume_tx.send_async(()).await.expect("open");
                async_tx.send(()).await.expect("open");
            }
        });
    }
    drop((tx, flume_tx, async_tx));
    let half = SENDERS * EACH / 2;
    tasks.spawn(async move {
        for _ in 0..half {
            drop(rx.recv().await.expect("sent"));
        }
        while rx.recv().await.is_some() {}
    });
    for _ in 0..2 {
        let (flume_rx, async_rx) = (flume_rx.clone(), async_rx.clone());
        tasks.spawn(async move { while flume_rx.recv_async().await.is_ok() {} });
        tasks.spawn(async move { while async_rx.recv().await.is_ok() {} });
    }
    tasks.join_all().await;
    for name in ["crowd", "flume crowd", "async crowd"] {
        assert_eq!(balance(name), [SENDERS * EACH, SENDERS * EACH, 0, 0, 0, 0]);
    }
}

#[tokio::test]
async fn wait_and_processing_are_the_time_from_send_to_completion() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::named("time", 1);
    let before = clock::now();
    async { tx.send(()).await.expect("open") }
        .in_span(span!(parent: capture.context(), "sender"))
        .await;
    let sent = clock::now();
    tokio::task::yield_now().await;
    let delivery = rx.recv().await.expect("sent");
    let handler = |()| async {
        step().await;
        clock::now()
    };
    let done = delivery.handle(handler).await;
    let after = clock::now();
    let trace = &capture.traces()[0];
    let span = trace.find("process time").expect("recorded");
    let Some(Value::Double(wait)) = span.attribute("actor.mailbox.wait") else {
        panic!("the wait is a number of seconds: {span:?}");
    };
    let measured = (wait * 1e9) as u64 + span.duration_ns();
    // The same counter, read outside and inside; a conversion may round one down.
    let (least, most) = (
        clock::nanos_between(sent, done),
        clock::nanos_between(before, after),
    );
    assert!(
        (least.saturating_sub(3)..=most + 3).contains(&measured),
        "{least} <= {measured} <= {most}"
    );
}

#[tokio::test]
async fn messages_that_stay_on_their_thread_carry_the_context() {
    let capture = Capture::start();
    let (tx, mut rx) = mpsc::unbounded_named::<Rc<str>>("local");
    let local = tokio::task::LocalSet::new();
    let actor = local.spawn_local(async move {
        while let Some(delivery) = rx.recv().await {
            delivery.handle(|_| step()).await;
        }
    });
    let request = span!(parent: capture.context(), "request");
    let send = async move { tx.send(Rc::from("here")).expect("open") };
    local.run_until(send.in_span(request)).await;
    local.run_until(actor).await.expect("no panic");
    insta::assert_snapshot!(names(&capture), @r"
    request
    └─ process local
       └─ step
    ");
}

#[tokio::test]
async fn flume_and_async_channel_carry_the_context() {
    let capture = Capture::start();
    let (flume_tx, flume_rx) = flume::named_bounded("flume", 4);
    let (async_tx, async_rx) = async_channel::named_unbounded("async");
    let send = async {
        flume_tx.send("flume send").expect("room");
        flume_tx.try_send("flume try_send").expect("room");
        flume_tx.send_async("flume send_async").await.expect("room");
        let patience = Duration::from_secs(60);
        let sent = flume_tx.send_timeout("flume send_timeout", patience);
        sent.expect("room");
        assert!(flume_tx.try_send("flume full").is_err());
        async_tx.send("async send").await.expect("open");
        async_tx.try_send("async try_send").expect("open");
        async_tx.send_blocking("async send_blocking").expect("open");
        async_tx.send("left").await.expect("open");
    };
    send.in_span(span!(parent: capture.context(), "request"))
        .await;
    let mut deliveries = vec![
        flume_rx.recv().expect("sent"),
        flume_rx.try_recv().expect("sent"),
        flume_rx.recv_async().await.expect("sent"),
        async_rx.recv().await.expect("sent"),
        async_rx.try_recv().expect("sent"),
        async_rx.recv_blocking().expect("sent"),
    ];
    deliveries.extend(flume_rx.drain());
    for delivery in deliveries {
        let span = delivery.span(*delivery);
        async { _ = delivery.into_inner() }.in_span(span).await;
    }
    insta::assert_snapshot!(names(&capture), @r"
    request
    ├─ async send
    ├─ async send_blocking
    ├─ async try_send
    ├─ flume send
    ├─ flume send_async
    ├─ flume send_timeout
    └─ flume try_send
    ");
    drop((async_tx, async_rx));
    assert_eq!(balance("flume"), [4, 4, 0, 0, 1, 0]);
    assert_eq!(balance("async"), [4, 3, 1, 0, 0, 0]);
}
