//! From spans of `tracing` to the spans that record them.
//!
//! Owns the extension that [`TraceLayer`](crate::TraceLayer) leaves in a span of the registry, and the way to it. It
//! must not know what is recorded.
//!
//! Nothing here holds the lock of a span's extensions while anything else is locked or code of the user runs.

use throughline_core::{Context, SharedSpan};
use tracing::{Dispatch, Id};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// What the layer keeps in a span of the registry.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// There until it is dropped.
    span: Option<SharedSpan>,
}

impl Recorded {
    pub(crate) const fn new(span: SharedSpan) -> Self {
        Self { span: Some(span) }
    }
}

impl Drop for Recorded {
    /// A layer that was taken out of its subscriber while the span was open hears of nothing any more. Then the span
    /// ends here, and at least on this thread it is not left entered.
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            if !span.is_ended() {
                end_late(&span);
            }
            // The registry clears its span last, so as a rule nobody else has it any more.
            span.recycle();
        }
    }
}

#[cold]
#[inline(never)]
fn end_late(span: &SharedSpan) {
    span.exit();
    span.end();
}

/// The span that records this one.
#[inline]
pub(crate) fn recorded<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<SharedSpan> {
    span.extensions()
        .get::<Recorded>()
        .and_then(|recorded| recorded.span.clone())
}

/// The span that records this one, or the innermost around it that is recorded.
pub(crate) fn nearest<'a, R: LookupSpan<'a>>(span: &SpanRef<'a, R>) -> Option<SharedSpan> {
    recorded(span).or_else(|| span.scope().skip(1).find_map(|outer| recorded(&outer)))
}

/// As [`nearest`], for a span that the filter of the layer that asks may hide.
pub(crate) fn nearest_unfiltered<S>(dispatch: &Dispatch, id: &Id) -> Option<SharedSpan>
where
    S: for<'a> LookupSpan<'a> + 'static,
{
    nearest(&dispatch.downcast_ref::<S>()?.span(id)?)
}

/// The context of a `tracing` span, whether it is entered or not; empty if it is not recorded.
///
/// What runs inside the span finds the same by [`Context::current`]; this is for code that holds the span and hands
/// work to elsewhere. If the span itself is filtered out, the result is that of the span around it. It takes a
/// subscriber that is built on [`Registry`].
///
/// ```
/// let span = tracing::info_span!("job");
/// let context = throughline_tracing::context_of(&span);
/// std::thread::spawn(move || {
///     let _here = context.attach();
///     // Spans that start here are children of `job`.
/// })
/// .join()
/// .unwrap();
/// ```
pub fn context_of(span: &tracing::Span) -> Context {
    let found = span.with_subscriber(|(id, dispatch)| nearest_unfiltered::<Registry>(dispatch, id));
    found
        .flatten()
        .map_or_else(Context::default, |span| span.context())
}
