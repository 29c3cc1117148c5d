//! The names of the headers that the formats read and write.
//!
//! A header map looks a name up by its hash, and has to read and check a text first that it is given instead: five
//! times the work of the look-up, for each header of each request.

use http::header::HeaderName;

macro_rules! known {
    ($($text:literal)*) => {
        /// The name as a header map takes it, if one of the formats has it.
        pub(crate) fn known(name: &str) -> Option<&'static HeaderName> {
            match name {
                $($text => {
                    static NAME: HeaderName = HeaderName::from_static($text);
                    Some(&NAME)
                })*
                _ => None,
            }
        }
    };
}

known! {
    "traceparent" "tracestate"
    "baggage"
    "b3" "x-b3-traceid" "x-b3-spanid" "x-b3-sampled" "x-b3-flags" "x-b3-parentspanid"
    "uber-trace-id" "jaeger-baggage"
    "x-amzn-trace-id"
    "x-datadog-trace-id" "x-datadog-parent-id" "x-datadog-sampling-priority" "x-datadog-origin" "x-datadog-tags"
    "sentry-trace"
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ops::ControlFlow;

    use super::*;
    use throughline_core::propagate::{Extract, Format, Propagator};

    /// A carrier that has nothing and remembers what it was asked for.
    #[derive(Default)]
    struct Asked(RefCell<Vec<String>>);

    impl Extract for Asked {
        fn get_all(&self, name: &str, _visit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>) {
            self.0.borrow_mut().push(name.to_owned());
        }
    }

    #[test]
    fn every_header_of_every_format_is_known() {
        let propagator = Propagator::new(Format::ALL);
        let asked = Asked::default();
        let _ = propagator.extract(&asked);
        let asked = asked.0.into_inner();
        assert!(asked.len() >= Format::ALL.len(), "{asked:?}");
        let mut unknown: Vec<String> = asked;
        unknown.extend(propagator.fields().map(str::to_owned));
        unknown.retain(|name| known(name).is_none());
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
