//! The lives of actors on plain Tokio: their spans are called and linked as those of any library's.

use std::future::pending;

use throughline::channel::actor::{Lifecycle, Panicked};
use throughline::channel::mpsc;
use throughline::testing::{Capture, TreeOptions};
use throughline::{Context, FutureExt, actor, span};

use crate::in_request;

/// The picture, without what differs from run to run.
fn tree(capture: &Capture) -> String {
    assert_eq!(capture.stats().live(), 0, "every span ended");
    assert_eq!(Context::current(), Context::default());
    let options = TreeOptions::new().hide("actor.mailbox.*").hide("actor.id");
    capture.tree_with(&options.hide("exception.stacktrace"))
}

enum Job {
    Fail,
    Hang,
    Panic,
    Work,
}

struct Worker;

#[actor]
impl Worker {
    async fn run(mut self, inbox: &mut mpsc::Receiver<Job>) -> Result<(), String> {
        while let Some(job) = inbox.recv().await {
            self.handle(job.into_inner()).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, job: Job) -> Result<(), String> {
        tokio::task::yield_now().await;
        match job {
            Job::Fail => Err("told to".to_owned()),
            Job::Hang => pending().await,
            Job::Panic => panic!("told to"),
            Job::Work => Ok(()),
        }
    }
}

/// Spawns a worker that is restarted whenever it panics, in a span of the capture.
fn spawn(capture: &Capture, mut inbox: mpsc::Receiver<Job>) -> tokio::task::JoinHandle<()> {
    let _spawner = span!(parent: capture.context(), "spawner").enter();
    let mut life = Lifecycle::of::<Worker>();
    let supervised = async move {
        while let Err(panicked) = life.try_run(Worker.run(&mut inbox)).await {
            assert_eq!(panicked.message(), Some("told to"));
        }
    };
    // As it is in a traced function: the actor is spawned in the context of its spawner.
    tokio::spawn(supervised.in_current_context())
}

async fn send(capture: &Capture, tx: &mpsc::Sender<Job>, jobs: impl IntoIterator<Item = Job>) {
    in_request(capture, async {
        for job in jobs {
            tx.send(job).await.expect("open");
        }
    })
    .await;
}

#[tokio::test]
async fn an_actor_lives_in_short_spans_that_are_linked() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::channel(4);
    let worker = spawn(&capture, inbox);
    send(&capture, &tx, [Job::Work]).await;
    drop(tx);
    worker.await.expect("joins");
    insta::assert_snapshot!(tree(&capture), @r#"
    spawner
    request
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", trace.relation="child", trace.relation.reason="tell"}
    Worker start {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
       → spawner (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="normal"}
       → Worker start (another trace)
    "#);
}

#[tokio::test]
async fn a_panic_is_the_messages_and_a_restart_links_it() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::channel(4);
    let worker = spawn(&capture, inbox);
    // The second one waits in the mailbox until the restart.
    send(&capture, &tx, [Job::Panic, Job::Work]).await;
    drop(tx);
    worker.await.expect("joins");
    insta::assert_snapshot!(tree(&capture), @r#"
    spawner
    request
    ├─ Worker Job {actor.type="Worker", actor.message.type="Job", trace.relation="child", trace.relation.reason="tell", span.outcome="panicked", error.type="panic"} error: panicked
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", trace.relation="child", trace.relation.reason="tell"}
    Worker start {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
       → spawner (another trace)
    Worker panic {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", error.type="panic"} error: the actor panicked: told to
       • exception {exception.type="throughline_messaging::actor::lifecycle::Panicked", exception.message="the actor panicked: told to"}
       → Worker Job (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="panicked"}
       → Worker Job (another trace)
    Worker restart {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
       → Worker Job (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="normal"}
       → Worker restart (another trace)
    "#);
}

#[tokio::test]
async fn an_actor_that_fails_says_so() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::channel(4);
    let worker = spawn(&capture, inbox);
    send(&capture, &tx, [Job::Fail]).await;
    worker.await.expect("joins");
    insta::assert_snapshot!(tree(&capture), @r#"
    spawner
    request
    └─ Worker Job {actor.type="Worker", actor.message.type="Job", trace.relation="child", trace.relation.reason="tell", error.type="alloc::string::String"} error: told to
          • exception {exception.type="alloc::string::String", exception.message="told to"}
    Worker start {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
       → spawner (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="failed", error.type="alloc::string::String"} error: told to
       • exception {exception.type="alloc::string::String", exception.message="told to"}
       → Worker start (another trace)
    "#);
}

#[tokio::test]
async fn an_actor_that_is_aborted_is_killed_and_leaves_its_mailbox_undelivered() {
    let capture = Capture::start();
    let (tx, inbox) = mpsc::channel(4);
    let worker = spawn(&capture, inbox);
    send(&capture, &tx, [Job::Hang, Job::Work]).await;
    while tx.capacity() < 3 {
        tokio::task::yield_now().await;
    }
    worker.abort();
    assert!(worker.await.expect_err("aborted").is_cancelled());
    insta::assert_snapshot!(tree(&capture), @r#"
    spawner
    request
    ├─ Worker Job {actor.type="Worker", actor.message.type="Job", trace.relation="child", trace.relation.reason="tell", span.outcome="cancelled", error.type="cancelled"} error: dropped before it was ready
    └─ process Job {actor.message.type="Job", trace.relation="child", trace.relation.reason="tell", span.outcome="undelivered"}
    Worker start {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
       → spawner (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="killed"}
       → Worker start (another trace)
    "#);
}

#[tokio::test]
async fn what_an_actor_does_first_is_part_of_its_start() {
    let capture = Capture::start();
    let mut life = {
        let _here = capture.attach();
        Lifecycle::named("Worker")
    };
    let mut starts = 0;
    let ended: Result<(), Panicked> = loop {
        starts += 1;
        let load = async {
            span!("load").end();
            if starts == 1 {
                Err("no such table")
            } else {
                Ok(())
            }
        };
        if life.try_start(load).await.is_err() {
            continue;
        }
        let actor = async {
            assert!(starts == 3, "told to");
            // Nothing is current, so that what the actor does by itself is nobody's.
            span!("work").end();
        };
        match life.run(actor).await {
            Err(panicked) => drop(panicked),
            ended => break ended,
        }
    };
    ended.expect("it ends");
    insta::assert_snapshot!(tree(&capture), @r#"
    Worker start {trace.relation="root", trace.relation.reason="no_sender", actor.system="tokio", actor.type="Worker", error.type="&str"} error: no such table
    │  • exception {exception.type="&str", exception.message="no such table"}
    └─ load
    Worker restart {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
    │  → Worker start (another trace)
    └─ load
    Worker panic {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", error.type="panic"} error: the actor panicked: told to
       • exception {exception.type="throughline_messaging::actor::lifecycle::Panicked", exception.message="the actor panicked: told to"}
       → Worker restart (another trace)
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="panicked"}
       → Worker restart (another trace)
    Worker restart {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker"}
    │  → Worker restart (another trace)
    └─ load
    work
    Worker stop {trace.relation="link", trace.relation.reason="receiver", actor.system="tokio", actor.type="Worker", actor.stop.reason="normal"}
       → Worker restart (another trace)
    "#);
}

#[tokio::test]
async fn a_panic_goes_on_where_it_is_resumed() {
    let mut life = Lifecycle::named("Worker");
    let actor = tokio::spawn(async move {
        let panicked = life.run(async { panic!("told to") }).await;
        let Err::<(), _>(panicked) = panicked else {
            return;
        };
        assert_eq!(panicked.to_string(), "the actor panicked: told to");
        panicked.resume();
    });
    let error = actor.await.expect_err("it panics");
    let payload = error.into_panic().downcast::<&str>();
    assert_eq!(payload.ok().as_deref(), Some(&"told to"));
}

#[tokio::test]
async fn an_actor_that_never_ran_leaves_nothing() {
    let capture = Capture::start();
    let mut life = {
        let _here = capture.attach();
        Lifecycle::of::<Worker>()
    };
    drop(life.run(pending::<()>()));
    assert_eq!(capture.spans().len(), 0);
}
