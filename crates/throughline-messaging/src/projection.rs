//! Projections: stored events that a handler takes one at a time, a page at a time, or once more.
//!
//! Owns what is a projection's own: the names of its spans, what it passes over, pages, replays, and whether the events
//! of a thread are being replayed just now. Which span is whose parent is the policy's.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;
use throughline_core::{
    Callsite, Context, FutureExt, Inspect, LiveSpan, Span, SpanContext, Status, TraceFlags,
    callsite, current, handler,
};

use crate::arrival::Arrival;
use crate::handled::{self, Handled};
use crate::keys;
use crate::lag::Following;
use crate::observe::{observe, observe_with, try_observe};
use crate::policy::Policy;
use crate::relation::{Operation, Relation};
use crate::selection::Subject;
use crate::standing::{Live, Standing};
use crate::stored::StoredEvent;
use crate::swapped::Swapped;

/// A projection: starts the spans of whoever handles its events.
///
/// The span of an event is called `project {projection} {event type}`, starts a trace of its own unless the policy says
/// otherwise, and links the context that was stored with the event. Events that the projection [passes
/// over](Self::skipping) have none, and are counted.
///
/// ```
/// use throughline_core::Context;
/// use throughline_messaging::{Projection, StoredEvent};
///
/// # async fn update() -> Result<(), std::io::Error> { Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let summary = Projection::new("goal_summary").skipping(["GoalRenamed"]);
/// let stored = Context::default();
/// summary.try_handle(&StoredEvent::new(&stored, "GoalReached").sequence(3), update()).await?;
/// summary.try_handle(&StoredEvent::new(&stored, "GoalRenamed").sequence(4), update()).await?;
/// assert_eq!(summary.skipped(), 1);
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Projection {
    name: String,
    partition: Option<Box<str>>,
    policy: Policy,
    skips: Vec<String>,
    /// A count and nothing else: it is read and written relaxed.
    skipped: AtomicU64,
    /// What all projections of that name have in common, of which this is one.
    standing: Live,
    pub(crate) follower: Following,
}

impl Projection {
    /// A projection of that name, with the [default policy](Policy::new).
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            standing: Standing::of(&name).live(),
            name,
            partition: None,
            policy: Policy::new(),
            skips: Vec::new(),
            skipped: AtomicU64::new(0),
            follower: Following::new(),
        }
    }

    /// One of several that share the work by partitions: `projection.partition` on its spans and its lag. To be said before
    /// it [follows](Self::follow) anything.
    #[must_use]
    pub fn with_partition(mut self, partition: impl Into<Box<str>>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// Another policy. `Policy::from(Relation::Child)` makes young events children of the spans that stored them.
    #[must_use]
    pub const fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Types of events that the projection passes over, beside those it passes over already.
    #[must_use]
    pub fn skipping<T: Into<String>>(mut self, event_types: impl IntoIterator<Item = T>) -> Self {
        self.skips.extend(event_types.into_iter().map(Into::into));
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name as the process keeps it.
    pub(crate) const fn known_name(&self) -> &'static str {
        self.standing.name()
    }

    /// Which partition it has, if it has one.
    #[must_use]
    pub fn partition(&self) -> Option<&str> {
        self.partition.as_deref()
    }

    /// How many events were passed over, whether somebody records or not; a replay counts none again.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped.load(Ordering::Relaxed)
    }

    /// Counts an event that the projection passed over for a reason that is not its type. Where it follows a
    /// [`Head`](crate::Head), say also that it is [handled](Self::handled).
    pub fn skip(&self) {
        self.skipped.fetch_add(1, Ordering::Relaxed);
        self.standing.skip();
    }

    /// Whether anything is to be known of an event here and now: somebody records, or types are passed over and counted, or
    /// it follows a [`Head`](crate::Head), and no replay is going on. What stands in a [`StoredEvent`] need not be found
    /// out otherwise.
    #[must_use]
    pub fn wants_events(&self) -> bool {
        let wants = || PROJECT.is_enabled() || !self.skips.is_empty() || self.is_following();
        !is_replay() && wants()
    }

    /// Whether it passes over this event, which is counted.
    fn skips(&self, event_type: &str) -> bool {
        let skips = self.skips.iter().any(|skipped| skipped == event_type);
        if skips {
            self.skip();
        }
        skips
    }

    /// Starts the span of the handler of one event; disabled for those that the projection passes over, and within a
    /// [replay](Self::replay_page).
    pub fn span(&self, event: &StoredEvent<'_>) -> Span {
        if is_replay() {
            return Span::disabled();
        }
        if self.skips(event.event_type) {
            self.got_past(slice::from_ref(event));
            return Span::disabled();
        }
        self.event_span(event)
    }

    fn event_span(&self, event: &StoredEvent<'_>) -> Span {
        let subject = self.subject().message(event.event_type);
        let arrival = event.arrival(event.lag);
        let mut span = arrival.span_of(&subject, &PROJECT, &self.policy);
        self.label(&mut span, Some(event.event_type));
        span.edit(|span| {
            self.describe(span, Some(event.event_type));
            span.attribute(&keys::EVENT_TYPE, event.event_type);
            if let Some(stream) = event.stream {
                span.attribute(&keys::STREAM_ID, stream);
            }
            if let Some(sequence) = event.sequence {
                span.attribute(&keys::SEQUENCE, integer(sequence));
            }
        });
        span
    }

    /// Starts the span `commit {projection}` of storing how far the projection has come: up to the event with this
    /// sequence. It is a child of the span that is current, the event's or the page's where the handler commits, and there
    /// is none within a [replay](Self::replay_page).
    ///
    /// ```
    /// use throughline_messaging::{Projection, StoredEvent, try_observe};
    ///
    /// # async fn store_offset(_: u64) -> Result<(), std::io::Error> { Ok(()) }
    /// # async fn update() {}
    /// # async fn example(summary: &Projection, event: &StoredEvent<'_>) -> Result<(), std::io::Error> {
    /// let handler = async {
    ///     update().await;
    ///     try_observe(summary.commit_span(7), store_offset(7)).await
    /// };
    /// summary.try_handle(event, handler).await
    /// # }
    /// ```
    pub fn commit_span(&self, sequence: u64) -> Span {
        if is_replay() {
            return Span::disabled();
        }
        let mut span = Span::start(&COMMIT);
        span.edit(|span| {
            span.update_name_parts(&[COMMIT.name(), " ", &self.name]);
            span.attribute(&keys::PROJECTION_NAME, &*self.name);
            span.attribute(&keys::SEQUENCE, integer(sequence));
        });
        span
    }

    /// Starts the span of a handler that takes several events at once.
    ///
    /// It has a link to each context that was stored with them, each once, and `projection.page.events`. Its lag is that
    /// of the event which waited longest, its attempt that of the first one. The policy's `child` applies where all events
    /// were stored under one span. A page of one event is that [event's](Self::span), and a page of none has no span.
    pub fn page_span(&self, events: &[StoredEvent<'_>]) -> Span {
        if !self.wants_events() {
            return Span::disabled();
        }
        let handled: Vec<_> = events
            .iter()
            .filter(|event| !self.skips(event.event_type))
            .collect();
        let Some(first) = handled.first() else {
            self.got_past(events);
            return Span::disabled();
        };
        if handled.len() == 1 {
            return self.event_span(first);
        }
        let mut contexts = handled.iter().map(|event| event.context);
        let sender = contexts
            .find(|context| context.span_context().is_valid())
            .unwrap_or(first.context);
        let others: Vec<_> = contexts
            .map(Context::span_context)
            .filter(|other| other.is_valid() && *other != sender.span_context())
            .collect();
        let from_sender = StoredEvent {
            context: sender,
            ..**first
        };
        let lag = handled.iter().filter_map(|event| event.lag).max();
        let mut policy = self.policy;
        if !others.is_empty() && policy == policy.relation(Relation::Child) {
            // Several spans cannot be the parent: they are linked, as those of any page.
            policy = policy.relation(Relation::Auto);
        }
        let arrival = from_sender.arrival(lag).with_others(&others);
        let mut span = arrival.span_of(&self.subject(), &PROJECT, &policy);
        self.label(&mut span, None);
        span.edit(|span| {
            self.describe(span, None);
            if let Some(stream) = first.stream
                && handled.iter().all(|event| event.stream == first.stream)
            {
                span.attribute(&keys::STREAM_ID, stream);
            }
            span.attribute(&keys::PAGE_EVENTS, integer(handled.len() as u64));
        });
        span
    }

    /// Runs the handler of an event in its [span](Self::span).
    pub fn handle<F: Future>(&self, event: &StoredEvent<'_>, handler: F) -> Handled<F> {
        let progress = self.progress(slice::from_ref(event));
        Handled::new(observe(self.span(event), handler), progress, |_| true)
    }

    /// Runs the handler of several events in their [span](Self::page_span).
    pub fn handle_page<F: Future>(&self, events: &[StoredEvent<'_>], handler: F) -> Handled<F> {
        let progress = self.progress(events);
        Handled::new(observe(self.page_span(events), handler), progress, |_| true)
    }

    /// Like [`handle`](Self::handle) for a handler that may fail: an `Err` is recorded as the span's error.
    ///
    /// ```
    /// use throughline_core::Context;
    /// use throughline_messaging::{Projection, StoredEvent, try_observe};
    ///
    /// # async fn update() -> Result<(), std::io::Error> { Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let summary = Projection::new("goal_summary");
    /// let stored = Context::default();
    /// // A loop that tries again starts the spans itself, since each attempt links the one before.
    /// let mut event = StoredEvent::new(&stored, "GoalReached");
    /// for attempt in 1..=3 {
    ///     let span = summary.span(&event.attempt(attempt));
    ///     event = event.after(span.context().span_context());
    ///     if try_observe(span, update()).await.is_ok() {
    ///         break;
    ///     }
    /// }
    /// summary.handled("goal-7", 3); // or given up
    /// # });
    /// ```
    pub fn try_handle<F, R, E>(
        &self,
        event: &StoredEvent<'_>,
        handler: F,
    ) -> Handled<F, impl Inspect<Result<R, E>> + use<F, R, E>>
    where
        F: Future<Output = Result<R, E>>,
        E: fmt::Display,
    {
        let progress = self.progress(slice::from_ref(event));
        Handled::new(
            try_observe(self.span(event), handler),
            progress,
            Result::is_ok,
        )
    }

    /// Runs a page of a replay, a future that returns how many events it handled, in one span.
    ///
    /// The span starts a trace, and has `projection.replay` and, once the page is done, `projection.page.events`. Nothing
    /// within the page makes a span: the events have none, and the handlers run in an unsampled context, which goes along
    /// with whatever they send. What [`event_failed`] reports makes the page an error.
    ///
    /// ```
    /// use throughline_messaging::Projection;
    ///
    /// # async fn handle(_: u64) {}
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let summary = Projection::new("goal_summary");
    /// for page in (0_u64..3_000).collect::<Vec<_>>().chunks(1_000) {
    ///     let handled = summary
    ///         .replay_page(async {
    ///             for event in page {
    ///                 handle(*event).await;
    ///             }
    ///             page.len() as u64
    ///         })
    ///         .await;
    ///     assert_eq!(handled, 1_000);
    /// }
    /// # });
    /// ```
    pub async fn replay_page<F: Future<Output = u64>>(&self, page: F) -> u64 {
        let span = self.replay_span();
        let here = unsampled(if span.is_disabled() {
            Context::current()
        } else {
            span.context()
        });
        let replaying = Replaying {
            inner: page.with_context(here),
            failures: Failures::default(),
        };
        let tell = |(events, failures): &(u64, Failures), span: &mut Span| {
            span.edit(|span| {
                span.attribute(&keys::PAGE_EVENTS, integer(*events));
                failures.tell(span);
            });
        };
        observe_with(span, replaying, tell).await.0
    }

    fn replay_span(&self) -> Span {
        if is_replay() {
            return Span::disabled();
        }
        let nobody = Context::current().without_span();
        let arrival = Arrival::new(&nobody, Operation::Replay);
        let mut span = arrival.span_of(&self.subject(), &PROJECT, &self.policy);
        span.edit(|span| {
            self.describe(span, None);
            span.attribute(&keys::REPLAY, true);
        });
        span
    }

    fn subject(&self) -> Subject<'_> {
        Subject::new().projection(&self.name)
    }

    fn label(&self, span: &mut Span, event_type: Option<&str>) {
        span.label(|| {
            [
                (keys::PROJECTION_NAME.name(), Some(self.name.as_str())),
                (keys::EVENT_TYPE.name(), event_type),
            ]
        });
    }

    fn describe(&self, span: &mut LiveSpan, event_type: Option<&str>) {
        let project = PROJECT.name();
        match event_type {
            Some(what) => span.update_name_parts(&[project, " ", &self.name, " ", what]),
            None => span.update_name_parts(&[project, " ", &self.name]),
        }
        span.attribute(&keys::PROJECTION_NAME, self.name.as_str());
        if let Some(partition) = self.partition() {
            span.attribute(&keys::PARTITION, partition);
        }
    }
}

/// Reports that the handler of an event failed, from where its result does not reach whoever runs it.
///
/// The current span gets the error, or, within a [replay](Projection::replay_page), the page does. The type is a name of
/// low cardinality, for the attribute `error.type`.
///
/// ```
/// use throughline_messaging::event_failed;
///
/// # fn store() -> Result<(), std::io::Error> { Ok(()) }
/// if let Err(error) = store() {
///     event_failed("io", &error);
/// }
/// ```
pub fn event_failed<E: Error + ?Sized>(error_type: &'static str, error: &E) {
    handled::failed();
    if let Some(failures) = REPLAY.get() {
        REPLAY.set(Some(failures.with(error_type)));
        return;
    }
    handler::failed(error_type);
    current().edit(|span| {
        span.set_attribute(keys::ERROR_TYPE, error_type);
        span.record_error(error);
        span.set_status(Status::Error, &error.to_string());
    });
}

/// The same ids, for work that is not to be recorded.
fn unsampled(context: Context) -> Context {
    let span = context.span_context();
    if !span.is_valid() {
        return context;
    }
    let flags = span.trace_flags().to_u8() & !TraceFlags::SAMPLED.to_u8();
    context.with_span(SpanContext::new(
        span.trace_id(),
        span.span_id(),
        TraceFlags::from_u8(flags),
        false,
    ))
}

/// Numbers of OpenTelemetry are signed.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What failed within a page.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u64,
    first: Option<&'static str>,
}

impl Failures {
    fn with(self, error_type: &'static str) -> Self {
        Self {
            count: self.count.saturating_add(1),
            first: self.first.or(Some(error_type)),
        }
    }

    fn tell(self, span: &mut LiveSpan) {
        if let Some(first) = self.first {
            span.set_attribute(keys::ERROR_TYPE, first);
            span.set_status(Status::Error, &format!("{} events failed", self.count));
        }
    }
}

thread_local! {
    /// What failed so far in the page that the thread replays.
    static REPLAY: Cell<Option<Failures>> = const { Cell::new(None) };
}

/// Whether the thread handles a page of a replay just now.
pub(crate) fn is_replay() -> bool {
    REPLAY.get().is_some()
}

pin_project! {
    /// A page whose thread knows, while it is polled, that this is a replay.
    struct Replaying<F> {
        #[pin]
        inner: F,
        failures: Failures,
    }
}

impl<F: Future> Future for Replaying<F> {
    type Output = (F::Output, Failures);

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let here = Swapped::lend(&REPLAY, this.failures);
        let polled = this.inner.poll(cx);
        drop(here);
        polled.map(|output| (output, *this.failures))
    }
}

/// The span of every projection; it is renamed to say which.
static PROJECT: Callsite = callsite!("project", Internal);
static COMMIT: Callsite = callsite!("commit", Internal);
