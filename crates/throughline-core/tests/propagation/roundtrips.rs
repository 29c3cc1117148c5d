use throughline_core::propagate::{Baggage, Format, Propagator, TraceState};
use throughline_core::{Context, SpanContext, SpanId, TraceFlags, TraceId};

/// Contexts per format. Debug builds are slow; optimised ones take the full number.
fn rounds() -> usize {
    let set = std::env::var("THROUGHLINE_ROUNDTRIPS").ok();
    let default = if cfg!(debug_assertions) {
        20_000
    } else {
        1_000_000
    };
    set.and_then(|set| set.parse().ok()).unwrap_or(default)
}

fn random_span(random: &mut fastrand::Rng, flags: TraceFlags) -> SpanContext {
    let trace_id = TraceId::from_bytes(random.u128(1..).to_be_bytes());
    let span_id = SpanId::from_bytes(random.u64(1..).to_be_bytes());
    SpanContext::new(trace_id, span_id, flags, true)
}

fn random_text(random: &mut fastrand::Rng, characters: &[char], most: usize) -> String {
    let length = random.usize(1..=most);
    std::iter::repeat_with(|| characters[random.usize(..characters.len())])
        .take(length)
        .collect()
}

fn random_tracestate(random: &mut fastrand::Rng) -> TraceState {
    let keys: Vec<char> = "abcxyz019_-*/@".chars().collect();
    let values: Vec<char> = (' '..='~').filter(|c| !matches!(c, ',' | '=')).collect();
    let mut tracestate = TraceState::new();
    for _ in 0..random.usize(..8) {
        let key = format!("k{}", random_text(random, &keys, 20));
        let value = random_text(random, &values, 60) + "!";
        tracestate.insert(&key, &value).unwrap();
    }
    tracestate
}

fn random_baggage(random: &mut fastrand::Rng) -> Baggage {
    let names: Vec<char> = "abcXYZ019!#$%&'*+-.^_`|~".chars().collect();
    let values: Vec<char> = "abc XYZ=,;\\\"%é€𝄞\u{0}\u{7f}/".chars().collect();
    let mut baggage = Baggage::new();
    for _ in 0..random.usize(..6) {
        let name = random_text(random, &names, 12);
        let value = random_text(random, &values, 30);
        let metadata = if random.bool() { "public;ttl=30" } else { "" };
        baggage
            .insert_with_metadata(&name, &value, metadata)
            .unwrap();
    }
    baggage
}

/// Sends random contexts and takes them in again; what comes back must be what was sent.
fn come_back(formats: &[Format], seed: u64, make: impl Fn(&mut fastrand::Rng) -> Context) {
    let mut random = fastrand::Rng::with_seed(seed);
    let propagator = Propagator::new(formats.iter().copied()).allow_all_baggage();
    let rounds = rounds();
    let mut carrier = Vec::<(String, String)>::new();
    for round in 0..rounds {
        let context = make(&mut random);
        carrier.clear();
        propagator.inject(&context, &mut carrier);
        assert_eq!(
            propagator.extract(&carrier),
            context,
            "round {round}: {carrier:?}"
        );
    }
    println!("{formats:?}: {rounds} contexts came back without a difference");
}

fn sampled_or_not(random: &mut fastrand::Rng) -> Context {
    let flags = TraceFlags::NONE.with_sampled(random.bool());
    random_span(random, flags).into()
}

#[test]
fn tracecontext_comes_back() {
    come_back(&[Format::TraceContext], 1, |random| {
        let flags = TraceFlags::from_u8(random.u8(..4));
        let context = Context::from(random_span(random, flags));
        context.with_tracestate(random_tracestate(random))
    });
}

#[test]
fn tracecontext_and_baggage_come_back() {
    come_back(&[Format::TraceContext, Format::Baggage], 2, |random| {
        let flags = TraceFlags::from_u8(random.u8(..4));
        let context = Context::from(random_span(random, flags));
        context.with_baggage(random_baggage(random))
    });
}

#[test]
fn b3_comes_back() {
    for (seed, format) in [(3, Format::B3), (4, Format::B3Multi)] {
        let debug = Propagator::new([Format::B3]);
        come_back(&[format], seed, |random| {
            let context = sampled_or_not(random);
            if random.u8(..4) > 0 {
                return context;
            }
            // The debug flag and the missing decision can only be had from headers.
            let span = context.span_context();
            let state = if random.bool() { "-d" } else { "" };
            let header = format!("{}-{}{state}", span.trace_id(), span.span_id());
            debug.extract(&[("b3", header)][..])
        });
    }
}

#[test]
fn jaeger_comes_back() {
    come_back(&[Format::Jaeger], 5, sampled_or_not);
}

#[test]
fn xray_comes_back() {
    come_back(&[Format::XRay], 6, sampled_or_not);
}

#[test]
fn datadog_comes_back() {
    come_back(&[Format::Datadog], 7, sampled_or_not);
}

#[test]
fn sentry_comes_back() {
    come_back(&[Format::Sentry], 8, sampled_or_not);
}

#[test]
fn all_formats_together_come_back() {
    come_back(&Format::ALL, 9, sampled_or_not);
}
