//! The export observes nothing of itself: with a subscriber that takes everything from everybody, and records of the
//! `log` crate bridged to it, neither causes what happens on the pipeline's threads a span nor a record.
//!
//! Subscriber and logger are of the process, hence a test binary of its own, with one test.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use throughline::Pipeline;
use throughline::export::{Batch, ExportError, ExportFuture, Receipt, SpanExporter};
use throughline::testing::{OtlpReceiver, Response};
use tracing::{Event, Subscriber, span};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry};

const LONG: Duration = Duration::from_secs(60);

/// Notes on which threads spans and events come up.
#[derive(Clone, Default)]
struct Threads(Arc<Mutex<Vec<String>>>);

impl Threads {
    fn note(&self, what: &str, target: &str) {
        let here = thread::current();
        let name = here.name().unwrap_or("a thread without a name");
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(format!("{what} of {target} on {name}"));
    }

    /// What came up since the last call, but for the receiver's thread, which stands for another process.
    fn take(&self) -> Vec<String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = std::mem::take(&mut *seen);
        seen.retain(|line| !line.ends_with(" on otlp-receiver"));
        seen
    }
}

impl<S: Subscriber> Layer<S> for Threads {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.note("a span", attributes.metadata().target());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.note("a record", event.metadata().target());
    }
}

/// What a library does that is instrumented in every way.
fn make_noise() {
    let _span = throughline::span!("noise").enter();
    let _entered = tracing::trace_span!("noise").entered();
    tracing::trace!("noise");
    tracing::error!("noise");
    log::trace!("noise");
    log::error!("noise");
}

/// Makes noise wherever an exporter's code may run, and looks a name up.
struct Noisy;

impl SpanExporter for Noisy {
    fn export(&mut self, _: Batch) -> ExportFuture<'_> {
        make_noise();
        Box::pin(async {
            make_noise();
            let task = tokio::spawn(async { make_noise() });
            let helper = tokio::task::spawn_blocking(make_noise);
            for done in [task.await, helper.await] {
                done.map_err(|error| ExportError::permanent("test", error.to_string()))?;
            }
            let looked_up = tokio::net::lookup_host("localhost:1").await;
            let receipt = looked_up.map(|_| Receipt::complete());
            receipt.map_err(|error| ExportError::permanent("dns", error.to_string()))
        })
    }

    fn flush(&mut self) -> ExportFuture<'_> {
        make_noise();
        Box::pin(async { Err(ExportError::permanent("test", "for the sake of a warning")) })
    }

    fn destination(&self) -> String {
        make_noise();
        "a noisy exporter".to_owned()
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        make_noise();
    }
}

fn record(pipeline: &Pipeline, count: u64) {
    let _here = pipeline.context().attach();
    for _ in 0..count {
        throughline::span!("work").in_scope(|| ());
    }
}

#[test]
fn the_export_causes_no_span_and_no_record() {
    let threads = Threads::default();
    let subscriber = Registry::default()
        .with(threads.clone())
        .with(throughline::tracing::TraceLayer::new());
    tracing::subscriber::set_global_default(subscriber).expect("this test is alone");
    tracing_log::LogTracer::init().expect("this test is alone");
    log::set_max_level(log::LevelFilter::Trace);

    // What it would be if it were seen.
    make_noise();
    assert_eq!(threads.take().len(), 5);

    let receiver = OtlpReceiver::start().expect("a receiver");
    let port = receiver.addr().port();
    // By a name, which takes a thread of its own to look up; over a protocol and an encryption that the receiver does
    // not speak, so that there is something to say.
    for (protocol, endpoint) in [
        ("http/protobuf", format!("http://localhost:{port}")),
        ("http/protobuf", "http://name.invalid:4318".to_owned()),
        ("http/protobuf", format!("https://localhost:{port}")),
        ("grpc", format!("http://localhost:{port}")),
        ("grpc", format!("https://localhost:{port}")),
    ] {
        let pipeline = Pipeline::builder()
            .env_from(|name| match name {
                "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
                "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
                _ => None,
            })
            .schedule_delay(LONG)
            .start()
            .expect("it starts");
        receiver.respond_with([Response::new(503), Response::drop_connection()]);
        record(&pipeline, 10);
        let _ = pipeline.flush(Duration::from_millis(500));
        record(&pipeline, 10);
        let _ = pipeline.shutdown(Duration::from_millis(500));
        assert_eq!(threads.take(), Vec::<String>::new());
        let stats = pipeline.stats();
        assert_eq!((stats.started, stats.unaccounted()), (20, 0), "{stats}");
    }

    let pipeline = Pipeline::builder()
        .exporter(Noisy)
        .start()
        .expect("it starts");
    threads.take();
    for _ in 0..3 {
        record(&pipeline, 10);
        let report = pipeline.flush(LONG);
        assert_eq!(report.exported, 10, "{report}");
    }
    let _ = pipeline.shutdown(LONG);
    assert_eq!(threads.take(), Vec::<String>::new());
    let stats = pipeline.stats();
    assert_eq!((stats.started, stats.unaccounted()), (30, 0), "{stats}");
}
