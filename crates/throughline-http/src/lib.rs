//! Trace contexts in the headers of the [`http`] crate, which hyper, axum, tonic and reqwest share, and the span of a
//! request to a server.
//!
//! Owns the two carriers over [`HeaderMap`] and, with the feature `tower`, the layer that makes a span of each request.
//! Formats and rules of propagation are those of [`throughline_core::propagate`].
//!
//! ```
//! use http::HeaderMap;
//! use throughline_core::{Context, propagate};
//! use throughline_http::{HeaderExtractor, HeaderInjector};
//!
//! let mut request = HeaderMap::new();
//! request.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap());
//!
//! let _here = propagate::extract(&HeaderExtractor(&request)).attach();
//! let mut next = HeaderMap::new();
//! propagate::inject(&Context::current(), &mut HeaderInjector(&mut next));
//! assert_eq!(next["traceparent"], request["traceparent"]);
//! ```
#![forbid(unsafe_code)]

#[cfg(feature = "tower")]
mod head; // what is known of a request before its body
#[cfg(feature = "tower")]
mod keys;
mod names; // headers that are known beforehand
#[cfg(feature = "tower")]
mod server; // the layer
#[cfg(feature = "tower")]
mod span; // what the span of a request says

use std::ops::ControlFlow;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use throughline_core::propagate::{Extract, Inject};

#[cfg(feature = "tower")]
pub use head::RequestHead;
#[cfg(feature = "tower")]
pub use server::{InServerSpan, ServerLayer};
#[cfg(feature = "tower")]
pub use span::Answered;

/// Reads headers.
#[derive(Clone, Copy, Debug)]
pub struct HeaderExtractor<'a>(pub &'a HeaderMap);

impl Extract for HeaderExtractor<'_> {
    fn get_all(&self, name: &str, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        let mut values = match names::known(name) {
            Some(name) => self.0.get_all(name).iter(),
            None => self.0.get_all(name).iter(),
        };
        let _ = values.try_for_each(|value| visit(value.as_bytes()));
    }

    fn names(&self, visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
        for name in self.0.keys() {
            if visit(name.as_str().as_bytes()).is_break() {
                return;
            }
        }
    }
}

/// Writes headers, replacing those of the same name. A name or a value that HTTP does not allow is left out.
#[derive(Debug)]
pub struct HeaderInjector<'a>(pub &'a mut HeaderMap);

impl Inject for HeaderInjector<'_> {
    fn set(&mut self, name: &str, value: &str) {
        let name = match names::known(name) {
            Some(name) => Ok(name.clone()),
            None => HeaderName::from_bytes(name.as_bytes()),
        };
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            // A map that has no room for more headers goes out without this one.
            let _ = self.0.try_insert(name, value);
        }
    }

    fn remove(&mut self, name: &str) {
        match names::known(name) {
            Some(name) => self.0.remove(name),
            None => self.0.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use throughline_core::propagate::{Format, Propagator};

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn all_values_of_a_header_are_read() {
        let mut headers = HeaderMap::new();
        headers.append("TraceParent", HeaderValue::from_static(PARENT));
        headers.append("tracestate", HeaderValue::from_static("a=1"));
        headers.append("tracestate", HeaderValue::from_static("b=2"));
        let context = Propagator::default().extract(&HeaderExtractor(&headers));
        assert_eq!(context.tracestate().as_str(), "a=1,b=2");

        headers.append("traceparent", HeaderValue::from_static(PARENT));
        let context = Propagator::default().extract(&HeaderExtractor(&headers));
        assert!(!context.span_context().is_valid(), "two are none");
    }

    #[test]
    fn what_is_set_replaces_what_was_copied() {
        let mut headers = HeaderMap::new();
        headers.append("traceparent", HeaderValue::from_static("old"));
        headers.append("traceparent", HeaderValue::from_static("older"));
        headers.append("tracestate", HeaderValue::from_static("of=another"));
        let context = Propagator::default().extract(&[("traceparent", PARENT)][..]);
        Propagator::default().inject(&context, &mut HeaderInjector(&mut headers));
        assert_eq!(headers.get_all("traceparent").iter().count(), 1);
        assert_eq!(headers["traceparent"], PARENT);
        assert!(!headers.contains_key("tracestate"));
    }

    #[test]
    fn names_with_data_in_them_work() {
        let mut headers = HeaderMap::new();
        headers.append("uberctx-tenant", HeaderValue::from_static("blue"));
        let propagator = Propagator::new([Format::Jaeger]).allow_all_baggage();
        let context = propagator.extract(&HeaderExtractor(&headers));
        assert_eq!(context.baggage().get("tenant"), Some("blue"));
        let mut sent = HeaderMap::new();
        propagator.inject(&context, &mut HeaderInjector(&mut sent));
        assert_eq!(sent, headers);
    }
}
