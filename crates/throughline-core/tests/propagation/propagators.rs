use std::ops::ControlFlow;

use throughline_core::propagate::{self, Baggage, Format, Propagator, Trust};
use throughline_core::{
    Callsite, CallsiteSpec, Context, IdGenerator, Level, Parent, Recorder, RecorderConfig, Sampler,
    Span, SpanKind,
};

use crate::support::{PARENT, SPAN, TRACE};

static PLACE: Callsite = Callsite::new(CallsiteSpec {
    name: "place",
    kind: SpanKind::Server,
    level: Level::Info,
    target: "test",
    scope_name: "test",
    scope_version: "",
    static_fields: &[],
});

fn formats(value: &str) -> (Vec<&'static str>, bool) {
    let (propagator, warning) = Propagator::from_env_value(value);
    let names = propagator
        .formats()
        .iter()
        .map(|format| format.name())
        .collect();
    (names, warning.is_some())
}

#[test]
fn the_environment_names_formats() {
    let default = vec!["tracecontext", "baggage"];
    assert_eq!(formats(""), (default.clone(), false));
    assert_eq!(formats(" , "), (default.clone(), false));
    assert_eq!(formats("tracecontext,baggage"), (default.clone(), false));
    assert_eq!(
        formats(" B3 , b3multi,b3,Jaeger"),
        (vec!["b3", "b3multi", "jaeger"], false)
    );
    assert_eq!(
        formats("xray,datadog,sentry"),
        (vec!["xray", "datadog", "sentry"], false)
    );
    assert_eq!(formats("none"), (vec![], false));
    assert_eq!(formats("none,b3"), (vec!["b3"], true));
    assert_eq!(formats("none,ottrace"), (vec![], true));
    assert_eq!(formats("ottrace"), (default, true));
}

#[test]
fn a_warning_names_variable_value_and_what_is_used() {
    let (_, warning) = Propagator::from_env_value("w3c,\u{1b}[2J");
    assert_eq!(
        warning.unwrap(),
        "OTEL_PROPAGATORS=\"w3c,\\u{1b}[2J\": `w3c` is not a propagator, `\\u{1b}[2J` is not a propagator; \
         using `tracecontext,baggage`"
    );
}

#[test]
fn fields_are_those_that_are_written() {
    let fields: Vec<_> = Propagator::default().fields().collect();
    assert_eq!(fields, ["traceparent", "tracestate", "baggage"]);
    assert_eq!(Propagator::none().fields().count(), 0);
}

#[test]
fn later_formats_replace_what_earlier_ones_found() {
    let b3 = format!("{}-{SPAN}-1", "1".repeat(32));
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
        ("b3", &b3),
    ];
    let read = |formats: &[Format]| {
        let context = Propagator::new(formats.iter().copied()).extract(&headers[..]);
        (
            context.span_context().trace_id().to_string(),
            context.tracestate().to_string(),
        )
    };
    use Format::{B3, TraceContext};
    assert_eq!(read(&[TraceContext, B3]), ("1".repeat(32), String::new()));
    assert_eq!(
        read(&[B3, TraceContext]),
        (TRACE.to_owned(), "a=1".to_owned())
    );
}

#[test]
fn what_cannot_be_read_leaves_the_context_as_it_was() {
    let broken: Vec<_> = Format::ALL
        .iter()
        .flat_map(|format| format.fields())
        .map(|field| (*field, "\u{1}broken"))
        .collect();
    let before = Propagator::default().extract(&[("traceparent", PARENT), ("baggage", "a=1")][..]);
    let all = Propagator::new(Format::ALL);
    assert_eq!(all.extract_onto(before.clone(), &broken), before);
    assert_eq!(all.extract(&broken), Context::default());
}

#[test]
fn trusted_callers_are_parents_and_public_ones_are_linked() {
    let recorder = Recorder::start(RecorderConfig::default());
    let _here = recorder.context().attach();
    let headers = [("traceparent", PARENT), ("baggage", "a=1")];
    let incoming = Propagator::default().incoming(&headers[..], Trust::Trusted);
    assert_eq!(incoming.link, None);
    let span = Span::start_with(&PLACE, incoming.parent).context();
    assert_eq!(span.span_context().trace_id().to_string(), TRACE);
    assert_eq!(span.baggage().get("a"), Some("1"));

    let incoming = Propagator::default().incoming(&headers[..], Trust::Public);
    assert_eq!(incoming.link.unwrap().to_traceparent().as_str(), PARENT);
    let span = Span::start_with(&PLACE, incoming.parent).context();
    assert_ne!(span.span_context().trace_id().to_string(), TRACE);
    assert!(span.baggage().is_empty(), "anybody can send baggage");

    let nothing = Propagator::default().incoming(&[("other", "1")][..], Trust::Trusted);
    assert_eq!((nothing.parent, nothing.link), (None, None));
}

#[test]
fn the_caller_does_not_sample_a_public_endpoint() {
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::parent_based(Sampler::always_off());
    let recorder = Recorder::start(config);
    let _here = recorder.context().attach();
    let sampled = |trust| {
        let incoming = Propagator::default().incoming(&[("traceparent", PARENT)][..], trust);
        Span::start_with(&PLACE, incoming.parent).is_recording()
    };
    assert!(sampled(Trust::Trusted));
    assert!(!sampled(Trust::Public));
}

/// Whether a span of these headers, and a child of it, are sampled under that sampler.
fn sampled(format: Format, header: (&str, &str), sampler: Sampler) -> (bool, bool) {
    let mut config = RecorderConfig::default();
    config.sampler = sampler;
    let recorder = Recorder::start(config);
    let _here = recorder.context().attach();
    let parent = Propagator::new([format]).extract(&[header][..]);
    let span = Span::start_with(&PLACE, parent);
    let child = Span::start_with(&PLACE, span.context());
    (span.is_recording(), child.is_recording())
}

#[test]
fn a_decision_that_was_left_to_us_is_taken_here() {
    let (on, off) = (
        Sampler::parent_based(Sampler::always_on()),
        Sampler::parent_based(Sampler::always_off()),
    );
    let b3 = format!("{TRACE}-{SPAN}");
    let deferred = ("b3", b3.as_str());
    assert_eq!(sampled(Format::B3, deferred, on), (true, true));
    assert_eq!(sampled(Format::B3, deferred, off), (false, false));
    let x_ray = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?";
    assert_eq!(
        sampled(Format::XRay, ("x-amzn-trace-id", x_ray), on),
        (true, true)
    );
    assert_eq!(
        sampled(Format::XRay, ("x-amzn-trace-id", x_ray), off),
        (false, false)
    );
}

#[test]
fn a_decision_without_a_span_counts() {
    let (on, off) = (
        Sampler::parent_based(Sampler::always_on()),
        Sampler::parent_based(Sampler::always_off()),
    );
    assert_eq!(sampled(Format::B3, ("b3", "0"), on), (false, false));
    assert_eq!(sampled(Format::B3, ("b3", "1"), off), (true, true));
    assert_eq!(sampled(Format::B3, ("b3", "d"), off), (true, true));
}

#[test]
fn debug_reaches_the_next_process() {
    let recorder = Recorder::start(RecorderConfig::default());
    let _here = recorder.context().attach();
    for (format, name, value) in [
        (Format::B3, "b3", format!("{TRACE}-{SPAN}-d")),
        (
            Format::Jaeger,
            "uber-trace-id",
            format!("{TRACE}:{SPAN}:0:3"),
        ),
    ] {
        let propagator = Propagator::new([format]);
        let span = Span::start_with(&PLACE, propagator.extract(&[(name, value)][..]));
        let child = Span::start_with(&PLACE, span.context()).context();
        let mut sent = Vec::<(String, String)>::new();
        propagator.inject(&child, &mut sent);
        assert!(sent[0].1.ends_with(['d', '3']), "{sent:?}");
    }
}

#[test]
fn a_new_trace_keeps_baggage_and_nothing_else() {
    let recorder = Recorder::start(RecorderConfig::default());
    let _recorder = recorder.context().attach();
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "a=1"),
        ("baggage", "k=v"),
    ];
    let _here = Propagator::default().extract(&headers[..]).attach();
    let child = Span::start(&PLACE).context();
    assert_eq!(
        (child.tracestate().as_str(), child.baggage().get("k")),
        ("a=1", Some("v"))
    );
    let root = Span::start_with(&PLACE, Parent::Root).context();
    assert_eq!(
        (root.tracestate().as_str(), root.baggage().get("k")),
        ("", Some("v"))
    );
}

#[test]
fn a_span_of_no_headers_holds_nothing_of_the_one_before() {
    let recorder = Recorder::start(RecorderConfig::default());
    let _here = recorder.context().attach();
    let mut baggage = Baggage::new();
    baggage.insert("k", "v").unwrap();
    for _ in 0..3 {
        Span::start_with(&PLACE, recorder.context().with_baggage(baggage.clone())).end();
        assert!(Span::start(&PLACE).context().baggage().is_empty());
    }
    recorder.drain(|_| ControlFlow::Continue(()));
}

#[test]
fn a_random_id_says_so_and_another_does_not() {
    for (id_generator, random) in [(IdGenerator::Random, true), (IdGenerator::XRay, false)] {
        let mut config = RecorderConfig::default();
        config.id_generator = id_generator;
        let recorder = Recorder::start(config);
        let span = Span::start_with(&PLACE, recorder.context())
            .context()
            .span_context();
        assert_eq!(span.trace_flags().is_random(), random);
    }
}

#[test]
fn the_propagator_of_the_process_is_set_once() {
    // No other test of this binary uses it.
    assert_eq!(*propagate::global(), Propagator::default());
    propagate::set_global(Propagator::new([Format::B3])).unwrap();
    assert!(propagate::set_global(Propagator::none()).is_err());
    let context = propagate::extract(&[("b3", format!("{TRACE}-{SPAN}-1"))][..]);
    let mut sent = Vec::<(String, String)>::new();
    propagate::inject(&context, &mut sent);
    assert_eq!(sent[0].0, "b3");
}
