//! Tell and handle on kameo, beside kameo's own spans.
//!
//! kameo's feature `tracing` is on, and without a subscriber its spans are disabled: so the bare program has what a
//! disabled span costs, and the instrumented one too. The column of kameo's own spans has a subscriber with the layer
//! of `tracing-opentelemetry` and a batch processor of the SDK, whose exporter throws everything away.

use std::future::{Future, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kameo::mailbox;
use kameo::prelude::*;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use throughline::kameo::{ActorRefExt, traced_actor};
use throughline::{FutureExt, actor, span};
use tokio::runtime::Builder;
use tracing::Instrument;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use crate::measure::{Beside, Cpu, Recording, Result, Row, medians, with_metrics};

pub(crate) fn measure() -> Result<Row> {
    let runtime = Builder::new_current_thread().build()?;
    let [off, on] = Recording::off_and_on();
    let recorded = |recording: &Recording| {
        let nanos = runtime.block_on(traced(recording))?;
        recording.empty()?;
        Ok(nanos)
    };
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Discard)
        .build();
    let own = || {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("kameo"));
        let subscriber = tracing::subscriber::set_default(Registry::default().with(layer));
        let nanos = runtime.block_on(bare());
        drop(subscriber);
        // The callsites remember that somebody was interested, and the other columns would pay for it.
        tracing::callsite::rebuild_interest_cache();
        provider.force_flush()?;
        nanos
    };
    let [
        untraced_ns,
        unsampled_ns,
        traced_ns,
        unsampled_measured_ns,
        traced_measured_ns,
        own_ns,
    ] = medians(
        ROUNDS,
        [
            &mut || runtime.block_on(bare()),
            &mut || recorded(&off),
            &mut || recorded(&on),
            &mut || off.measured(MESSAGES, recorded),
            &mut || on.measured(MESSAGES, recorded),
            &mut { own },
        ],
    )?;
    let mut beside = with_metrics(untraced_ns, unsampled_measured_ns, traced_measured_ns);
    beside.push(Beside {
        what: "kameo's own spans, OpenTelemetry's SDK",
        untraced_ns,
        ns: own_ns,
    });
    Ok(Row {
        host: "kameo",
        untraced_ns,
        unsampled_ns,
        traced_ns,
        measure: "CPU of the thread",
        beside,
    })
}

/// What a message asks for.
struct Add(u64);

/// What both actors have: a sum, and how many messages there were.
#[derive(Default)]
struct State {
    sum: u64,
    handled: Arc<AtomicUsize>,
}

impl State {
    fn add(&mut self, message: &Add) {
        self.sum = black_box(self.sum + message.0);
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

/// The actor as it is without instrumentation.
#[derive(Actor)]
struct Bare(State);

impl Message<Add> for Bare {
    type Reply = ();

    async fn handle(&mut self, message: Add, _: &mut Context<Self, ()>) {
        self.0.add(&message);
    }
}

/// The same with the attribute, and the line for contexts.
#[derive(Actor)]
struct Traced(State);

#[actor]
impl Message<Add> for Traced {
    type Reply = ();

    async fn handle(&mut self, message: Add, _: &mut Context<Self, ()>) {
        self.0.add(&message);
    }
}

traced_actor!(Traced);

/// The program without our instrumentation. Its requests are spans of `tracing`, which are there with a subscriber.
async fn bare() -> Result<f64> {
    let state = State::default();
    let handled = Arc::clone(&state.handled);
    let actor = Bare::spawn_with_mailbox(Bare(state), mailbox::bounded(MAILBOX));
    let mut nanos = 0.0;
    for part in 1..=MESSAGES / MAILBOX {
        let request = tracing::info_span!("request");
        nanos += tell(|message| actor.tell(message).send())
            .instrument(request)
            .await?;
        nanos += handle(&handled, part).await;
    }
    stop(&actor).await?;
    Ok(nanos / MESSAGES as f64)
}

async fn traced(recording: &Recording) -> Result<f64> {
    let state = State::default();
    let handled = Arc::clone(&state.handled);
    let actor = Traced::spawn_with_mailbox(Traced(state), mailbox::bounded(MAILBOX));
    let mut nanos = 0.0;
    for part in 1..=MESSAGES / MAILBOX {
        let request = span!(parent: recording.context(), "request");
        nanos += tell(|message| actor.tell_traced(message).send())
            .in_span(request)
            .await?;
        nanos += handle(&handled, part).await;
    }
    stop(&actor).await?;
    Ok(nanos / MESSAGES as f64)
}

/// Fills the mailbox.
async fn tell<E, F>(send: impl Fn(Add) -> F) -> Result<f64>
where
    F: Future<Output = std::result::Result<(), E>>,
    E: ToString,
{
    let cpu = Cpu::start();
    for number in 0..MAILBOX as u64 {
        send(Add(number)).await.map_err(|error| error.to_string())?;
    }
    Ok(cpu.nanos())
}

/// Lets the actor, which is a task of this thread, handle what is in its mailbox.
async fn handle(handled: &AtomicUsize, part: usize) -> f64 {
    let cpu = Cpu::start();
    while handled.load(Ordering::Relaxed) < part * MAILBOX {
        tokio::task::yield_now().await;
    }
    cpu.nanos()
}

async fn stop<A: Actor>(actor: &ActorRef<A>) -> Result<()> {
    actor
        .stop_gracefully()
        .await
        .map_err(|error| error.to_string())?;
    actor.wait_for_shutdown().await;
    Ok(())
}

/// An exporter of the SDK that costs nothing.
#[derive(Debug)]
struct Discard;

impl SpanExporter for Discard {
    fn export(&self, _: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> + Send {
        ready(Ok(()))
    }
}

const ROUNDS: usize = 101;
/// So many that the spans of a round fit into the SDK's queue.
const MESSAGES: usize = 1_024;
/// Messages that are sent before the first is handled.
const MAILBOX: usize = 64;
