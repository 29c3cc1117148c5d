//! Traces and logs everything that `tracing` and `log` offer, while the export fails and succeeds.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use throughline::core::{Filter, Level, diagnostics, set_filter};
use throughline::tracing::{TraceLayer, install_log_tracer};
use throughline::{Pipeline, span};
use throughline_tests::support::{inv, load};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::{say, say_ids, say_stats};

const OWN: &str = "feedback::own";

/// Counts what reaches the subscriber: ours, and what only the export can have made.
#[derive(Clone, Default)]
struct Counted(Arc<(AtomicU64, AtomicU64)>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Counted {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A record of `log` carries its target in a field; ours says so in its message.
        let mut own = event.metadata().target() == OWN;
        event.record(
            &mut |_: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                own |= format!("{value:?}").contains(OWN);
            },
        );
        let count = if own { &self.0.0 } else { &self.0.1 };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) fn run() {
    set_filter(Filter::at(Level::Trace));
    let counted = Counted::default();
    let subscriber = tracing_subscriber::registry()
        .with(counted.clone())
        .with(TraceLayer::new());
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber");
    assert!(install_log_tracer(), "the only logger");
    // What the pipeline says goes where an application may send it: into its own log.
    diagnostics::set_sink(Some(Arc::new(|_, line| {
        tracing::warn!(target: OWN, "{line}");
    })));
    let pipeline = Pipeline::builder()
        .env()
        .schedule_delay(Duration::from_millis(20))
        .start_global()
        .expect("a pipeline starts");
    for round in 0..5 {
        say_ids(load::record(20));
        let root = span!("root");
        say_ids([load::id_of(&root)]);
        root.in_scope(|| {
            tracing::info!(target: OWN, round, "an event");
        });
        let _ = pipeline.flush(Duration::from_secs(30));
    }
    let _ = inv::settle(&pipeline, Duration::from_secs(30));
    let _ = pipeline.shutdown(Duration::from_secs(10));
    for _ in 0..100 {
        tracing::error!(target: OWN, "after the shutdown");
    }
    say("own_records", counted.0.0.load(Ordering::Relaxed));
    say("foreign_records", counted.0.1.load(Ordering::Relaxed));
    say_stats(&pipeline.stats());
}
