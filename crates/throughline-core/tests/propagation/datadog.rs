use throughline_core::propagate::{Format, Propagator};

use crate::support::{Pairs, passed_on, read, span};

const IDS: [(&str, &str); 2] = [
    ("x-datadog-trace-id", "9532127138774266268"),
    ("x-datadog-parent-id", "13235353014750950193"),
];

fn with(rest: Pairs<'_>) -> String {
    passed_on(Format::Datadog, &[&IDS, rest].concat())
}

#[test]
fn ids_are_decimal() {
    let span = span(Format::Datadog, &IDS).unwrap();
    assert_eq!(
        span.trace_id().to_string(),
        "00000000000000008448eb211c80319c"
    );
    assert_eq!(span.span_id().to_string(), "b7ad6b7169203331");
    for broken in [
        "",
        "0",
        "-1",
        "+1",
        "1a",
        "18446744073709551616",
        "000000000000000000001",
    ] {
        assert!(
            read(Format::Datadog, &[("x-datadog-trace-id", broken), IDS[1]])
                .eq(&Default::default())
        );
        assert!(
            read(Format::Datadog, &[IDS[0], ("x-datadog-parent-id", broken)])
                .eq(&Default::default())
        );
    }
}

#[test]
fn the_priority_is_kept() {
    for (priority, sampled) in [("-1", false), ("0", false), ("1", true), ("2", true)] {
        let header = ("x-datadog-sampling-priority", priority);
        let context = read(Format::Datadog, &[&IDS[..], &[header]].concat());
        assert_eq!(context.span_context().is_sampled(), sampled);
        assert!(with(&[header]).contains(&format!("priority: {priority}")));
    }
    assert!(
        !with(&[]).contains("priority"),
        "the decision is ours to take"
    );
    assert!(!with(&[("x-datadog-sampling-priority", "3")]).contains("priority"));
}

#[test]
fn the_high_half_of_the_id_is_in_a_tag() {
    let sent = with(&[
        ("x-datadog-sampling-priority", "2"),
        ("x-datadog-origin", "synthetics"),
        (
            "x-datadog-tags",
            "_dd.p.dm=-4,_dd.p.tid=0af7651916cd43dd,other=1,_dd.p.usr=a=b",
        ),
    ]);
    assert_eq!(
        sent,
        "x-datadog-trace-id: 9532127138774266268\n\
         x-datadog-parent-id: 13235353014750950193\n\
         x-datadog-sampling-priority: 2\n\
         x-datadog-origin: synthetics\n\
         x-datadog-tags: _dd.p.tid=0af7651916cd43dd,_dd.p.dm=-4,_dd.p.usr=a=b"
    );
}

#[test]
fn a_malformed_half_is_not_used() {
    for tid in ["0af7651916cd43d", "0AF7651916CD43DD", "x"] {
        let tags = format!("_dd.p.tid={tid}");
        let span = span(
            Format::Datadog,
            &[IDS[0], IDS[1], ("x-datadog-tags", &tags)],
        )
        .unwrap();
        assert!(span.trace_id().to_string().starts_with("0000000000000000"));
    }
    assert!(!with(&[("x-datadog-tags", &"_dd.p.a=b,".repeat(100))]).contains("tags"));
}

#[test]
fn the_other_half_comes_from_another_header() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
    let propagator = Propagator::new([Format::TraceContext, Format::Datadog]);
    let headers = [
        IDS[0],
        IDS[1],
        ("traceparent", parent),
        ("tracestate", "dd=s:1"),
        ("x-datadog-sampling-priority", "1"),
    ];
    let context = propagator.extract(&headers[..]);
    assert_eq!(context.span_context().to_traceparent().as_str(), parent);
    assert_eq!(
        context.tracestate().as_str(),
        "dd=s:1",
        "it is the same trace"
    );
}
