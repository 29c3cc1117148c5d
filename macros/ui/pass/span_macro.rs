//! `span!` in all its forms.
#![deny(warnings)]

use throughline::core::SpanContext;
use throughline::{Context, Span, span};

const NAME: &str = "from a constant";

fn generic<T: std::fmt::Display>(value: T) -> Span {
    span!("generic", value = %value)
}

fn main() {
    let id = 7;
    let remote = SpanContext::parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    let card = String::from("visa");
    let _span: Span = span!("charge");
    let _span = span!("charge",);
    let _span = span!(NAME, order.id = id, card = %card, "a key" = ?card, total = id * 2);
    let _span = span!(kind: client, level: debug, target: "shop", parent: &Context::current(), "charge", id = id);
    let _span = span!(kind: "server", links: [remote], crate: ::throughline, "charge");
    let guard = span!("charge", id = id).enter();
    drop(guard);
    let _span = generic(card);
}
