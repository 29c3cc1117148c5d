//! Values that are meant to break an encoder, a decoder or a terminal.

use throughline::core::SpanLimits;
use throughline::span;
use throughline::testing::{Oracle, Value};
use throughline_tests::support::{inv, load};

use crate::support::{LONG, Row, receiver, size, to};

const LENGTH_LIMIT: usize = 100;
const ATTRIBUTE_LIMIT: usize = 128;

#[test]
fn row_24_hostile_data_is_valid_and_bounded() {
    let row = Row::start(
        24,
        "NUL, ANSI and OSC sequences, bidi, HTML, replaced surrogates, 10^6 characters, 4-byte characters at the cut, \
         10^5 attributes",
        "an independent decoder accepts 100 %; cut at a character; count <= 128 with exact dropped counts",
    );
    let nasty = [
        "\0nul\0",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{202e}override\u{2066}\u{200f}",
        "<script>alert(1)</script>\"'&",
        "\u{fffd}\u{fffd} from surrogates",
        "\u{feff}bom\r\n\t\u{85}\u{2028}",
        "",
    ];
    let receiver = receiver();
    let mut limits = SpanLimits::default();
    limits.attribute_value_length = LENGTH_LIMIT as u32;
    let pipeline = to(&receiver.endpoint())
        .limits(limits)
        .start()
        .expect("a pipeline starts");
    let oracle = Oracle::new();
    let here = pipeline.context().attach();
    for value in nasty {
        let mut span = span!("hostile", value = value);
        span.update_name(value);
        span.set_attribute(value, value);
        span.add_event(value, |event| event.attribute(&"value", value));
        oracle.issue([load::id_of(&span)]);
    }
    // A character of four bytes at each place of the cut.
    for offset in 0..4 {
        let text = format!(
            "{}{}",
            "a".repeat(LENGTH_LIMIT - 2 + offset),
            "\u{1f980}".repeat(10)
        );
        let span = span!("cut", value = text.as_str());
        oracle.issue([load::id_of(&span)]);
    }
    let long = "\u{1f980}".repeat(size(100_000, 1_000_000, 1_000_000) as usize);
    let span = span!("long", value = long.as_str());
    oracle.issue([load::id_of(&span)]);
    drop(span);
    let attributes = size(10_000, 100_000, 100_000);
    let mut many = span!("many");
    for number in 0..attributes {
        many.set_attribute(format!("key {number}").as_str(), number);
    }
    oracle.issue([load::id_of(&many)]);
    drop((many, here));
    assert!(pipeline.flush(LONG).is_complete());
    let requests = receiver.requests();
    assert!(
        requests.iter().all(|request| request.rejection.is_none()),
        "all decode"
    );
    let verdict = inv::hold(&oracle, &receiver, &pipeline.stats());

    let mut longest = 0;
    for span in receiver.spans() {
        if let Some(Value::String(value)) = span.attribute("value") {
            longest = longest.max(value.chars().count());
            if nasty.contains(&value.as_str()) {
                assert_eq!(span.name, *value, "it arrives as it was");
            }
        }
        // The place in the source is the callsite's, not the user's.
        let keys = span
            .attributes
            .iter()
            .filter(|(key, _)| !key.starts_with("code."));
        let kept = keys.count();
        assert!(kept <= ATTRIBUTE_LIMIT, "{kept} attributes");
        if span.name == "many" {
            let all = kept as u64 + u64::from(span.dropped_attributes);
            assert_eq!(all, attributes, "what is dropped is counted");
        }
    }
    assert_eq!(longest, LENGTH_LIMIT);
    row.holds(format!(
        "{} spans, 0 refused; longest value {longest} of {LENGTH_LIMIT} characters; {ATTRIBUTE_LIMIT} of {attributes} \
         attributes kept, {} counted as dropped",
        verdict.accepted,
        attributes - ATTRIBUTE_LIMIT as u64
    ));
}
