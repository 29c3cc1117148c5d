use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::ops::ControlFlow;

use throughline_core::Context;
use throughline_core::propagate::{Extract, Inject, Propagator};

use crate::support::PARENT;

fn context() -> Context {
    Propagator::default().extract(&[("traceparent", PARENT), ("tracestate", "a=1")][..])
}

/// Sends the context and takes it in again.
fn goes_through<C: Default + Inject + Extract + Debug>() {
    let mut carrier = C::default();
    carrier.set("TraceParent", "old");
    carrier.set("unrelated", "stays");
    Propagator::default().inject(&context(), &mut carrier);
    Propagator::default().inject(&context(), &mut carrier);
    assert_eq!(
        Propagator::default().extract(&carrier),
        context(),
        "{carrier:?}"
    );
    let (mut names, mut unrelated) = (0, 0);
    carrier.names(&mut |_| {
        names += 1;
        ControlFlow::Continue(())
    });
    carrier.get_all("UNRELATED", &mut |value| {
        assert_eq!(value, b"stays");
        unrelated += 1;
        ControlFlow::Continue(())
    });
    assert_eq!((names, unrelated), (3, 1), "{carrier:?}");
    let without = context().with_tracestate(Default::default());
    Propagator::default().inject(&without, &mut carrier);
    assert_eq!(
        Propagator::default().extract(&carrier),
        without,
        "a stale tracestate is removed"
    );
}

#[test]
fn maps_and_lists_of_text_and_bytes_are_carriers() {
    goes_through::<HashMap<String, String>>();
    goes_through::<HashMap<Vec<u8>, Vec<u8>>>();
    goes_through::<BTreeMap<String, String>>();
    goes_through::<BTreeMap<Vec<u8>, Vec<u8>>>();
    goes_through::<BTreeMap<String, Vec<u8>>>();
    goes_through::<Vec<(String, String)>>();
    goes_through::<Vec<(Vec<u8>, Vec<u8>)>>();
}

#[test]
fn closures_are_carriers() {
    let mut sent = HashMap::new();
    Propagator::default().inject(&context(), &mut |name: &str, value: &str| {
        sent.insert(name.to_owned(), value.to_owned());
    });
    let received = Propagator::default().extract(&|name: &str| sent.get(name).cloned());
    assert_eq!(received, context());
}

#[test]
fn two_names_that_differ_by_case_are_one_header() {
    let headers = HashMap::from([("traceparent", PARENT), ("Traceparent", PARENT)]);
    assert_eq!(Propagator::default().extract(&headers), Context::default());
}

#[test]
fn values_that_are_not_utf8_are_refused() {
    let mut broken = PARENT.as_bytes().to_vec();
    broken[10] = 0xff;
    let headers = [
        (&b"traceparent"[..], &broken[..]),
        (&b"baggage"[..], &b"a=1,b=\xff,c=3"[..]),
    ];
    let context = Propagator::default().extract(&headers[..]);
    assert!(!context.span_context().is_valid());
    assert_eq!(
        context.baggage().iter().collect::<Vec<_>>(),
        [("a", "1"), ("c", "3")]
    );
}
