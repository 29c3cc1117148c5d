use throughline_core::propagate::Format;

use crate::support::{SPAN, TRACE, passed_on};

#[test]
fn the_header_is_passed_on() {
    for sampled in ["-0", "-1", ""] {
        let value = format!("{TRACE}-{SPAN}{sampled}");
        assert_eq!(
            passed_on(Format::Sentry, &[("Sentry-Trace", &format!(" {value}\t"))]),
            format!("sentry-trace: {value}")
        );
    }
}

#[test]
fn what_is_not_sentry_is_refused() {
    for broken in [
        String::new(),
        TRACE.to_owned(),
        format!("{TRACE}-{SPAN}-"),
        format!("{TRACE}-{SPAN}-2"),
        format!("{TRACE}-{SPAN}-1-"),
        format!("{TRACE}+{SPAN}-1"),
        format!("{}-{SPAN}-1", "0".repeat(32)),
        format!("{TRACE}-{}-1", "0".repeat(16)),
        format!("{}-{SPAN}-1", &TRACE[1..]),
    ] {
        assert_eq!(
            passed_on(Format::Sentry, &[("sentry-trace", &broken)]),
            "",
            "{broken}"
        );
    }
}
