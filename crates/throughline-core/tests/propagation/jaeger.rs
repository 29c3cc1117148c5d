use throughline_core::TraceFlags;
use throughline_core::propagate::Format;

use crate::support::{SPAN, TRACE, passed_on, read, span};

fn on(value: &str) -> String {
    passed_on(Format::Jaeger, &[("uber-trace-id", value)])
}

#[test]
fn the_header_is_passed_on_without_a_parent() {
    for (flags, sent) in [
        ("0", "0"),
        ("1", "1"),
        ("01", "1"),
        ("3", "3"),
        ("2", "3"),
        ("4", "0"),
        ("f", "3"),
    ] {
        assert_eq!(
            on(&format!("{TRACE}:{SPAN}:05e3ac9a4f6e3b90:{flags}")),
            format!("uber-trace-id: {TRACE}:{SPAN}:0:{sent}")
        );
    }
}

#[test]
fn ids_are_filled_up() {
    let span = span(Format::Jaeger, &[("uber-trace-id", "abc:d:0:1")]).unwrap();
    assert_eq!(span.trace_id().to_string(), format!("{:0>32}", "abc"));
    assert_eq!(span.span_id().to_string(), format!("{:0>16}", "d"));
}

#[test]
fn the_header_may_be_url_encoded() {
    for colon in ["%3A", "%3a"] {
        let value = format!("{TRACE}:{SPAN}:0:1").replace(':', colon);
        assert_eq!(on(&value), format!("uber-trace-id: {TRACE}:{SPAN}:0:1"));
    }
}

#[test]
fn debug_is_no_bit_of_the_w3c_flags() {
    let context = read(
        Format::Jaeger,
        &[("uber-trace-id", &format!("{TRACE}:{SPAN}:0:3"))],
    );
    assert_eq!(context.span_context().trace_flags(), TraceFlags::SAMPLED);
}

#[test]
fn what_is_not_jaeger_is_refused() {
    for broken in [
        "",
        ":::",
        "0:1:0:1",
        "1:0:0:1",
        "1:1:0",
        "1:1:0:1:1",
        "1:1:0:100",
        "1:1:0:+1",
        "1:1:x:1",
        "x:1:0:1",
        "123456789012345678901234567890123:1:0:1",
        "1:12345678901234567:0:1",
    ] {
        assert_eq!(on(broken), "", "{broken}");
    }
}

#[test]
fn baggage_is_in_names_and_in_a_list() {
    let headers = [
        ("uberctx-tenant", "bl%20ue"),
        ("UberCtx-user", "me"),
        ("jaeger-baggage", "a=1, b = 2 ,broken"),
    ];
    assert_eq!(
        passed_on(Format::Jaeger, &headers),
        "uberctx-a: 1\nuberctx-b: 2\nuberctx-tenant: bl%20ue\nuberctx-user: me"
    );
}

#[test]
fn names_of_baggage_have_no_case() {
    let headers = [
        ("uberctx-Tenant", "1"),
        ("jaeger-baggage", "TENANT=2,tenant=3"),
    ];
    assert_eq!(passed_on(Format::Jaeger, &headers), "uberctx-tenant: 1");
}

#[test]
fn baggage_has_limits() {
    let many: Vec<_> = (0..100)
        .map(|n| (format!("uberctx-k{n}"), "v".to_owned()))
        .collect();
    let many: Vec<_> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(read(Format::Jaeger, &many).baggage().len(), 64);
    let long = "v".repeat(8192);
    assert!(
        read(Format::Jaeger, &[("uberctx-k", &long)])
            .baggage()
            .is_empty()
    );
}
