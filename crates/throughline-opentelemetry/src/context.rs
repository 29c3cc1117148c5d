//! The seam between the two current contexts: what is entered here is attached there, and what is attached there is
//! seen from here.
//!
//! Rules:
//! 1. Each entry attaches one OpenTelemetry context, whose guard lies in this thread's stack until the entry is left,
//!    in whatever order.
//! 2. OpenTelemetry's code runs while nothing of ours is borrowed: dropping a context runs the destructors of its
//!    values.
//! 3. This thread's state is made after OpenTelemetry's, so that it is destroyed before it: where ours is gone, theirs
//!    is not touched, since it would panic.
//! 4. OpenTelemetry panics if a context is attached or left within `Context::map_current`. Such a panic ends here; the
//!    entry is not seen through its API then.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use opentelemetry::trace::{TraceContextExt, TraceState};
use opentelemetry::{Context as OtelContext, ContextGuard as OtelGuard};
use throughline_core::switch::{self, Bridge, Inner};
use throughline_core::{Context, Level, SpanContext, SpanId, TraceId, diagnostics};

use crate::span::EnteredSpan;
use crate::{convert, open_spans};

/// Joins the current context of Throughline and that of the OpenTelemetry API, for as long as the process runs. Later
/// calls do nothing.
///
/// From then on, `opentelemetry::Context::current()` has the span that is current here (native, of `tracing`, or an
/// attached [`Context`]), and a context attached through the OpenTelemetry API is the parent of the spans that start
/// inside of it. Of the two, what was entered last is current.
///
/// - An entry costs one attached context more, about 90 ns and no allocation per poll of a future in a span. It is made
///   once per span and thread, in two allocations, and kept for the last 64 of them. Without this call, nothing is paid
///   but a relaxed load.
/// - Where OpenTelemetry's telemetry is suppressed (its exporters do that for what they do themselves), no span starts
///   here either.
/// - Values of the OpenTelemetry context (baggage, say) stay in it when a span is entered inside of it.
/// - `Context::current().span()` edits the entered span, on the thread where it is entered; it never ends it.
/// - What is entered before this call, or inside a closure of `opentelemetry::Context::map_current`, is not seen
///   through the OpenTelemetry API. Samplers and the `on_start` of span processors of the SDK run inside such a
///   closure. Its API panics where a context is attached there; the panic is caught, so that only its message is seen,
///   unless panics abort.
/// - A span that is current is seen on the thread it is entered on. What hands work to elsewhere takes along a context,
///   of either API.
///
/// ```
/// use opentelemetry::Context as OtelContext;
/// use opentelemetry::trace::TraceContextExt;
/// use throughline_core::{Context, Level, SpanContext};
///
/// throughline_opentelemetry::install();
/// let parent = SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")?;
/// let _here = Context::from(parent).attach();
/// let seen = OtelContext::current();
/// assert_eq!(seen.span().span_context().trace_id().to_string(), parent.trace_id().to_string());
/// # Ok::<(), throughline_core::TraceparentError>(())
/// ```
pub fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(error) = switch::install(&Seam) {
            diagnostics::say(
                Level::Warn,
                format_args!("the OpenTelemetry context is not joined: {error}"),
            );
        }
    });
}

/// The context that names the recorder of what an OpenTelemetry context leads to; its span says nothing.
pub(crate) fn recorder_context(cx: &OtelContext, span: SpanContext) -> Option<Context> {
    let open = || Some(open_spans::find(span.span_id())?.context());
    let carried = || Some(cx.get::<Carried>()?.0.clone());
    span.is_valid().then(open).flatten().or_else(carried)
}

/// The recorder, where it is not the process-wide one: a value of OpenTelemetry contexts, so that what is derived from
/// them goes on there.
#[derive(Debug)]
struct Carried(Context);

#[derive(Debug)]
struct Seam;

type Ids = (TraceId, SpanId);

const NO_SPAN: Ids = (TraceId::INVALID, SpanId::INVALID);

struct Entered {
    frame: u64,
    ids: Ids,
    guard: OtelGuard,
}

struct State {
    stack: Vec<Entered>,
    made: Vec<Option<(Context, OtelContext)>>,
}

impl State {
    fn new() -> Self {
        // See rule 3. If theirs is gone already, ours follows soon.
        let _ = catch_unwind(|| OtelContext::map_current(|_| ()));
        Self {
            stack: Vec::new(),
            made: Vec::new(),
        }
    }
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State::new());
}

fn with<R>(f: impl FnOnce(&mut State) -> R) -> Option<R> {
    STATE
        .try_with(|state| state.try_borrow_mut().ok().map(|mut state| f(&mut state)))
        .ok()
        .flatten()
}

impl Bridge for Seam {
    fn entered(&self, frame: u64, context: &Context) {
        let Some(known) = with(|state| state.find(context)) else {
            return;
        };
        let attached = catch_unwind(AssertUnwindSafe(|| {
            let cx = known.unwrap_or_else(|| make(context));
            let span = context.span_context();
            (cx.attach(), (span.trace_id(), span.span_id()))
        }));
        if let Ok((guard, ids)) = attached {
            let mut entered = Some(Entered { frame, ids, guard });
            with(|state| state.stack.extend(entered.take()));
        }
    }

    fn exited(&self, frame: u64) {
        let removed = with(|state| {
            let at = state
                .stack
                .iter()
                .rposition(|entered| entered.frame == frame)?;
            Some(state.stack.remove(at).guard)
        });
        let _ = catch_unwind(AssertUnwindSafe(|| drop(removed)));
    }

    fn is_suppressed(&self) -> bool {
        // See rule 3.
        with(|_| ()).is_some() && OtelContext::is_current_telemetry_suppressed()
    }

    fn inner(&self) -> Option<Inner> {
        let ours = with(|state| state.stack.last().map_or(NO_SPAN, |entered| entered.ids))?;
        OtelContext::map_current(|cx| {
            let span = cx.span();
            let span = convert::span_context(span.span_context());
            if (span.trace_id(), span.span_id()) == ours {
                return None;
            }
            let open = open_spans::find(span.span_id());
            let context = match &open {
                Some(open) => open.context(),
                None => cx
                    .get::<Carried>()
                    .map_or_else(|| Context::from(span), |carried| carried.0.with_span(span)),
            };
            Some(Inner {
                context,
                span: open,
            })
        })
    }
}

impl State {
    fn find(&self, context: &Context) -> Option<OtelContext> {
        let (known, cx) = self.made.get(place(context))?.as_ref()?;
        (known == context).then(|| cx.clone())
    }
}

/// Makes the OpenTelemetry context of what is entered, on top of that which is current there, and keeps it.
fn make(context: &Context) -> OtelContext {
    let cx = OtelContext::map_current(|base| derive(base, context));
    if context.span_context().is_valid() {
        let kept = with(|state| {
            if state.made.is_empty() {
                state.made.resize_with(KEPT, || None);
            }
            let place = state.made.get_mut(place(context))?;
            place.replace((context.clone(), cx.clone()))
        });
        drop(kept);
    }
    cx
}

fn derive(base: &OtelContext, context: &Context) -> OtelContext {
    let span = context.span_context();
    let there = base.span().span_context().clone();
    let carried = base
        .get::<Carried>()
        .map_or(0, |carried| switch::recorder_of(&carried.0));
    let same_recorder = carried == switch::recorder_of(context);
    if same_recorder && span.is_valid() && convert::span_context(&there) == span {
        // The span that is there may be one that can be edited from anywhere.
        return base.clone();
    }
    let tracestate = if there.trace_id().to_bytes() == span.trace_id().to_bytes() {
        there.trace_state().clone()
    } else {
        TraceState::NONE
    };
    let own = convert::otel_span_context(span, tracestate);
    let entered = EnteredSpan::new(own, span.span_id());
    if same_recorder {
        base.with_span(entered)
    } else {
        let carried = Carried(context.with_span(SpanContext::INVALID));
        base.with_value(carried).with_span(entered)
    }
}

fn place(context: &Context) -> usize {
    let [.., last] = context.span_context().span_id().to_bytes();
    usize::from(last) % KEPT
}

/// Contexts that a thread keeps for the next entry of the same spans.
const KEPT: usize = 64;
