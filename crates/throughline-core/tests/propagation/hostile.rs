use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::proptest;
use throughline_core::propagate::{Baggage, Format, Propagator, TraceState};

fn fields() -> Vec<&'static str> {
    let all = Format::ALL.iter().flat_map(|format| format.fields());
    all.copied()
        .chain(["uberctx-k", "jaeger-baggage", "x-b3-parentspanid"])
        .collect()
}

/// Arbitrary bytes, and what is nearly a header.
fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..200),
        "[0-9a-f]{0,33}[-:;=,%][0-9a-f]{0,17}[-:;,%][0-9a-z]{0,3}[-:;=, ]{0,2}[0-9a-f]{0,17}"
            .prop_map(String::into_bytes),
        "([a-z@*]{0,4}[ \t]?[=;,%]?[ -~]{0,8}){0,40}".prop_map(String::into_bytes),
        "Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};?(Sampled=[01?x])?"
            .prop_map(String::into_bytes),
        Just(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_vec()),
        Just(b"0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-d".to_vec()),
        Just(b"9532127138774266268".to_vec()),
    ]
}

proptest! {
    #[test]
    fn no_headers_make_a_parser_panic_and_what_is_passed_on_is_read_the_same(
        headers in vec((proptest::sample::select(fields()), value()), 0..6),
    ) {
        for format in Format::ALL {
            let propagator = Propagator::new([format]).allow_all_baggage();
            let context = propagator.extract(&headers);
            let mut sent = Vec::<(String, String)>::new();
            propagator.inject(&context, &mut sent);
            for (name, value) in &sent {
                assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{name}: {value:?}");
            }
            assert_eq!(propagator.extract(&sent), context, "{format:?}: {sent:?}");
        }
        let all = Propagator::new(Format::ALL).allow_all_baggage();
        let mut sent = Vec::<(String, String)>::new();
        all.inject(&all.extract(&headers), &mut sent);
    }

    #[test]
    fn tracestate_and_baggage_stand_any_text(key in ".{0,20}", value in ".{0,40}", header in ".{0,200}") {
        let mut tracestate = TraceState::parse([&header]).unwrap_or_default();
        let _ = tracestate.insert(&key, &value);
        assert_eq!(TraceState::parse([tracestate.as_str()]), Ok(tracestate.clone()));
        tracestate.remove(&key);
        let mut baggage = Baggage::parse([&header]);
        let _ = baggage.insert_with_metadata(&key, &value, &header);
        let sent = baggage.to_header(|_| true).unwrap_or_default();
        assert_eq!(Baggage::parse([sent]), baggage);
        baggage.remove(&key);
    }
}
