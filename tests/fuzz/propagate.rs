//! Feeds headers to one format of propagation, which the variable `THROUGHLINE_FORMAT` names, and checks that nothing
//! panics, that what is passed on is well-formed, and that it is read as what was passed on.
//!
//! An input is lines of `name: value`; a first byte picks the name where a line has none. How to run it is said in
//! `run.sh`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use throughline_core::Context;
use throughline_core::propagate::{Baggage, Format, Propagator, TraceState};

static FORMAT: LazyLock<Format> = LazyLock::new(|| {
    let name = std::env::var("THROUGHLINE_FORMAT").unwrap_or_default();
    let format = Format::ALL.into_iter().find(|format| format.name() == name);
    format.expect("THROUGHLINE_FORMAT names a format")
});

/// Names that a format reads and does not write.
const MORE: &[&str] = &["uberctx-k", "uberctx-Key", "jaeger-baggage", "x-b3-parentspanid", "b3"];

fuzz_target!(|input: &[u8]| check(*FORMAT, input));

fn headers_of(format: Format, input: &[u8]) -> Vec<(&'static str, &[u8])> {
    let names = [format.fields(), MORE].concat();
    let lines = input.split(|byte| *byte == b'\n').take(2000);
    lines
        .filter_map(|line| {
            let (pick, value) = line.split_first()?;
            Some((names[usize::from(*pick) % names.len()], value))
        })
        .collect()
}

fn check(format: Format, input: &[u8]) {
    let headers = headers_of(format, input);
    let propagator = Propagator::new([format]).allow_all_baggage();
    let context = propagator.extract(&headers);
    let (sent, received) = round(&propagator, &context);
    assert_eq!(received, context, "{sent:?}");
    well_formed(&sent);

    // All formats at once, onto a context that has something already.
    let all = Propagator::new(Format::ALL).allow_all_baggage();
    let context = all.extract_onto(context, &headers);
    well_formed(&round(&all, &context).0);

    if let Ok(text) = std::str::from_utf8(input) {
        edit(text);
    }
}

fn round(propagator: &Propagator, context: &Context) -> (Vec<(String, String)>, Context) {
    let mut sent = Vec::new();
    propagator.inject(context, &mut sent);
    let received = propagator.extract(&sent);
    (sent, received)
}

fn well_formed(sent: &[(String, String)]) {
    for (name, value) in sent {
        assert!(!name.is_empty() && !value.starts_with(' ') && !value.ends_with(' '));
        assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
        match name.as_str() {
            "traceparent" => assert_eq!(value.len(), 55),
            "tracestate" => {
                assert!(value.len() <= 512 && value.split(',').count() <= 32);
                let again = TraceState::parse([value]).expect("it is valid");
                assert_eq!(again.as_str(), value);
            }
            "baggage" => {
                assert!(value.len() <= 8192 && value.split(',').count() <= 64);
                let again = Baggage::parse([value]);
                assert_eq!(again.to_header(|_| true).as_deref(), Some(value.as_str()));
            }
            _ => {}
        }
    }
}

/// Uses the text as keys and values of edits.
fn edit(text: &str) {
    let mut tracestate = TraceState::parse([text]).unwrap_or_default();
    let mut baggage = Baggage::parse([text]);
    for line in text.split('\n').take(50) {
        let (key, value) = line.split_once('=').unwrap_or((line, "v"));
        if tracestate.insert(key, value).is_ok() {
            assert_eq!(tracestate.iter().next(), Some((key, value)));
        }
        if baggage.insert_with_metadata(key, value, text).is_ok() {
            assert_eq!(baggage.get(key), Some(value));
        }
    }
    assert_eq!(TraceState::parse([tracestate.as_str()]), Ok(tracestate));
    let header = baggage.to_header(|_| true).unwrap_or_default();
    assert!(header.len() <= 8192);
    if Baggage::parse([&header]).len() == baggage.len() {
        assert_eq!(Baggage::parse([&header]), baggage);
    }
}
