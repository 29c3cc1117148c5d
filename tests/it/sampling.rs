//! Unsampled traces, filters and suppression.

use throughline::core::{Level, RecorderConfig, Sampler, SpanContext, suppress};
use throughline::testing::Capture;
use throughline::{Context, FutureExt, current, span, traced};

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
