use throughline_core::{Context, RecorderConfig, Sampler, SpanContext};
use throughline_testing::Capture;
use throughline_tracing::{
    Correlated, LayerExt, LogFormat, LogId, LogIds, Shape, TraceLayer, context_of, correlate,
};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber, debug_span, info, info_span};
use tracing_subscriber::fmt::format::{self, FmtSpan, JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::{Output, native, under, use_global};

/// Runs `f` with the given layer for lines beside the trace layer; hands out what was written.
fn lines<L>(make: impl FnOnce(Output) -> L, f: impl FnOnce() -> Vec<SpanContext>) -> String
where
    L: Layer<tracing_subscriber::layer::Layered<TraceLayer, tracing_subscriber::Registry>>
        + Send
        + Sync
        + 'static,
{
    let capture = Capture::start();
    let output = Output::default();
    let subscriber = tracing_subscriber::registry()
        .with(TraceLayer::new())
        .with(make(output.clone()));
    let spans = under(subscriber, || {
        let _here = capture.attach();
        f()
    });
    let mut text = output.text();
    for (number, span) in spans.iter().enumerate() {
        text = with_names(&text, *span, number + 1);
    }
    text
}

/// Replaces the ids of one span by names.
fn with_names(text: &str, span: SpanContext, number: usize) -> String {
    let trace_id = span.trace_id().to_bytes();
    let low = u64::from_be_bytes(trace_id[8..].try_into().expect("eight bytes"));
    let span_low = u64::from_be_bytes(span.span_id().to_bytes());
    text.replace(&span.trace_id().to_string(), &format!("<trace {number}>"))
        .replace(&span.span_id().to_string(), &format!("<span {number}>"))
        .replace(&low.to_string(), &format!("<low trace {number}>"))
        .replace(&span_low.to_string(), &format!("<decimal span {number}>"))
}

/// Outside of spans, in a `tracing` span, in a native one, and with an explicit parent.
fn scenes() -> Vec<SpanContext> {
    info!("outside");
    let other = info_span!(parent: None, "other");
    let span = info_span!("span", id = 7).entered();
    info!(amount = 3, "in a span");
    let native = native().enter();
    info!("in a native span");
    info!(parent: &other, "elsewhere");
    info!(parent: None, "nowhere");
    let spans = vec![
        context_of(&span).span_context(),
        Context::current().span_context(),
        context_of(&other).span_context(),
    ];
    drop(native);
    drop(span);
    info!("outside again");
    spans
}

fn text_layer<S>(
    output: &Output,
) -> fmt::Layer<
    S,
    format::DefaultFields,
    format::Format<format::Full, ()>,
    impl Fn() -> Output + use<S>,
> {
    fmt::Layer::default()
        .with_writer(output.writer())
        .without_time()
        .with_ansi(false)
}

#[test]
fn every_preset_in_text() {
    let preset = |ids: LogIds| {
        lines(
            |output| {
                text_layer(&output)
                    .with_target(false)
                    .with_trace_ids_as(ids)
            },
            scenes,
        )
    };
    insta::assert_snapshot!(preset(LogIds::otel()), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 trace_id=<trace 1> span_id=<span 1> trace_flags=01
    INFO span{id=7}: in a native span trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO other: elsewhere trace_id=<trace 3> span_id=<span 3> trace_flags=01
    INFO nowhere
    INFO outside again
    ");
    insta::assert_snapshot!(preset(LogIds::datadog()), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 dd.trace_id=<low trace 1> dd.span_id=<decimal span 1> trace_id=<trace 1> span_id=<span 1>
    INFO span{id=7}: in a native span dd.trace_id=<low trace 1> dd.span_id=<decimal span 2> trace_id=<trace 1> span_id=<span 2>
    INFO other: elsewhere dd.trace_id=<low trace 3> dd.span_id=<decimal span 3> trace_id=<trace 3> span_id=<span 3>
    INFO nowhere
    INFO outside again
    ");
    insta::assert_snapshot!(preset(LogIds::gcp()), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 logging.googleapis.com/trace=<trace 1> logging.googleapis.com/spanId=<span 1> logging.googleapis.com/trace_sampled=true
    INFO span{id=7}: in a native span logging.googleapis.com/trace=<trace 1> logging.googleapis.com/spanId=<span 2> logging.googleapis.com/trace_sampled=true
    INFO other: elsewhere logging.googleapis.com/trace=<trace 3> logging.googleapis.com/spanId=<span 3> logging.googleapis.com/trace_sampled=true
    INFO nowhere
    INFO outside again
    ");
    insta::assert_snapshot!(preset(LogIds::gcp_in_project("shop")), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 logging.googleapis.com/trace=projects/shop/traces/<trace 1> logging.googleapis.com/spanId=<span 1> logging.googleapis.com/trace_sampled=true
    INFO span{id=7}: in a native span logging.googleapis.com/trace=projects/shop/traces/<trace 1> logging.googleapis.com/spanId=<span 2> logging.googleapis.com/trace_sampled=true
    INFO other: elsewhere logging.googleapis.com/trace=projects/shop/traces/<trace 3> logging.googleapis.com/spanId=<span 3> logging.googleapis.com/trace_sampled=true
    INFO nowhere
    INFO outside again
    ");
    insta::assert_snapshot!(preset(LogIds::ecs()), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 trace.id=<trace 1> span.id=<span 1>
    INFO span{id=7}: in a native span trace.id=<trace 1> span.id=<span 2>
    INFO other: elsewhere trace.id=<trace 3> span.id=<span 3>
    INFO nowhere
    INFO outside again
    ");
    let own = LogIds::custom()
        .with("traceId", LogId::TraceId)
        .with("sampled", LogId::Sampled);
    insta::assert_snapshot!(preset(own), @r"
    INFO outside
    INFO span{id=7}: in a span amount=3 traceId=<trace 1> sampled=true
    INFO span{id=7}: in a native span traceId=<trace 1> sampled=true
    INFO other: elsewhere traceId=<trace 3> sampled=true
    INFO nowhere
    INFO outside again
    ");
}

#[test]
fn every_preset_in_json() {
    let preset = |ids: LogIds| {
        lines(
            |output| {
                let layer = text_layer(&output)
                    .json()
                    .with_target(false)
                    .with_level(false);
                layer
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_trace_ids_as(ids)
            },
            scenes,
        )
    };
    insta::assert_snapshot!(preset(LogIds::otel()), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3},"trace_id":"<trace 1>","span_id":"<span 1>","trace_flags":"01"}
    {"fields":{"message":"in a native span"},"trace_id":"<trace 1>","span_id":"<span 2>","trace_flags":"01"}
    {"fields":{"message":"elsewhere"},"trace_id":"<trace 3>","span_id":"<span 3>","trace_flags":"01"}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
    insta::assert_snapshot!(preset(LogIds::datadog()), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3},"dd.trace_id":"<low trace 1>","dd.span_id":"<decimal span 1>","trace_id":"<trace 1>","span_id":"<span 1>"}
    {"fields":{"message":"in a native span"},"dd.trace_id":"<low trace 1>","dd.span_id":"<decimal span 2>","trace_id":"<trace 1>","span_id":"<span 2>"}
    {"fields":{"message":"elsewhere"},"dd.trace_id":"<low trace 3>","dd.span_id":"<decimal span 3>","trace_id":"<trace 3>","span_id":"<span 3>"}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
    insta::assert_snapshot!(preset(LogIds::gcp()), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3},"logging.googleapis.com/trace":"<trace 1>","logging.googleapis.com/spanId":"<span 1>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"in a native span"},"logging.googleapis.com/trace":"<trace 1>","logging.googleapis.com/spanId":"<span 2>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"elsewhere"},"logging.googleapis.com/trace":"<trace 3>","logging.googleapis.com/spanId":"<span 3>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
    insta::assert_snapshot!(preset(LogIds::gcp_in_project("sh\"op")), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3},"logging.googleapis.com/trace":"projects/sh\"op/traces/<trace 1>","logging.googleapis.com/spanId":"<span 1>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"in a native span"},"logging.googleapis.com/trace":"projects/sh\"op/traces/<trace 1>","logging.googleapis.com/spanId":"<span 2>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"elsewhere"},"logging.googleapis.com/trace":"projects/sh\"op/traces/<trace 3>","logging.googleapis.com/spanId":"<span 3>","logging.googleapis.com/trace_sampled":true}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
    insta::assert_snapshot!(preset(LogIds::ecs()), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3},"trace.id":"<trace 1>","span.id":"<span 1>"}
    {"fields":{"message":"in a native span"},"trace.id":"<trace 1>","span.id":"<span 2>"}
    {"fields":{"message":"elsewhere"},"trace.id":"<trace 3>","span.id":"<span 3>"}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
    insta::assert_snapshot!(preset(LogIds::custom()), @r#"
    {"fields":{"message":"outside"}}
    {"fields":{"message":"in a span","amount":3}}
    {"fields":{"message":"in a native span"}}
    {"fields":{"message":"elsewhere"}}
    {"fields":{"message":"nowhere"}}
    {"fields":{"message":"outside again"}}
    "#);
}

#[test]
fn every_format_of_tracing_subscriber() {
    insta::assert_snapshot!(lines(|output| text_layer(&output).with_trace_ids(), scenes), @r"
    INFO it::log_lines: outside
    INFO span{id=7}: it::log_lines: in a span amount=3 trace_id=<trace 1> span_id=<span 1> trace_flags=01
    INFO span{id=7}: it::log_lines: in a native span trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO other: it::log_lines: elsewhere trace_id=<trace 3> span_id=<span 3> trace_flags=01
    INFO it::log_lines: nowhere
    INFO it::log_lines: outside again
    ");
    insta::assert_snapshot!(lines(|output| text_layer(&output).compact().with_trace_ids(), scenes), @r"
    INFO it::log_lines: outside
    INFO span: it::log_lines: in a span amount=3 id=7 trace_id=<trace 1> span_id=<span 1> trace_flags=01
    INFO span: it::log_lines: in a native span id=7 trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO other: it::log_lines: elsewhere trace_id=<trace 3> span_id=<span 3> trace_flags=01
    INFO span: it::log_lines: nowhere
    INFO it::log_lines: outside again
    ");
    let pretty = |output: Output| {
        text_layer(&output)
            .pretty()
            .with_file(false)
            .with_line_number(false)
            .with_trace_ids()
    };
    insta::assert_snapshot!(lines(pretty, scenes), @r"
    INFO it::log_lines: outside

    INFO it::log_lines: in a span, amount: 3
     in it::log_lines::span with id: 7
     trace_id=<trace 1> span_id=<span 1> trace_flags=01

    INFO it::log_lines: in a native span
     in it::log_lines::span with id: 7
     trace_id=<trace 1> span_id=<span 2> trace_flags=01

    INFO it::log_lines: elsewhere
     in it::log_lines::other
     trace_id=<trace 3> span_id=<span 3> trace_flags=01

    INFO it::log_lines: nowhere
     in it::log_lines::span with id: 7

    INFO it::log_lines: outside again
    ");
    insta::assert_snapshot!(lines(|output| text_layer(&output).json().with_trace_ids(), scenes), @r#"
    {"level":"INFO","fields":{"message":"outside"},"target":"it::log_lines"}
    {"level":"INFO","fields":{"message":"in a span","amount":3},"target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 1>","span_id":"<span 1>","trace_flags":"01"}
    {"level":"INFO","fields":{"message":"in a native span"},"target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 1>","span_id":"<span 2>","trace_flags":"01"}
    {"level":"INFO","fields":{"message":"elsewhere"},"target":"it::log_lines","span":{"name":"other"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 3>","span_id":"<span 3>","trace_flags":"01"}
    {"level":"INFO","fields":{"message":"nowhere"},"target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}]}
    {"level":"INFO","fields":{"message":"outside again"},"target":"it::log_lines"}
    "#);
    let flat = |output: Output| {
        text_layer(&output)
            .json()
            .flatten_event(true)
            .with_trace_ids()
    };
    insta::assert_snapshot!(lines(flat, scenes), @r#"
    {"level":"INFO","message":"outside","target":"it::log_lines"}
    {"level":"INFO","message":"in a span","amount":3,"target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 1>","span_id":"<span 1>","trace_flags":"01"}
    {"level":"INFO","message":"in a native span","target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 1>","span_id":"<span 2>","trace_flags":"01"}
    {"level":"INFO","message":"elsewhere","target":"it::log_lines","span":{"name":"other"},"spans":[{"id":7,"name":"span"}],"trace_id":"<trace 3>","span_id":"<span 3>","trace_flags":"01"}
    {"level":"INFO","message":"nowhere","target":"it::log_lines","span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}]}
    {"level":"INFO","message":"outside again","target":"it::log_lines"}
    "#);
}

#[test]
fn colours_of_the_format_stay() {
    let coloured = |output: Output| text_layer(&output).with_ansi(true).with_trace_ids();
    let text = lines(coloured, || {
        let span = info_span!("span", id = 7).entered();
        info!(amount = 3, "hello");
        vec![context_of(&span).span_context()]
    });
    insta::assert_snapshot!(text.replace('\u{1b}', "␛"), @"␛[32m INFO␛[0m ␛[1mspan␛[0m␛[1m{␛[0m␛[3mid␛[0m␛[2m=␛[0m7␛[1m}␛[0m␛[2m:␛[0m ␛[2mit::log_lines␛[0m␛[2m:␛[0m hello ␛[3mamount␛[0m␛[2m=␛[0m3 trace_id=<trace 1> span_id=<span 1> trace_flags=01");
    let pretty = |output: Output| {
        text_layer(&output)
            .pretty()
            .with_file(false)
            .with_line_number(false)
            .with_ansi(true)
            .with_trace_ids()
    };
    let text = lines(pretty, || {
        let span = info_span!("span", id = 7).entered();
        info!(amount = 3, "hello");
        vec![context_of(&span).span_context()]
    });
    insta::assert_snapshot!(text.replace('\u{1b}', "␛"), @r"
    ␛[32m INFO␛[0m ␛[1;32mit::log_lines␛[0m␛[32m: ␛[32mhello, ␛[1;32mamount␛[0m␛[32m: 3␛[0m
      ␛[2;3min␛[0m it::log_lines::␛[1mspan␛[0m ␛[2;3mwith␛[0m ␛[1mid␛[0m: 7
      trace_id=<trace 1> span_id=<span 1> trace_flags=01
    ");
}

#[test]
fn the_format_may_be_given_alone() {
    let text = |output: Output| {
        let format = correlate(format::format().without_time().compact());
        fmt::layer()
            .event_format(format)
            .with_writer(output.writer())
            .with_ansi(false)
    };
    insta::assert_snapshot!(lines(text, scenes), @r"
    INFO it::log_lines: outside
    INFO span: it::log_lines: in a span amount=3 id=7 trace_id=<trace 1> span_id=<span 1> trace_flags=01
    INFO span: it::log_lines: in a native span id=7 trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO other: it::log_lines: elsewhere trace_id=<trace 3> span_id=<span 3> trace_flags=01
    INFO span: it::log_lines: nowhere
    INFO it::log_lines: outside again
    ");
    let json = |output: Output| {
        let format = correlate(format::json().without_time().with_target(false)).ids(LogIds::ecs());
        fmt::layer()
            .fmt_fields(JsonFields::new())
            .event_format(format)
            .with_writer(output.writer())
    };
    insta::assert_snapshot!(lines(json, scenes), @r#"
    {"level":"INFO","fields":{"message":"outside"}}
    {"level":"INFO","fields":{"message":"in a span","amount":3},"span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace.id":"<trace 1>","span.id":"<span 1>"}
    {"level":"INFO","fields":{"message":"in a native span"},"span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}],"trace.id":"<trace 1>","span.id":"<span 2>"}
    {"level":"INFO","fields":{"message":"elsewhere"},"span":{"name":"other"},"spans":[{"id":7,"name":"span"}],"trace.id":"<trace 3>","span.id":"<span 3>"}
    {"level":"INFO","fields":{"message":"nowhere"},"span":{"id":7,"name":"span"},"spans":[{"id":7,"name":"span"}]}
    {"level":"INFO","fields":{"message":"outside again"}}
    "#);
}

#[test]
fn a_format_of_ones_own_says_its_shape() {
    let own = |output: Output| {
        fmt::layer()
            .event_format(correlate(Own))
            .with_writer(output.writer())
    };
    insta::assert_snapshot!(lines(own, scenes), @r"
    [own]
    [own] trace_id=<trace 1> span_id=<span 1> trace_flags=01
    [own] trace_id=<trace 1> span_id=<span 2> trace_flags=01
    [own] trace_id=<trace 3> span_id=<span 3> trace_flags=01
    [own]
    [own]
    ");
    let unknown = |output: Output| {
        fmt::layer()
            .event_format(Correlated::with_shape(Own, Shape::Block))
            .with_writer(output.writer())
    };
    insta::assert_snapshot!(lines(unknown, || {
        let _native = native().enter();
        info!("hello");
        vec![Context::current().span_context()]
    }), @r"
    [own]
        trace_id=<trace 1> span_id=<span 1> trace_flags=01
    ");
    let not_json = |output: Output| {
        fmt::layer()
            .event_format(Correlated::with_shape(Own, Shape::Json))
            .with_writer(output.writer())
    };
    assert_eq!(
        lines(not_json, || {
            let _native = native().enter();
            info!("not an object");
            Vec::new()
        }),
        "[own]\n"
    );
}

#[derive(Clone)]
struct Own;

impl LogFormat for Own {
    const SHAPE: Shape = Shape::Line;
}

impl<S, N> FormatEvent<S, N> for Own
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        _: &Event<'_>,
    ) -> std::fmt::Result {
        writeln!(writer, "[own]")
    }
}

#[test]
fn an_unsampled_span_has_ids_and_flags_that_say_so() {
    use_global();
    let mut config = RecorderConfig::default();
    config.sampler = Sampler::always_off();
    let capture = Capture::with_config(config);
    let text = lines(
        |output| text_layer(&output).with_target(false).with_trace_ids(),
        || {
            let _unsampled = capture.attach();
            let span = info_span!("span").entered();
            info!("here");
            vec![context_of(&span).span_context()]
        },
    );
    insta::assert_snapshot!(text, @" INFO span: here trace_id=<trace 1> span_id=<span 1> trace_flags=00");
}

#[test]
fn an_explicit_parent_that_the_lines_do_not_show_still_has_ids() {
    let text = lines(
        |output| text_layer(&output).with_target(false).with_trace_ids(),
        || {
            let outer = info_span!("outer");
            let inner = info_span!(parent: &outer, "inner").entered();
            info!("inner");
            info!(parent: &outer, "outer");
            vec![
                context_of(&outer).span_context(),
                context_of(&inner).span_context(),
            ]
        },
    );
    insta::assert_snapshot!(text, @r"
    INFO outer:inner: inner trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO outer: outer trace_id=<trace 1> span_id=<span 1> trace_flags=01
    ");
    // Contextual events need no look at the registry at all.
    let text = lines(
        |output| {
            text_layer(&output)
                .with_target(false)
                .with_trace_ids()
                .with_filter(LevelFilter::INFO)
        },
        || {
            let hidden = debug_span!("hidden from the lines").entered();
            info!("inside");
            vec![context_of(&hidden).span_context()]
        },
    );
    insta::assert_snapshot!(text, @" INFO inside trace_id=<trace 1> span_id=<span 1> trace_flags=01");
}

#[test]
fn lines_about_spans_carry_the_ids_of_those_spans() {
    let about = FmtSpan::NEW | FmtSpan::CLOSE;
    let layer = |output: Output| {
        text_layer(&output)
            .with_target(false)
            .with_span_events(about)
            .with_trace_ids()
    };
    let text = lines(layer, || {
        let outer = info_span!("outer").entered();
        let inner = info_span!("inner");
        vec![
            context_of(&outer).span_context(),
            context_of(&inner).span_context(),
        ]
    });
    let without_times: Vec<_> = text
        .lines()
        .map(|line| {
            let (head, ids) = line.split_at(line.find("trace_id").expect("every line has ids"));
            format!(
                "{} … {ids}",
                head.split(" time.").next().unwrap_or_default().trim_end()
            )
        })
        .collect();
    insta::assert_snapshot!(without_times.join("\n"), @r"
    INFO outer: … trace_id=<trace 1> span_id=<span 1> trace_flags=01
    INFO outer:inner: … trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO outer:inner: … trace_id=<trace 1> span_id=<span 2> trace_flags=01
    INFO outer: … trace_id=<trace 1> span_id=<span 1> trace_flags=01
    ");
}

#[test]
fn records_of_the_log_crate_have_ids_too() {
    throughline_tracing::install_log_tracer();
    let text = lines(
        |output| text_layer(&output).with_trace_ids(),
        || {
            log::info!(target: "legacy", "outside");
            let span = info_span!("span").entered();
            log::info!(target: "legacy", "inside");
            vec![context_of(&span).span_context()]
        },
    );
    insta::assert_snapshot!(text, @r"
    INFO legacy: outside
    INFO span: legacy: inside trace_id=<trace 1> span_id=<span 1> trace_flags=01
    ");
}
