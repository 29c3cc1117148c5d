//! What the span of a request says, by OpenTelemetry's semantic conventions for HTTP.

use std::any::type_name;
use std::fmt;

use http::Response;
use throughline_core::{Inspect, LiveSpan, Span, Status, display};

use crate::head::RequestHead;
use crate::keys;
use crate::server::Options;

/// Records what is known when the request comes.
pub(crate) fn describe(
    request: RequestHead<'_>,
    route: Option<&str>,
    options: &Options,
    span: &mut LiveSpan,
) {
    let method = request.method().as_str();
    let is_known = match &options.known_methods {
        None => KNOWN_METHODS.contains(&method),
        Some(known) => known.contains(request.method()),
    };
    // The conventions want no more names than there are known methods.
    let first = if is_known { method } else { "HTTP" };
    match route {
        Some(route) => span.update_name_parts(&[first, " ", route]),
        None => span.update_name(first),
    }
    if is_known {
        span.attribute(&keys::REQUEST_METHOD, method);
    } else {
        span.attribute(&keys::REQUEST_METHOD, "_OTHER");
        span.attribute(&keys::REQUEST_METHOD_ORIGINAL, method);
    }
    let uri = request.uri();
    span.attribute(
        &keys::URL_SCHEME,
        uri.scheme_str().unwrap_or(options.scheme),
    );
    span.attribute(&keys::URL_PATH, uri.path());
    if let Some(query) = uri.query() {
        span.attribute(&keys::URL_QUERY, display(&Redacted(query)));
    }
    if let Some(route) = route {
        span.attribute(&keys::ROUTE, route);
    }
}

/// Records how a request was answered, when its future is ready. Part of the type of that future.
#[derive(Clone, Copy, Debug)]
pub struct Answered(pub(crate) ());

impl<B, E: fmt::Display> Inspect<Result<Response<B>, E>> for Answered {
    fn inspect(&mut self, answer: &Result<Response<B>, E>, span: &mut Span) {
        let Some(span) = span.recording() else {
            return;
        };
        match answer {
            Ok(response) => {
                let status = response.status();
                span.set_attribute(keys::STATUS_CODE, status.as_u16());
                if status.is_server_error() {
                    // The code says what there is to say, so that the status has no message.
                    fail(span, status.as_str(), "");
                }
            }
            Err(error) => fail(span, type_name::<E>(), &error.to_string()),
        }
    }

    fn error_type(&self, answer: &Result<Response<B>, E>) -> Option<&'static str> {
        answer.is_err().then(type_name::<E>)
    }
}

/// Marks the span as failed, unless somebody who knows more has said what became of it.
#[cold]
fn fail(span: &mut LiveSpan, kind: &str, message: &str) {
    if span.status() == Status::Unset {
        span.set_attribute(keys::ERROR_TYPE, kind);
        span.set_status(Status::Error, message);
    }
}

/// A query without the values of those keys that the conventions call secrets.
struct Redacted<'a>(&'a str);

impl fmt::Display for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for pair in self.0.split('&') {
            f.write_str(separator)?;
            separator = "&";
            match pair.split_once('=') {
                Some((key, _)) if SECRETS.contains(&key) => write!(f, "{key}=REDACTED")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

/// Those of RFC 9110, `PATCH` of RFC 5789 and `QUERY` of RFC 10008, the most frequent first.
const KNOWN_METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY", "CONNECT", "TRACE",
];
const SECRETS: [&str; 5] = [
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "sig",
    "X-Goog-Signature",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_of_a_query() {
        let redacted = |query| Redacted(query).to_string();
        assert_eq!(
            redacted("q=OpenTelemetry&sig=a=b"),
            "q=OpenTelemetry&sig=REDACTED"
        );
        assert_eq!(
            redacted(
                "X-Amz-Signature=1&X-Amz-Credential=2&x=&X-Goog-Signature=3&X-Amz-Security-Token=4"
            ),
            "X-Amz-Signature=REDACTED&X-Amz-Credential=REDACTED&x=&X-Goog-Signature=REDACTED&X-Amz-Security-Token=REDACTED"
        );
        for untouched in ["", "&", "sig", "a&b=&&c==", "signature=1"] {
            assert_eq!(redacted(untouched), untouched);
        }
    }
}
