//! Spans to export, exporters to script, and the lines that the pipeline says.

use std::collections::HashSet;
use std::future::ready;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind, diagnostics};
use throughline_export::{
    Batch, ExportFuture, Pipeline, PipelineBuilder, PipelineStats, Receipt, SpanExporter,
};
use throughline_testing::{OtlpReceiver, Value};

/// Longer than anything takes that is not broken.
pub(crate) const LONG: Duration = Duration::from_secs(60);

const fn spec(name: &'static str, scope_name: &'static str) -> CallsiteSpec {
    CallsiteSpec {
        name,
        kind: SpanKind::Internal,
        level: Level::Info,
        target: "it",
        scope_name,
        scope_version: "1.2.3",
        static_fields: &[],
    }
}

static WORK: Callsite = Callsite::new(spec("work", "it"));
static OTHER: Callsite = Callsite::new(spec("other", "another scope"));

/// Records spans with these ids in the current context.
pub(crate) fn record(ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        let mut span = Span::start(&WORK);
        span.set_attribute("id", id);
        span.end();
    }
}

/// Records a span of another instrumentation scope.
pub(crate) fn record_other() {
    Span::start(&OTHER).end();
}

/// A span that is still open.
pub(crate) fn open_span() -> Span {
    Span::start(&WORK)
}

/// Records spans with these ids in a pipeline.
pub(crate) fn record_in(pipeline: &Pipeline, ids: impl IntoIterator<Item = u64>) {
    let _here = pipeline.context().attach();
    record(ids);
}

pub(crate) fn receiver() -> OtlpReceiver {
    OtlpReceiver::start().expect("a receiver starts")
}

/// A pipeline that exports to a receiver and sends batches at a flush only.
pub(crate) fn to(receiver: &OtlpReceiver) -> PipelineBuilder {
    Pipeline::builder()
        .endpoint(&receiver.endpoint())
        .schedule_delay(LONG)
}

/// The ids that a receiver got, each of them once.
pub(crate) fn received_ids(receiver: &OtlpReceiver) -> HashSet<u64> {
    let spans = receiver.spans();
    let ids: HashSet<u64> = spans
        .iter()
        .filter_map(|span| match span.attribute("id") {
            Some(Value::Int(id)) => u64::try_from(*id).ok(),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), spans.len(), "no span came twice");
    ids
}

/// A string attribute of the resource of the first span.
pub(crate) fn resource_text(receiver: &OtlpReceiver, key: &str) -> Option<String> {
    match receiver.spans().first()?.resource_attribute(key)? {
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// Checks that nothing is missing, and that nothing is left to happen.
#[track_caller]
pub(crate) fn assert_settled(stats: &PipelineStats) {
    assert_eq!(stats.unaccounted(), 0, "{stats}");
    for destination in &stats.destinations {
        assert_eq!(destination.total(), stats.started, "{destination:?}");
    }
    assert_eq!(
        (stats.queued, stats.in_flight, stats.live),
        (0, 0, 0),
        "{stats}"
    );
}

/// An exporter that only counts, and waits for its gate before each batch.
#[derive(Clone, Default)]
pub(crate) struct Gated(Arc<GateState>);

#[derive(Default)]
struct GateState {
    gate: tokio::sync::Notify,
    open: Mutex<bool>,
    batches: Mutex<Vec<u64>>,
    changed: Condvar,
}

impl Gated {
    pub(crate) fn open(&self) {
        *self.0.open.lock().unwrap() = true;
        self.0.gate.notify_one();
    }

    /// The spans of each batch that passed.
    pub(crate) fn batches(&self) -> Vec<u64> {
        self.0.batches.lock().unwrap().clone()
    }

    pub(crate) fn spans(&self) -> u64 {
        self.batches().iter().sum()
    }
}

impl SpanExporter for Gated {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        Box::pin(async move {
            while !*self.0.open.lock().unwrap() {
                self.0.gate.notified().await;
            }
            self.0.batches.lock().unwrap().push(batch.spans());
            self.0.changed.notify_all();
            Ok(Receipt::complete())
        })
    }
}

/// An exporter made of a function.
pub(crate) struct Function<F>(pub(crate) F);

impl<F> SpanExporter for Function<F>
where
    F: FnMut(Batch) -> Result<Receipt, throughline_export::ExportError> + Send,
{
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        let result = (self.0)(batch);
        Box::pin(ready(result))
    }
}

/// An exporter with a name that only one test knows.
pub(crate) struct Named<E>(pub(crate) &'static str, pub(crate) E);

impl<E: SpanExporter> SpanExporter for Named<E> {
    fn export(&mut self, batch: Batch) -> ExportFuture<'_> {
        self.1.export(batch)
    }

    fn destination(&self) -> String {
        self.0.to_owned()
    }
}

/// All lines that any pipeline of this process said.
#[derive(Default)]
struct Lines {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

fn lines() -> &'static Lines {
    static LINES: OnceLock<Arc<Lines>> = OnceLock::new();
    LINES.get_or_init(|| {
        let lines = Arc::new(Lines::default());
        let sink = Arc::clone(&lines);
        diagnostics::set_sink(Some(Arc::new(move |_level, line| {
            sink.lines.lock().unwrap().push(line.to_string());
            sink.more.notify_all();
        })));
        lines
    })
}

/// Makes sure that lines are kept from here on.
pub(crate) fn listen() {
    lines();
}

/// The lines that mention something only one test knows, such as its port.
pub(crate) fn lines_about(subject: &str) -> Vec<String> {
    let all = lines().lines.lock().unwrap();
    all.iter()
        .filter(|line| line.contains(subject))
        .cloned()
        .collect()
}

/// Waits for a line about something.
pub(crate) fn wait_for_line(subject: &str, part: &str) -> String {
    let deadline = Instant::now() + LONG;
    let mut all = lines().lines.lock().unwrap();
    loop {
        let found = all
            .iter()
            .find(|line| line.contains(subject) && line.contains(part));
        if let Some(line) = found {
            return line.clone();
        }
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "no line with {part:?} about {subject}");
        all = lines().more.wait_timeout(all, left).unwrap().0;
    }
}

/// Waits until the stats are as wanted.
pub(crate) fn wait_for_stats(
    pipeline: &Pipeline,
    wanted: impl Fn(&PipelineStats) -> bool,
) -> PipelineStats {
    let deadline = Instant::now() + LONG;
    loop {
        let stats = pipeline.stats();
        if wanted(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "{stats}");
        std::thread::yield_now();
    }
}
