use throughline_core::propagate::{Format, Propagator};
use throughline_core::{Context, SpanContext};

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const SPAN: &str = "b7ad6b7169203331";
pub(crate) const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub(crate) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// What that format reads from these headers.
pub(crate) fn read(format: Format, headers: Pairs<'_>) -> Context {
    Propagator::new([format]).extract(headers)
}

/// The same, for headers that are expected to name a span.
pub(crate) fn span(format: Format, headers: Pairs<'_>) -> Option<SpanContext> {
    Some(read(format, headers).span_context()).filter(SpanContext::is_valid)
}

/// What that format writes, one header a line, all baggage allowed.
pub(crate) fn written(format: Format, context: &Context) -> String {
    let mut lines = Vec::new();
    let propagator = Propagator::new([format]).allow_all_baggage();
    propagator.inject(context, &mut |name: &str, value: &str| {
        lines.push(format!("{name}: {value}"));
    });
    lines.join("\n")
}

/// What is passed on of these headers.
pub(crate) fn passed_on(format: Format, headers: Pairs<'_>) -> String {
    written(format, &read(format, headers))
}
