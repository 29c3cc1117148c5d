//! Contexts in the headers of records.
//!
//! Owns the two ways: what is written replaces what is there, what is read is the last of its name. Formats are the
//! propagator's. A header whose name is not UTF-8 makes rdkafka panic when anyone looks at it, so looking is done
//! behind a fence where panics unwind: such a record keeps the headers it has, and counts as one without a context.

use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{Header, Headers, OwnedHeaders};
use throughline_core::Context;
use throughline_core::propagate::{self, Extract, Inject};

/// Writes the context to the headers of a record, by the [propagator of the process](propagate::global).
///
/// What the headers have of the propagator's names is left out, so that a record which is sent on says one thing; all
/// others stay, in their order, and the context comes after them. Where there is no context to write, the headers are
/// given back as they are.
///
/// The producers of this crate do that; call it for one of your own.
///
/// ```
/// use rdkafka::message::{Header, Headers, OwnedHeaders};
/// use throughline_core::Context;
/// use throughline_rdkafka::inject;
///
/// let headers = OwnedHeaders::new().insert(Header { key: "tenant", value: Some("blue") });
/// let headers = inject(&Context::current(), Some(headers));
/// assert_eq!(headers.map(|headers| headers.count()), Some(1), "nothing is current here");
/// ```
#[must_use = "the headers of the record are what is returned"]
pub fn inject(context: &Context, headers: Option<OwnedHeaders>) -> Option<OwnedHeaders> {
    let mut carrier = Carrier {
        has_others: headers.is_some(),
        headers,
    };
    propagate::inject(context, &mut carrier);
    carrier.headers
}

/// The context that the headers of a record have, by the [propagator of the process](propagate::global); an empty one
/// if they have none. Of several headers of a name the last one counts.
///
/// What starts under it goes to the recorder that is current here.
///
/// ```
/// use rdkafka::message::{Header, OwnedHeaders};
/// use throughline_rdkafka::extract;
///
/// let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(traceparent) });
/// assert!(extract(&headers).span_context().is_remote());
/// ```
pub fn extract<H: Headers>(headers: &H) -> Context {
    let here = Context::current().without_span();
    let read = || propagate::global().extract_onto(here.clone(), &Last::of(headers));
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(here)
}

/// The headers of a record, to be written.
struct Carrier {
    headers: Option<OwnedHeaders>,
    /// Whether there may still be something of the propagator's that it has not written.
    has_others: bool,
}

impl Carrier {
    fn leave_out(&mut self, goes: impl Fn(&str) -> bool) {
        self.headers = self.headers.take().map(|headers| without(headers, goes));
    }
}

impl Inject for Carrier {
    fn set(&mut self, name: &str, value: &str) {
        let replaces = mem::take(&mut self.has_others);
        self.leave_out(|other| {
            let mut fields = propagate::global().fields();
            other.eq_ignore_ascii_case(name)
                || replaces && fields.any(|field| other.eq_ignore_ascii_case(field))
        });
        let headers = self.headers.take();
        let headers = headers.unwrap_or_else(|| OwnedHeaders::new_with_capacity(1));
        self.headers = Some(headers.insert(Header {
            key: name,
            value: Some(value),
        }));
    }

    fn remove(&mut self, name: &str) {
        self.leave_out(|other| other.eq_ignore_ascii_case(name));
    }
}

/// The headers without those of such names.
fn without(headers: OwnedHeaders, goes: impl Fn(&str) -> bool) -> OwnedHeaders {
    let rebuild = || {
        let count = headers.count();
        let all = || (0..count).filter_map(|at| headers.try_get(at));
        if !all().any(|header| goes(header.key)) {
            return None;
        }
        let kept = all().filter(|header| !goes(header.key));
        Some(kept.fold(OwnedHeaders::new_with_capacity(count), OwnedHeaders::insert))
    };
    // A header that cannot be looked at cannot be copied either. What is appended then is the last of its name.
    let rebuilt = catch_unwind(AssertUnwindSafe(rebuild)).unwrap_or(None);
    rebuilt.unwrap_or(headers)
}

/// Headers of which the last one of a name counts.
///
/// Each format asks for names of its own, and librdkafka counts its way to a header: so the first few, which are all that
/// most records have, are read once.
struct Last<'a, H> {
    headers: &'a H,
    count: usize,
    first: [Option<Header<'a, &'a [u8]>>; READ_ONCE],
}

impl<'a, H: Headers> Last<'a, H> {
    fn of(headers: &'a H) -> Self {
        let count = headers.count();
        let mut first = [const { None }; READ_ONCE];
        for (at, header) in first.iter_mut().enumerate().take(count) {
            *header = headers.try_get(at);
        }
        Self {
            headers,
            count,
            first,
        }
    }

    fn get(&self, at: usize) -> Option<Header<'_, &[u8]>> {
        match self.first.get(at) {
            Some(header) => header.clone(),
            None => self.headers.try_get(at),
        }
    }
}

impl<H: Headers> Extract for Last<'_, H> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let last_first = (0..self.count).rev();
        let value = last_first
            .filter_map(|at| self.get(at))
            .find(|header| header.key.eq_ignore_ascii_case(name))
            .and_then(|header| header.value);
        if let Some(value) = value {
            let _ = visit(value);
        }
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        for header in (0..self.count).filter_map(|at| self.get(at)) {
            if visit(header.key.as_bytes()).is_break() {
                return;
            }
        }
    }
}

/// Headers that are read ahead; those after them are read whenever somebody asks.
const READ_ONCE: usize = 8;

#[cfg(test)]
mod tests {
    use throughline_core::{SpanContext, SpanId, TraceFlags, TraceId};

    use super::*;

    fn context(last: u8) -> Context {
        let trace = TraceId::from_bytes([7; 16]);
        let span = SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, last]);
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true).into()
    }

    fn told(headers: &OwnedHeaders) -> Vec<(&str, Option<&str>)> {
        let text = |value| std::str::from_utf8(value).expect("text");
        let headers = headers.iter();
        headers
            .map(|header| (header.key, header.value.map(text)))
            .collect()
    }

    fn with(pairs: &[(&str, Option<&str>)]) -> OwnedHeaders {
        let headers = OwnedHeaders::new();
        pairs.iter().fold(headers, |headers, (key, value)| {
            headers.insert(Header { key, value: *value })
        })
    }

    const OURS: &str = "00-07070707070707070707070707070707-0000000000000002-01";

    #[test]
    fn headers_are_replaced_and_never_doubled() {
        let old = with(&[
            ("a", Some("1")),
            ("traceparent", Some("old")),
            ("a", Some("2")),
            ("Traceparent", Some("older")),
            ("tracestate", Some("x=y")),
            ("empty", Some("")),
            ("nothing", None),
            ("baggage", Some("user=me")),
        ]);
        let new = inject(&context(2), Some(old)).expect("headers");
        let kept = [
            ("a", Some("1")),
            ("a", Some("2")),
            ("empty", Some("")),
            ("nothing", None),
            ("traceparent", Some(OURS)),
        ];
        assert_eq!(told(&new), kept);
        let again = inject(&context(2), Some(new)).expect("headers");
        assert_eq!(told(&again), kept);
    }

    #[test]
    fn records_without_headers_get_some() {
        let new = inject(&context(2), None).expect("headers");
        assert_eq!(told(&new), [("traceparent", Some(OURS))]);
    }

    #[test]
    fn nothing_is_touched_where_there_is_nothing_to_write() {
        assert!(inject(&Context::default(), None).is_none());
        let old = with(&[("traceparent", Some(OURS)), ("a", None)]);
        let new = inject(&Context::default(), Some(old)).expect("headers");
        assert_eq!(told(&new), [("traceparent", Some(OURS)), ("a", None)]);
    }

    #[test]
    fn the_last_one_counts() {
        let first = "00-07070707070707070707070707070707-0000000000000001-01";
        let headers = with(&[("traceparent", Some(first)), ("traceparent", Some(OURS))]);
        let read = extract(&headers).span_context();
        assert_eq!(read.span_id(), context(2).span_context().span_id());
        let broken = with(&[("traceparent", Some(OURS)), ("traceparent", Some("junk"))]);
        assert!(!extract(&broken).span_context().is_valid());
    }

    #[test]
    fn it_counts_also_among_many() {
        for before in [READ_ONCE - 1, READ_ONCE, 3 * READ_ONCE] {
            let mut many = vec![("traceparent", Some("old")); before];
            many.extend([("traceparent", Some(OURS)), ("tenant", None)]);
            let read = extract(&with(&many)).span_context();
            assert_eq!(read.span_id(), context(2).span_context().span_id());
        }
    }

    /// Like headers with a name that is not UTF-8, which only other clients can write.
    struct Unreadable;

    impl Headers for Unreadable {
        fn count(&self) -> usize {
            1
        }

        fn try_get(&self, _: usize) -> Option<Header<'_, &[u8]>> {
            std::panic::resume_unwind(Box::new("not UTF-8"))
        }
    }

    #[test]
    fn headers_that_cannot_be_read_are_none() {
        assert!(!extract(&Unreadable).span_context().is_valid());
    }
}
