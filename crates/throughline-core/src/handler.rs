//! Handlers: spans that stand for the handling of one message, which two layers may observe.
//!
//! A host's integration and an attribute on the handler see the same message. Whoever comes first starts the span and
//! offers it; the layer further in takes it over, once, instead of making one of its own. Where the trace is not sampled
//! there is no span to keep, and the handler runs in a context of its own. Either way its end makes one measurement, if
//! somebody measures.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::context::{Context, Plain};
use crate::future::{Inspect, NoInspection};
use crate::kind::Outcome;
use crate::labels::Labels;
use crate::local::{self, Offer, Token};
use crate::measure;
use crate::origin::Origin;
use crate::span::Span;
use crate::switch;

/// What an open span knows of its being a handler's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handling {
    /// Whether it is.
    pub(crate) is_handler: bool,
    /// Whether a layer further in may still take it over.
    pub(crate) is_offered: bool,
    /// Whether nobody waits for the reply any more.
    pub(crate) is_abandoned: bool,
    /// Whether it is one of an operation beside, which is measured like a handler.
    pub(crate) is_operation: bool,
    /// Whether its end is to be measured, if it is one of both.
    pub(crate) is_measured: bool,
}

/// What a measurement says that neither the span nor its callsite does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The ticks that the message waited, and one more; zero if that is not known.
    pub(crate) wait: u64,
    pub(crate) labels: Labels,
    /// How many messages it handles at once, if that is not one; else zero.
    pub(crate) messages: u32,
    /// Of one that is not recording: what it failed with.
    pub(crate) error_type: Option<&'static str>,
}

impl Told {
    fn after(wait: Option<u64>) -> Self {
        Self {
            wait: wait.map_or(0, |ticks| ticks.saturating_add(1)),
            ..Self::default()
        }
    }
}

impl Span {
    /// Says that the span stands for the handling of a message: one layer further in may take it over.
    #[inline]
    pub fn offer(&mut self) {
        if let Some(live) = self.live_mut() {
            let handling = live.handling_mut();
            handling.is_handler = true;
            handling.is_offered = true;
        }
    }

    /// Says that the span stands for the handling of a message, and that nobody else observes it.
    #[inline]
    pub fn keep(&mut self) {
        if let Some(live) = self.live_mut() {
            live.handling_mut().is_handler = true;
        }
    }

    /// Says that the span is of a message that arrived, after so many ticks as far as is known: if it is offered or
    /// kept, its end is measured. `callsite` is where the span was made.
    #[inline]
    pub fn arrived(&mut self, callsite: &'static Callsite, wait: Option<u64>) {
        if measure::is_on()
            && let Some(live) = self.live_mut()
            && local::is_measuring(live.context().recorder())
        {
            live.measure(callsite, Told::after(wait));
        }
    }

    /// Says that the span is of an operation on messages that is no handler's, such as sending one: its end is measured.
    /// `callsite` is where the span was made.
    #[inline]
    pub fn operates(&mut self, callsite: &'static Callsite) {
        self.arrived(callsite, None);
        if let Some(live) = self.live_mut() {
            live.handling_mut().is_operation = true;
        }
    }

    /// Says that what the span is about began earlier, also where the span is only measured.
    pub fn since(&mut self, at: Ticks) {
        if let Some(live) = self.live_mut()
            && live.ends_somehow()
        {
            live.start_since(at);
        }
    }

    /// Says what the span's operation failed with, if it is measured and not recording: else the span has it.
    pub fn failed(&mut self, error_type: impl FnOnce() -> &'static str) {
        if let Some(live) = self.live_mut()
            && live.ends_somehow()
            && !live.is_recording()
        {
            live.note_failure(error_type());
        }
    }

    /// Says how many messages the span is about.
    pub fn takes(&mut self, messages: usize) {
        if let Some(live) = self.live_mut()
            && live.handling().is_measured
        {
            live.told.messages = u32::try_from(messages).unwrap_or(u32::MAX);
        }
    }

    /// Gives the measurement of the span what it says beside the attributes of the callsite, if there will be one.
    #[inline]
    pub fn label<'a, const N: usize>(
        &mut self,
        pairs: impl FnOnce() -> [(&'static str, Option<&'a str>); N],
    ) {
        if let Some(live) = self.live_mut()
            && live.handling().is_measured
        {
            live.told.labels = labels(pairs());
        }
    }
}

/// The set of those that have a value.
fn labels<const N: usize>(pairs: [(&'static str, Option<&str>); N]) -> Labels {
    let mut known = [("", ""); N];
    let mut count = 0;
    for (key, value) in pairs {
        if let Some(value) = value {
            known[count] = (key, value);
            count += 1;
        }
    }
    Labels::intern(&known[..count])
}

/// Whether handlers in that context are measured.
#[inline]
pub fn is_measured(context: &Context) -> bool {
    measure::is_on() && local::is_measuring(context.recorder())
}

/// Says of the innermost handler on this thread what it failed with, if its trace is not sampled: of others the span has
/// it.
#[inline]
pub fn failed(error_type: &'static str) {
    if measure::is_on() {
        local::with(|local| local.note_failure(error_type));
    }
}

/// Says of the operation whose span is current what it failed with, if its trace is not sampled: of others the span has
/// it.
#[inline]
pub fn operation_failed(error_type: &'static str) {
    if measure::is_on() {
        local::with(|local| local.note_operation_failure(error_type));
    }
}

/// Takes the current span over, if it was offered and nobody did before: it becomes one of that callsite, and so does
/// what is measured of a handler without a span.
#[inline]
pub fn take_over(callsite: Option<&'static Callsite>) -> Option<TakenOver> {
    if switch::inner().is_some() {
        return None;
    }
    local::with(|local| local.take_over(callsite)).flatten()
}

/// What [`take_over`] took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a span is one or the other")]
pub enum TakenOver {
    /// A span that is current now.
    Span,
    /// A handler without one: its trace is not sampled.
    Unsampled,
}

/// Says of the innermost handler on this thread that nobody waits for its reply: its span ends *abandoned*, unless it is
/// cancelled or panics.
pub fn abandon() {
    local::with(local::Local::abandon_handler);
}

/// A handler whose trace is not sampled: its context, and nothing that would have to be ended unless somebody measures.
#[derive(Debug)]
pub struct Unsampled {
    context: Plain,
    offer: Offer,
    /// Apart, so that the many that nobody measures stay small.
    measured: Option<Box<Measured>>,
}

/// What is known of such a handler if it is measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) callsite: u32,
    pub(crate) start: Ticks,
    pub(crate) told: Told,
    unwound: bool,
}

impl Measured {
    #[inline(never)]
    fn begin(
        recorder: u32,
        callsite: &'static Callsite,
        waited: Option<(Ticks, Ticks)>,
    ) -> Option<Box<Self>> {
        let mut measured = local::take_measured(recorder)?;
        *measured = Self {
            callsite: callsite.number(),
            // Where the wait ends the handling begins, by one reading of the clock.
            start: waited.map_or_else(clock::now, |(_, now)| now),
            told: Told::after(waited.map(|(sent, now)| now.since(sent))),
            unwound: false,
        };
        Some(measured)
    }
}

impl Unsampled {
    /// The handler under that context, offered; none where the callsite is disabled, or only the start of a
    /// span tells whether it is sampled. `waited` is from when until now the message did, if that is known.
    #[inline(always)]
    pub fn start(
        callsite: &'static Callsite,
        parent: &Context,
        waited: Option<(Ticks, Ticks)>,
    ) -> Option<Self> {
        if parent.span_context().trace_flags().is_sampled()
            || !callsite.is_enabled()
            || switch::is_installed()
            || !parent.span_id().is_valid()
        {
            return None;
        }
        let origin = Origin::of_child(parent.span_context());
        let parent = parent.plain()?;
        let span_id = local::start_unsampled(parent.recorder(), origin);
        if !span_id.is_valid() {
            return None;
        }
        let context = parent.child(span_id);
        let measured = if measure::is_on() {
            Measured::begin(context.recorder(), callsite, waited)
        } else {
            None
        };
        Some(Self {
            context,
            offer: Offer::made(measured.is_some()),
            measured,
        })
    }

    /// Like [`Span::label`].
    pub fn label<'a, const N: usize>(
        &mut self,
        pairs: impl FnOnce() -> [(&'static str, Option<&'a str>); N],
    ) {
        if let Some(measured) = &mut self.measured {
            measured.told.labels = labels(pairs());
        }
    }

    /// Makes the context current until the guard is left.
    #[inline]
    fn enter(&mut self) -> Entered<'_> {
        Entered {
            token: local::attach_handler(self.context, self.offer),
            handler: self,
        }
    }

    /// Measures the handler, if somebody wants that and it was not done before.
    #[inline]
    fn end(&mut self, outcome: Outcome) {
        if let Some(measured) = self.measured.take() {
            self.measure(measured, outcome);
        }
    }

    #[inline(never)]
    fn measure(&self, mut measured: Box<Measured>, outcome: Outcome) {
        measured.callsite = self.offer.taken_by().unwrap_or(measured.callsite);
        local::measure_unsampled(self.context, measured, outcome);
    }
}

/// Restores the context before, and remembers what became of the handler meanwhile.
struct Entered<'a> {
    token: Option<Token>,
    handler: &'a mut Unsampled,
}

impl Entered<'_> {
    #[inline]
    fn leave(mut self) {
        self.detach();
        // Spares each poll a destructor that has nothing left to do.
        std::mem::forget(self);
    }

    #[inline]
    fn detach(&mut self) {
        if let Some(token) = self.token {
            self.handler.offer = local::detach_handler(token);
            if let Some(measured) = &mut self.handler.measured
                && let Some(failed) = local::with(|local| local.take_failure(token)).flatten()
            {
                measured.told.error_type = Some(failed);
            }
        }
    }
}

impl Drop for Entered<'_> {
    #[cold]
    fn drop(&mut self) {
        // Only unwinding skips `leave`.
        self.detach();
        if let Some(measured) = &mut self.handler.measured {
            measured.unwound = true;
        }
    }
}

pin_project! {
    /// A future that runs in the context of a handler whose trace is not sampled.
    #[must_use = "futures do nothing unless polled"]
    pub struct InUnsampled<F, I = NoInspection> {
        // Emptied by the destructor, so that the wrapped value is dropped in the context.
        #[pin]
        inner: Option<F>,
        handler: Unsampled,
        inspect: I,
    }

    impl<F, I> PinnedDrop for InUnsampled<F, I> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.inner.is_some() {
                dropped_early(this.inner, this.handler);
            }
        }
    }
}

/// Ends a handler that is not ready, and never will be.
#[cold]
#[inline(never)]
fn dropped_early<F>(mut inner: Pin<&mut Option<F>>, handler: &mut Unsampled) {
    let measured = handler.measured.as_ref();
    let unwound = measured.is_some_and(|measured| measured.unwound);
    let here = handler.enter();
    inner.set(None);
    here.leave();
    handler.end(if unwound {
        Outcome::Panicked
    } else {
        Outcome::Cancelled
    });
}

impl<F, I> InUnsampled<F, I> {
    /// Wraps the handler; `inspect` is asked of what kind the error is that it returned.
    #[inline(always)]
    pub const fn new(handler: Unsampled, inner: F, inspect: I) -> Self {
        Self {
            inner: Some(inner),
            handler,
            inspect,
        }
    }
}

impl<F: Future, I: Inspect<F::Output>> Future for InUnsampled<F, I> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let here = this.handler.enter();
        let polled = inner.poll(cx);
        if polled.is_ready() {
            // Here and now, where its context is current anyway.
            this.inner.set(None);
        }
        here.leave();
        if let Poll::Ready(output) = &polled
            && let Some(measured) = &mut this.handler.measured
        {
            if let Some(error_type) = this.inspect.error_type(output) {
                measured.told.error_type = Some(error_type);
            }
            this.handler.end(Outcome::Completed);
        }
        polled
    }
}

impl<F, I> fmt::Debug for InUnsampled<F, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InUnsampled")
            .field("handler", &self.handler)
            .finish_non_exhaustive()
    }
}
