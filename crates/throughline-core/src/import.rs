//! Spans that another library recorded and that go through a recorder of ours.

use crate::callsite::Callsite;
use crate::live::LiveSpan;
use crate::local;
use crate::recorder::Recorder;
use crate::span_context::SpanContext;

/// What another library knows about a span that has ended.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "integrations write it as a literal"
)]
pub struct FinishedSpan {
    /// What the filter compares, and the name, kind and scope that the span has unless it is given others.
    pub callsite: &'static Callsite,
    /// The identity of the span.
    pub context: SpanContext,
    /// The parent, of which the id and the place (remote or not) are recorded; invalid for a root.
    pub parent: SpanContext,
    /// When the span started, as a unix time in nanoseconds.
    pub start_unix_nanos: u64,
    /// When the span ended; an end before the start becomes the start.
    pub end_unix_nanos: u64,
}

impl Recorder {
    /// Records a span that ended elsewhere, with its own ids and times; `fill` adds what else is known of it. Counted
    /// as one that started and ended here.
    ///
    /// `false` if nothing was recorded: the span is not sampled, its ids are invalid, the filter rejects its callsite,
    /// or recording is [suppressed](crate::suppress) on this thread.
    ///
    /// ```
    /// use throughline_core::{
    ///     Callsite, CallsiteSpec, FinishedSpan, Level, Recorder, RecorderConfig, SpanContext, SpanKind,
    /// };
    ///
    /// static CALLSITE: Callsite = Callsite::new(CallsiteSpec {
    ///     name: "work",
    ///     kind: SpanKind::Internal,
    ///     level: Level::Info,
    ///     target: "elsewhere",
    ///     scope_name: "elsewhere",
    ///     scope_version: "",
    ///     static_fields: &[],
    /// });
    ///
    /// let recorder = Recorder::start(RecorderConfig::default());
    /// let finished = FinishedSpan {
    ///     callsite: &CALLSITE,
    ///     context: SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?,
    ///     parent: SpanContext::INVALID,
    ///     start_unix_nanos: 1_700_000_000_000_000_000,
    ///     end_unix_nanos: 1_700_000_000_000_000_042,
    /// };
    /// assert!(recorder.import(&finished, |span| span.set_attribute("answer", 42)));
    /// assert_eq!(recorder.stats().published, 1);
    /// # Ok::<(), throughline_core::TraceparentError>(())
    /// ```
    pub fn import(&self, span: &FinishedSpan, fill: impl FnOnce(&mut LiveSpan)) -> bool {
        span.context.is_sampled()
            && span.callsite.is_enabled()
            && local::import(span, self.context().recorder(), fill)
    }
}
