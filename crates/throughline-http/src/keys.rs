//! Every attribute key that this crate writes.
//!
//! Owns names only: those of OpenTelemetry's semantic conventions for HTTP (v1.44, stable).

use throughline_wire::{Key, key};

/// `http.request.method`: a method that is known, or `_OTHER`.
pub(crate) const REQUEST_METHOD: Key = key!("http.request.method");
/// `http.request.method_original`: the method, where the other key says `_OTHER`.
pub(crate) const REQUEST_METHOD_ORIGINAL: Key = key!("http.request.method_original");
/// `url.scheme`: `http` or `https`.
pub(crate) const URL_SCHEME: Key = key!("url.scheme");
/// `url.path`: the path of the request, without the query.
pub(crate) const URL_PATH: Key = key!("url.path");
/// `url.query`: the query, without the values that are secrets.
pub(crate) const URL_QUERY: Key = key!("url.query");
/// `http.route`: the pattern that the path matched.
pub(crate) const ROUTE: Key = key!("http.route");
/// `http.response.status_code`: a number.
pub(crate) const STATUS_CODE: Key = key!("http.response.status_code");
/// `error.type`: the status code as text, or the type of the service's error.
pub(crate) const ERROR_TYPE: Key = key!("error.type");
