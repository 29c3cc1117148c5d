use tracing::{field, info_span};

use crate::support::picture;

#[test]
fn they_describe_the_span_and_are_no_attributes() {
    let tree = picture(|| {
        let _named = info_span!(
            "macro name",
            otel.name = "GET /orders",
            otel.kind = "server",
            rows = 3
        )
        .entered();
        drop(info_span!("shown", otel.name = %"shown name", otel.kind = %"CLIENT"));
        drop(info_span!("debugged", otel.name = ?Name, otel.kind = ?Kind::Producer));
        drop(info_span!(
            "unknown",
            otel.kind = "sideways",
            otel.name = ""
        ));
        drop(info_span!("ok", otel.status_code = "OK"));
        drop(info_span!("failed", otel.status_code = "ERROR"));
        drop(info_span!("odd", otel.status_code = "unset"));
        drop(info_span!(
            "code first",
            otel.status_code = "error",
            otel.status_message = "out of stock"
        ));
        drop(info_span!(
            "message first",
            otel.status_message = "out of stock",
            otel.status_code = "error"
        ));
        drop(info_span!(
            "message only",
            otel.status_description = "out of stock"
        ));
        drop(info_span!(
            "ok is final",
            otel.status_code = "ok",
            otel.status_message = "ignored"
        ));
        drop(info_span!("numbers", otel.name = 5, otel.kind = true));
    });
    insta::assert_snapshot!(tree, @r"
    GET /orders [server] {rows=3}
    ├─ shown name [client]
    ├─ debugged name [producer]
    ├─ unknown
    ├─ ok ok
    ├─ failed error
    ├─ odd
    ├─ code first error: out of stock
    ├─ message first error: out of stock
    ├─ message only error: out of stock
    ├─ ok is final ok
    └─ 5
    ");
}

#[test]
fn they_may_come_late_also_inside_the_span() {
    let tree = picture(|| {
        let span = info_span!(
            "before",
            otel.name = field::Empty,
            otel.kind = field::Empty,
            otel.status_code = field::Empty,
            otel.status_message = field::Empty,
        );
        span.record("otel.name", "first");
        let entered = span.entered();
        drop(info_span!("child"));
        entered.record("otel.name", field::display("second"));
        entered.record("otel.kind", field::debug(Kind::Consumer));
        entered.record("otel.status_message", "timed out");
        entered.record("otel.status_code", "ERROR");
        entered.record("otel.kind", "nonsense");
        let span = entered.exit();
        span.record("otel.name", "third");
    });
    insta::assert_snapshot!(tree, @r"
    third [consumer] error: timed out
    └─ child
    ");
}

#[test]
fn a_status_set_late_may_still_become_ok_but_not_the_reverse() {
    let tree = picture(|| {
        let span = info_span!(
            "recovered",
            otel.status_code = "error",
            otel.status_message = "first attempt"
        );
        span.record("otel.status_code", "ok");
        let span = info_span!("declared", otel.status_code = "ok");
        span.record("otel.status_code", "error");
    });
    insta::assert_snapshot!(tree, @r"
    recovered ok
    declared ok
    ");
}

#[derive(Debug)]
enum Kind {
    Producer,
    Consumer,
}

struct Name;

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("debugged name")
    }
}
