//! One subscriber for the whole binary, others for the tests that need one, and what log output is written to.

use std::io;
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};

use throughline_core::{Callsite, CallsiteSpec, Level, Span, SpanKind};
use throughline_testing::Capture;
use throughline_tracing::TraceLayer;
use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;

/// A scoped subscriber makes `tracing` refuse events from inside of events, on all threads. Tests of just that have
/// the process to themselves; those with a subscriber of their own share it.
static SCOPED: RwLock<()> = RwLock::new(());

/// Runs `f` with the layer on a registry as the subscriber, and draws what it recorded.
pub(crate) fn picture(f: impl FnOnce()) -> String {
    let capture = Capture::start();
    captured(&capture, f);
    capture.tree()
}

/// As [`picture`], for a capture made elsewhere.
pub(crate) fn captured<R>(capture: &Capture, f: impl FnOnce() -> R) -> R {
    use_global();
    let _here = capture.attach();
    f()
}

/// Installs the subscriber of the binary: the bare layer.
pub(crate) fn use_global() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(TraceLayer::new());
        tracing::subscriber::set_global_default(subscriber).expect("nobody else installs one");
    });
}

/// Runs `f` under a subscriber of its own.
pub(crate) fn under<R>(subscriber: impl Subscriber + Send + Sync, f: impl FnOnce() -> R) -> R {
    use_global();
    let _shared = SCOPED.read().unwrap_or_else(PoisonError::into_inner);
    tracing::subscriber::with_default(subscriber, f)
}

/// Runs `f` while no test has a subscriber of its own.
pub(crate) fn alone<R>(f: impl FnOnce() -> R) -> R {
    let _alone = SCOPED.write().unwrap_or_else(PoisonError::into_inner);
    f()
}

/// A native callsite.
pub(crate) const fn callsite(name: &'static str) -> Callsite {
    Callsite::new(CallsiteSpec {
        name,
        kind: SpanKind::Internal,
        level: Level::Info,
        target: "it::native",
        scope_name: "it",
        scope_version: "",
        static_fields: &[],
    })
}

/// A native span.
pub(crate) fn native() -> Span {
    static NATIVE: Callsite = callsite("native");
    Span::start(&NATIVE)
}

/// Where log lines go.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    pub(crate) fn writer(&self) -> impl Fn() -> Self + Send + Sync + use<> {
        let output = self.clone();
        move || output.clone()
    }

    pub(crate) fn text(&self) -> String {
        let bytes = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        String::from_utf8(bytes).expect("formats write UTF-8")
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
