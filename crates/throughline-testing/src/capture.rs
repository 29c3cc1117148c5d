//! Captures the spans of one test, side by side with the tests that run next to it.
//!
//! Owns a recorder and what was drained from it. What it shows went the whole way: it was encoded as the exporter
//! encodes it and decoded by `opentelemetry-proto`. Rules of concurrency:
//!
//! 1. Draining happens under the lock of `drained`, so that a caller sees all that ended before it asked, whoever
//!    else asks at the same time.
//! 2. Nothing is bound to a thread: a span belongs to a capture by the recorder its context names.

use std::fmt::Display;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use throughline_core::clock::Anchor;
use throughline_core::{
    Context, ContextGuard, FutureExt, Recorder, RecorderConfig, RecorderStats, Scratch, SpanContext,
};
use throughline_wire::{Scope, put_request, put_scope};

use crate::decode;
use crate::options::TreeOptions;
use crate::span::ReceivedSpan;
use crate::trace::Trace;

/// Records the spans of one test in a recorder of its own.
///
/// Work belongs to the capture when it runs under its [context](Self::context), on whatever thread or task that
/// context is carried to. Tests with captures run in parallel without seeing each other. A span shows up when it has
/// ended.
///
/// For code whose traces start with no context to inherit (a server that a test drives over a socket, say) there is
/// [`Capture::global`].
///
/// Clones are the same capture; recording ends with the last one.
#[derive(Clone, Debug)]
pub struct Capture {
    recorder: Recorder,
    drained: Arc<Mutex<Drained>>,
}

impl Capture {
    /// Starts a recorder that takes every trace.
    #[must_use]
    pub fn start() -> Self {
        Self::with_config(RecorderConfig::default())
    }

    /// Starts a recorder with this configuration: another sampler, other limits.
    #[must_use]
    pub fn with_config(config: RecorderConfig) -> Self {
        Self {
            recorder: Recorder::start(config),
            drained: Arc::default(),
        }
    }

    /// The capture of the process-wide recorder: all traces that start where no other recorder's context is current.
    ///
    /// The first call installs it, for as long as the process runs; all callers share it. So take single traces from
    /// it, by [id](Self::trace) or by [context](Self::trace_of): the others may belong to other tests.
    ///
    /// # Panics
    ///
    /// If the process-wide recorder is already something else.
    #[must_use]
    pub fn global() -> Self {
        static GLOBAL: OnceLock<Capture> = OnceLock::new();
        let install = || {
            let capture = Self::start();
            let installed = capture.recorder.install_global();
            installed.expect("`Capture::global` is the first to install a process-wide recorder");
            capture
        };
        GLOBAL.get_or_init(install).clone()
    }

    /// A context without a span: traces that start under it are captured here.
    #[must_use]
    pub fn context(&self) -> Context {
        self.recorder.context()
    }

    /// Makes [`context`](Self::context) current on this thread until the guard is dropped.
    pub fn attach(&self) -> ContextGuard {
        self.context().attach()
    }

    /// Runs a future under [`context`](Self::context), on whatever threads it is polled.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        future.with_context(self.context()).await
    }

    /// The recorder, for code that is handed one.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The counts of the recorder.
    #[must_use]
    pub fn stats(&self) -> RecorderStats {
        self.recorder.stats()
    }

    /// A copy of all spans that have ended: thread by thread, in order of their ends within a thread.
    #[must_use]
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.read(<[_]>::to_vec)
    }

    /// All traces, ordered by the start of their first spans.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.read(Trace::group)
    }

    /// One trace, by its id: a `TraceId`, or text of 32 hexadecimal digits. Empty if none of its spans has ended.
    #[must_use]
    pub fn trace(&self, trace_id: impl Display) -> Trace {
        match trace_id.to_string().parse() {
            Ok(trace_id) => self.read(|spans| Trace::of(trace_id, spans)),
            Err(_) => Trace::default(),
        }
    }

    /// The trace that a context or a span context belongs to.
    #[must_use]
    pub fn trace_of(&self, context: impl Into<SpanContext>) -> Trace {
        self.trace(context.into().trace_id())
    }

    /// All traces as text, one below the other.
    #[must_use]
    pub fn tree(&self) -> String {
        self.tree_with(&TreeOptions::new())
    }

    /// All traces as text, with other options.
    #[must_use]
    pub fn tree_with(&self, options: &TreeOptions) -> String {
        let trees = self
            .traces()
            .into_iter()
            .map(|trace| trace.tree_with(options));
        trees.collect::<Vec<_>>().join("\n")
    }

    /// Drains the recorder, then looks at all spans captured so far.
    fn read<T>(&self, look: impl FnOnce(&[ReceivedSpan]) -> T) -> T {
        let mut drained = self.drained.lock().unwrap_or_else(PoisonError::into_inner);
        drained.take(&self.recorder);
        look(&drained.spans)
    }
}

/// What came out of a recorder.
#[derive(Debug)]
struct Drained {
    /// Kept for the whole capture, so that the order of spans cannot depend on when they were drained.
    anchor: Anchor,
    scratch: Scratch,
    spans: Vec<ReceivedSpan>,
}

impl Default for Drained {
    fn default() -> Self {
        Self {
            anchor: Anchor::now(),
            scratch: Scratch::default(),
            spans: Vec::new(),
        }
    }
}

impl Drained {
    fn take(&mut self, recorder: &Recorder) {
        // One element per run of spans of the same scope, which keeps the order across scopes.
        let mut runs: Vec<Run> = Vec::new();
        recorder.drain(|record| {
            let scope = record.callsite().scope();
            if runs.last().is_none_or(|run| run.scope != scope) {
                runs.push(Run::new(scope));
            }
            if let Some(run) = runs.last_mut() {
                record.encode(&self.anchor, &mut self.scratch, &mut run.spans);
            }
            ControlFlow::Continue(())
        });
        let mut request = Vec::new();
        let runs = runs.iter().map(|run| (&run.fields[..], &run.spans[..]));
        put_request(&mut request, &[], "", runs);
        // Anything else is a defect of the encoder, which every test should fail on.
        let spans = decode::request(&request).expect("the recorder makes valid requests");
        self.spans.extend(spans);
    }
}

/// Spans of one scope that were drained one after another.
struct Run {
    scope: (&'static str, &'static str),
    /// The encoded scope.
    fields: Vec<u8>,
    /// The encoded spans.
    spans: Vec<u8>,
}

impl Run {
    fn new(scope: (&'static str, &'static str)) -> Self {
        let (name, version) = scope;
        let mut fields = Vec::new();
        let encoded = Scope {
            name,
            version,
            ..Scope::default()
        };
        put_scope(&mut fields, &encoded);
        Self {
            scope,
            fields,
            spans: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use throughline_core::{
        Callsite, CallsiteSpec, Level, Sampler, Span, SpanId, SpanKind, Status, TraceFlags, TraceId,
    };
    use throughline_wire::key;

    use super::*;

    static ORDER: Callsite = callsite("POST /orders", SpanKind::Server, "shop");
    static PLACE: Callsite = callsite("place_order", SpanKind::Internal, "shop");
    static NOTIFY: Callsite = callsite("notify", SpanKind::Producer, "mail");

    #[test]
    fn the_picture_is_what_was_recorded() {
        let capture = Capture::start();
        {
            let _attached = capture.attach();
            let order = Span::start(&ORDER).enter();
            let mut place = Span::start(&PLACE);
            place.attribute(&const { key!("order.id") }, 42);
            place.add_event("charged", |event| {
                event.attribute(&const { key!("card") }, "visa");
            });
            place.set_status(Status::Error, "out of stock");
            place.add_link(Context::current());
            let place = place.enter();
            Span::start(&NOTIFY).end();
            drop(place);
            drop(order);
            Span::start(&NOTIFY).end();
        }
        insta::assert_snapshot!(capture.tree(), @r#"
        POST /orders [server]
        └─ place_order {order.id=42} error: out of stock
           │  • charged {card="visa"}
           │  → POST /orders
           └─ notify [producer]
        notify [producer]
        "#);
        let traces = capture.traces();
        assert_eq!(traces.len(), 2);
        let notify = traces[0].assert_complete().find("notify");
        let scope = &notify.expect("a span of the other crate").scope;
        assert_eq!(
            (scope.name.as_str(), scope.version.as_str()),
            ("mail", "1.0.0")
        );
        assert_eq!(capture.stats().published, 4);
    }

    #[test]
    fn an_open_span_shows_up_when_it_has_ended() {
        let capture = Capture::start();
        let span = Span::start_with(&PLACE, capture.context());
        let context = span.context();
        assert!(capture.trace_of(&context).is_empty());
        span.end();
        assert_eq!(capture.trace_of(context).assert_complete().len(), 1);
        assert_eq!(capture.spans().len(), 1);
    }

    #[test]
    fn captures_of_parallel_tests_do_not_see_each_other() {
        let captures = [Capture::start(), Capture::start()];
        let turn = Barrier::new(2);
        thread::scope(|scope| {
            for (capture, callsite) in captures.iter().zip([&ORDER, &NOTIFY]) {
                let turn = &turn;
                scope.spawn(move || {
                    let _attached = capture.attach();
                    for _ in 0..100 {
                        turn.wait();
                        Span::start(callsite).end();
                    }
                });
            }
        });
        // The same thread may work for both, too.
        Span::start_with(&PLACE, captures[1].context()).end();
        let names = |capture: &Capture| {
            let mut names: Vec<_> = capture.spans().into_iter().map(|span| span.name).collect();
            names.dedup();
            names
        };
        assert_eq!(names(&captures[0]), ["POST /orders"]);
        let mut second = names(&captures[1]);
        second.sort();
        assert_eq!(second, ["notify", "place_order"]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_future_is_captured_on_whatever_thread_it_runs() {
        let capture = Capture::start();
        let work = async {
            Span::start(&ORDER).end();
            tokio::task::yield_now().await;
            Span::start(&PLACE).end();
        };
        let task = tokio::spawn({
            let capture = capture.clone();
            async move {
                let order = Span::start_with(&ORDER, capture.context());
                let context = order.context();
                capture.run(work.in_span(order)).await;
                context
            }
        });
        let context = task.await.expect("the task does not panic");
        insta::assert_snapshot!(capture.trace_of(context).assert_complete().tree(), @r"
        POST /orders [server]
        ├─ POST /orders [server]
        └─ place_order
        ");
        assert_eq!(Context::current(), Context::default());
    }

    #[test]
    fn the_global_capture_is_read_by_trace() {
        let of_this_test = Span::start_with(&PLACE, Capture::global().context());
        let context = of_this_test.context();
        of_this_test.end();
        // What starts with no context at all goes to the same place.
        let unrelated = Span::start(&ORDER);
        let unrelated_id = unrelated.context().span_context().trace_id();
        unrelated.end();
        let capture = Capture::global();
        assert_eq!(capture.trace_of(context).tree(), "place_order");
        assert_eq!(capture.trace(unrelated_id).tree(), "POST /orders [server]");
    }

    #[test]
    fn a_configuration_is_obeyed_and_a_remote_parent_recognised() {
        let mut config = RecorderConfig::default();
        config.sampler = Sampler::parent_based(Sampler::always_off());
        let capture = Capture::with_config(config);
        let _attached = capture.attach();
        Span::start(&ORDER).end();
        assert_eq!(capture.tree(), "");
        let trace_id = TraceId::from_bytes([5; 16]);
        let span_id = SpanId::from_bytes([6; 8]);
        let caller = SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true);
        Span::start_with(&ORDER, caller).end();
        let trace = capture.trace(trace_id);
        assert_eq!(
            trace.assert_complete().tree(),
            "POST /orders [server] (remote parent)"
        );
    }

    const fn callsite(name: &'static str, kind: SpanKind, scope_name: &'static str) -> Callsite {
        Callsite::new(CallsiteSpec {
            name,
            kind,
            level: Level::Info,
            target: "capture",
            scope_name,
            scope_version: "1.0.0",
            static_fields: throughline_wire::static_fields!["code.line.number" = int(7)],
        })
    }
}
