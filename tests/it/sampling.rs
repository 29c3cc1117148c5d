//! Unsampled traces, filters and suppression.

use std::collections::HashSet;

use throughline::core::{
    Callsite, FinishedSpan, Level, Parent, ParentOrigins, RecorderConfig, Sampler, Span,
    SpanContext, SpanId, callsite, suppress,
};
use throughline::testing::Capture;
use throughline::{Context, FutureExt, current, enter, span, traced};

use crate::support::yield_once;

fn capture(sampler: Sampler) -> Capture {
    let mut config = RecorderConfig::default();
    config.sampler = sampler;
    Capture::with_config(config)
}

#[tokio::test]
async fn an_unsampled_trace_still_travels() {
    let capture = capture(Sampler::always_off());
    let check = async {
        let root = Context::current().span_context();
        assert!(root.is_valid() && !root.is_sampled());
        yield_once().await;
        let child = span!("child", formatted = %Unwanted)
            .in_scope(Context::current)
            .span_context();
        assert_eq!(child.trace_id(), root.trace_id());
        assert_ne!(child.span_id(), root.span_id());
        assert!(!child.is_sampled());
        current().set_attribute("goes", "nowhere");
    };
    capture
        .run(async { check.in_span(span!("root")).await })
        .await;
    let stats = capture.stats();
    assert_eq!(
        (stats.started, stats.unsampled, capture.spans().len()),
        (0, 2, 0)
    );
}

/// A function that is not sampled is current all the same, with an identity of its own, and nothing of it is evaluated.
#[test]
fn an_unsampled_function_has_a_context_of_its_own() {
    #[traced(attrs(formatted = %Unwanted), ret)]
    fn outer() -> SpanContext {
        let here = Context::current().span_context();
        current().set_attribute("goes", "nowhere");
        assert_eq!(inner().map(|inner| inner.trace_id()), Ok(here.trace_id()));
        assert_eq!(Context::current().span_context(), here);
        here
    }
    #[traced(err)]
    fn inner() -> Result<SpanContext, std::fmt::Error> {
        Ok(Context::current().span_context())
    }
    let capture = capture(Sampler::always_off());
    let here = capture.attach();
    let before = Context::current();
    let outer = outer();
    assert!(outer.is_valid() && !outer.is_sampled());
    assert_eq!(Context::current(), before);
    let parent =
        SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let parent = parent.expect("valid");
    #[traced(parent = parent)]
    fn below(parent: SpanContext) -> SpanContext {
        Context::current().span_context()
    }
    let below = below(parent);
    assert_eq!(below.trace_id(), parent.trace_id());
    assert_ne!(below.span_id(), parent.span_id());
    drop(here);
    let stats = capture.stats();
    assert_eq!((stats.started, stats.unsampled), (0, 3));
}

/// Formatting it is a mistake: the span is not recorded.
struct Unwanted;

impl std::fmt::Display for Unwanted {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("an unsampled span formatted a value")
    }
}

#[test]
fn a_remote_parent_decides() {
    for (flags, started) in [("00", 0), ("01", 1)] {
        let capture = capture(Sampler::parent_based(Sampler::always_off()));
        let _here = capture.attach();
        let parent = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
        let parent = SpanContext::parse_traceparent(&parent).expect("valid");
        span!(parent: parent, "server").in_scope(|| ());
        assert_eq!(capture.stats().started, started, "flags {flags}");
    }
}

#[test]
fn random_flag_is_set_at_the_root_and_inherited() {
    let capture = Capture::start();
    let _here = capture.attach();
    assert_eq!(
        span!("root").context().span_context().trace_flags().to_u8(),
        3
    );
    let parent =
        SpanContext::parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    let child = span!(parent: parent.expect("valid"), "child").context();
    assert_eq!(child.span_context().trace_flags().to_u8(), 1);
}

#[test]
fn filters_change_while_the_program_runs() {
    #[traced(target = "filtered::target", level = debug)]
    fn filtered() {
        span!("child").in_scope(|| ());
    }
    let capture = Capture::start();
    let _here = capture.attach();
    let root = span!("root").enter();
    filtered();
    throughline::core::set_filter("trace,filtered::target=info".parse().expect("valid"));
    filtered();
    throughline::core::set_filter(
        "trace,filtered=off,filtered::target=debug"
            .parse()
            .expect("valid"),
    );
    filtered();
    throughline::core::set_filter(throughline::core::Filter::at(Level::Trace));
    drop(root);
    insta::assert_snapshot!(capture.tree(), @r"
    root
    ├─ filtered
    │  └─ child
    ├─ child
    └─ filtered
       └─ child
    ");
}

#[test]
fn suppressed_threads_record_nothing() {
    let capture = Capture::start();
    let _here = capture.attach();
    {
        let _outer = suppress();
        let inner = suppress();
        drop(inner);
        assert!(span!("unseen").is_disabled());
    }
    span!("seen").in_scope(|| ());
    insta::assert_snapshot!(capture.tree(), @"seen");
}

/// What one guard of a random walk made current, and its identifier once somebody asked.
struct Frame {
    guard: Box<dyn std::any::Any>,
    span_id: Option<SpanId>,
}

/// Spans that are not sampled get their identifiers when somebody asks. However guards are dropped in between, an answer
/// stays what it was, nobody else gets it, and the trace stays the root's.
#[test]
fn identifiers_given_late_are_stable_and_unique() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let capture = capture(Sampler::always_off());
        let _here = capture.attach();
        let root = span!("root").enter();
        let trace_id = Context::current().span_context().trace_id();
        let (mut frames, mut given) = (Vec::<Frame>::new(), HashSet::new());
        let mut spans = 1;
        for _ in 0..200 {
            match random.u8(..8) {
                0..=3 => {
                    frames.push(Frame {
                        guard: Box::new(enter!("child")),
                        span_id: None,
                    });
                    spans += 1;
                }
                4..=5 if !frames.is_empty() => drop(frames.remove(random.usize(..frames.len()))),
                6 => {
                    let context = Context::current();
                    if let Some(top) = frames.last_mut() {
                        top.span_id.get_or_insert(context.span_context().span_id());
                    }
                    let span_id = Some(context.span_context().span_id());
                    given.insert(span_id);
                    frames.push(Frame {
                        guard: Box::new(context.attach()),
                        span_id,
                    });
                }
                _ => {
                    let here = Context::current().span_context();
                    assert_eq!((here.trace_id(), here.is_sampled()), (trace_id, false));
                    current().set_attribute("goes", "nowhere");
                    assert_eq!(Context::current().span_context(), here);
                    let Some(top) = frames.last_mut() else {
                        continue;
                    };
                    match top.span_id {
                        Some(known) => assert_eq!(here.span_id(), known, "seed {seed}"),
                        None => assert!(given.insert(Some(here.span_id())), "seed {seed}"),
                    }
                    top.span_id = Some(here.span_id());
                }
            }
        }
        while !frames.is_empty() {
            drop(frames.remove(random.usize(..frames.len())).guard);
        }
        drop(root);
        let stats = capture.stats();
        assert_eq!((stats.started, stats.unsampled), (0, spans));
        assert!(Context::current().span_context().trace_id() != trace_id);
    }
}

/// A guard gives its span away as it is, also before anybody asked for its identifier.
#[test]
fn a_span_without_a_name_can_leave_its_thread() {
    let capture = capture(Sampler::parent_based(Sampler::always_off()));
    let _here = capture.attach();
    let root = enter!("root");
    let mut child = enter!("child");
    child.set_attribute("goes", "nowhere");
    let grandchild = enter!("grandchild");
    let away = child.exit();
    let below = Context::current().span_context();
    assert_ne!(below, away.context().span_context());
    assert_eq!(below.trace_id(), away.context().span_context().trace_id());
    std::thread::spawn(move || {
        let expected = away.context();
        let _entered = away.enter();
        assert_eq!(Context::current(), expected);
        let _inside = enter!("inside");
        assert_eq!(
            Context::current().span_context().trace_id(),
            expected.span_context().trace_id()
        );
    })
    .join()
    .unwrap();
    drop((grandchild, root));
    assert_eq!(capture.stats().unsampled, 4);
}

static CALLSITE: Callsite = callsite!("elsewhere", Internal);

/// Spans by where their parents run: none, this process, another one.
fn origins(origins: ParentOrigins) -> (u64, u64, u64) {
    (origins.none, origins.local, origins.remote)
}

fn caller(flags: &str) -> SpanContext {
    let header = format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    SpanContext::parse_traceparent(&header).expect("valid")
}

#[test]
fn spans_are_counted_by_where_their_parents_run() {
    let capture = Capture::start();
    let _here = capture.attach();
    for flags in ["01", "00"] {
        let _caller = Context::from(caller(flags)).attach();
        for _ in 0..2 {
            let _served = enter!("served");
            let inside = span!("inside").enter();
            span!("deep").end();
            drop(inside);
            drop(enter!("another"));
        }
        span!("made where it is").end();
    }
    {
        let _root = enter!("root");
        span!("child").in_scope(|| drop(enter!("grandchild")));
        let _ = Span::start_with(&CALLSITE, Parent::Root);
    }
    let stats = capture.stats();
    assert_eq!(origins(stats.started_by_origin), (2, 2 + 6, 3));
    assert_eq!(origins(stats.unsampled_by_origin), (0, 6, 3));
    assert_eq!((stats.started, stats.unsampled), (13, 9));
}

#[test]
fn unsampled_roots_and_spans_from_elsewhere_have_an_origin_too() {
    let capture = capture(Sampler::parent_based(Sampler::always_off()));
    {
        let _here = capture.attach();
        let _root = enter!("root");
        drop(enter!("child"));
    }
    for parent in [SpanContext::INVALID, caller("01")] {
        let finished = FinishedSpan {
            callsite: &CALLSITE,
            context: caller("01"),
            parent,
            start_unix_nanos: 1,
            end_unix_nanos: 2,
        };
        assert!(capture.recorder().import(&finished, |_| ()));
    }
    let stats = capture.stats();
    assert_eq!(origins(stats.started_by_origin), (1, 0, 1));
    assert_eq!(origins(stats.unsampled_by_origin), (1, 1, 0));
}
