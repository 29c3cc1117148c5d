//! How many actors and projections there are, as metrics tell it.

use std::future::pending;
use std::ops::ControlFlow;

use kameo::prelude::*;
use throughline::channel::actor::Lifecycle;
use throughline::channel::{Projection, mpsc};
use throughline::core::{Recorder, RecorderConfig};
use throughline::metrics::Metrics;

use crate::lag::support::Kept;

/// What is counted of those whose types, or names, begin so.
struct Counted {
    prefix: &'static str,
    kept: Kept,
    _metrics: Metrics,
}

impl Counted {
    fn of(prefix: &'static str) -> Self {
        let recorder = Recorder::start(RecorderConfig::default());
        let kept = Kept::new();
        let metrics = Metrics::start(&recorder, &kept.meter()).expect("a thread");
        Self {
            prefix,
            kept,
            _metrics: metrics,
        }
    }

    fn now(&self) -> String {
        let series = self.kept.collect();
        let live = series.iter().filter(|series| {
            let has = |key: &str| {
                let of_prefix = format!("{key}={}", self.prefix);
                let attributes = series.attributes.iter();
                attributes
                    .filter(|text| text.starts_with(&of_prefix))
                    .count()
                    > 0
            };
            series.name.ends_with(".live") && (has("actor.type") || has("projection.name"))
        });
        let lines = live.map(|series| {
            let attributes = series.attributes.join(", ");
            format!("{} {{{attributes}}} {}", series.name, series.count)
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Panic,
    Return,
}

/// Runs an actor that is started again whenever it panics, with a mailbox for what it is to do.
fn spawn(actor_type: &'static str) -> (mpsc::Sender<Job>, tokio::task::JoinHandle<()>) {
    let (tx, mut inbox) = mpsc::named(actor_type, 1);
    let mut life = Lifecycle::named(actor_type);
    let supervised = async move {
        let run = async |inbox: &mut mpsc::Receiver<Job>| match inbox.recv().await.as_deref() {
            Some(Job::Panic) => panic!("told to"),
            Some(Job::Return) | None => {}
        };
        while life.run(run(&mut inbox)).await.is_err() {}
    };
    (tx, tokio::spawn(supervised))
}

/// Until the actor has taken what was sent, and waits for more.
async fn taken(tx: &mpsc::Sender<Job>) {
    while tx.capacity() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::task::yield_now().await;
}

#[tokio::test]
async fn actors_on_tokio_are_live_while_they_run() {
    let counted = Counted::of("Live");
    let (to_clerk, clerk) = spawn("LiveClerk");
    let (_to_other, other) = spawn("LiveClerk");
    let (to_porter, porter) = spawn("LivePorter");
    // Made, not run.
    let mut idle = Lifecycle::named("LiveIdle");
    idle.try_start(async { Err::<(), _>("no desk") })
        .await
        .expect_err("it does not start");
    drop(idle.run(pending::<()>()));
    tokio::task::yield_now().await;
    let mut seen = vec![counted.now()];
    // A panic, and a restart after it.
    to_clerk.send(Job::Panic).await.expect("open");
    to_porter.send(Job::Panic).await.expect("open");
    taken(&to_clerk).await;
    taken(&to_porter).await;
    seen.push(counted.now());
    to_clerk.send(Job::Return).await.expect("open");
    clerk.await.expect("it ends");
    seen.push(counted.now());
    other.abort();
    other.await.expect_err("aborted");
    porter.abort();
    porter.await.expect_err("aborted");
    seen.push(counted.now());
    // A panic that nobody restarts after.
    let mut life = Lifecycle::named("LivePorter");
    life.run(async { panic!("told to") })
        .await
        .map(|(): ()| ())
        .expect_err("it panics");
    seen.push(counted.now());
    insta::assert_snapshot!(seen.join("\n\n"), @r"
    actor.live {actor.system=tokio, actor.type=LiveClerk} 2
    actor.live {actor.system=tokio, actor.type=LivePorter} 1

    actor.live {actor.system=tokio, actor.type=LiveClerk} 2
    actor.live {actor.system=tokio, actor.type=LivePorter} 1

    actor.live {actor.system=tokio, actor.type=LiveClerk} 1
    actor.live {actor.system=tokio, actor.type=LivePorter} 1

    actor.live {actor.system=tokio, actor.type=LiveClerk} 0
    actor.live {actor.system=tokio, actor.type=LivePorter} 0

    actor.live {actor.system=tokio, actor.type=LiveClerk} 0
    actor.live {actor.system=tokio, actor.type=LivePorter} 0
    ");
}

/// Starts where it is to start, and panics when it is told anything.
#[derive(Clone, Debug)]
struct KameoClerk {
    starts: bool,
}

impl Actor for KameoClerk {
    type Args = Self;
    type Error = &'static str;

    async fn on_start(clerk: Self, actor_ref: ActorRef<Self>) -> Result<Self, &'static str> {
        let start = async {
            if clerk.starts {
                Ok(clerk)
            } else {
                Err("no desk")
            }
        };
        throughline::kameo::on_start(&actor_ref, start).await
    }

    async fn on_panic(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        error: PanicError,
    ) -> Result<ControlFlow<ActorStopReason>, &'static str> {
        let stop = ControlFlow::Break(ActorStopReason::Panicked(error.clone()));
        throughline::kameo::on_panic(&actor_ref, &error, async { Ok(stop) }).await
    }

    async fn on_stop(
        &mut self,
        actor_ref: WeakActorRef<Self>,
        reason: ActorStopReason,
    ) -> Result<(), &'static str> {
        throughline::kameo::on_stop(&actor_ref, &reason, async { Ok(()) }).await
    }
}

impl Message<Job> for KameoClerk {
    type Reply = ();

    async fn handle(&mut self, job: Job, _: &mut Context<Self, ()>) {
        match job {
            Job::Panic => panic!("told to"),
            Job::Return => {}
        }
    }
}

#[derive(Actor)]
struct Chief;

#[tokio::test]
async fn actors_of_kameo_are_live_between_their_hooks() {
    let counted = Counted::of("Kameo");
    let clerk = KameoClerk { starts: true };
    let chief = Chief::spawn(Chief);
    let [one, other] = [(); 2].map(|()| KameoClerk::spawn(clerk.clone()));
    let supervised = KameoClerk::supervise(&chief, clerk).spawn().await;
    for actor in [&one, &other, &supervised] {
        actor.ask(Job::Return).await.expect("it runs");
    }
    let absent = KameoClerk::spawn(KameoClerk { starts: false });
    absent.wait_for_shutdown().await;
    let mut seen = vec![counted.now()];
    // The one is started again, which may be before its stop, and the other one is not.
    supervised.ask(Job::Panic).await.expect_err("it panics");
    one.ask(Job::Panic).await.expect_err("it panics");
    one.wait_for_shutdown().await;
    while supervised.ask(Job::Return).await.is_err() {
        tokio::task::yield_now().await;
    }
    seen.push(counted.now());
    other.kill();
    other.wait_for_shutdown().await;
    seen.push(counted.now());
    chief.stop_gracefully().await.expect("it runs");
    chief.wait_for_shutdown().await;
    supervised.wait_for_shutdown().await;
    seen.push(counted.now());
    insta::assert_snapshot!(seen.join("\n\n"), @r"
    actor.live {actor.system=kameo, actor.type=KameoClerk} 3

    actor.live {actor.system=kameo, actor.type=KameoClerk} 2

    actor.live {actor.system=kameo, actor.type=KameoClerk} 1

    actor.live {actor.system=kameo, actor.type=KameoClerk} 0
    ");
}

#[tokio::test]
async fn projections_are_live_until_they_are_dropped() {
    let counted = Counted::of("live:");
    let [one, other] = [(); 2].map(|()| Projection::new("live: summary"));
    let feed = Projection::new("live: feed").with_partition("3");
    let mut seen = vec![counted.now()];
    drop((one, feed));
    seen.push(counted.now());
    drop(other);
    seen.push(counted.now());
    insta::assert_snapshot!(seen.join("\n\n"), @r"
    projection.live {projection.name=live: feed} 1
    projection.live {projection.name=live: summary} 2

    projection.live {projection.name=live: feed} 0
    projection.live {projection.name=live: summary} 1

    projection.live {projection.name=live: feed} 0
    projection.live {projection.name=live: summary} 0
    ");
}
