//! What is known of a request before its body, whatever the type of that is.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

/// A request without its body: what the functions that a [`ServerLayer`](crate::ServerLayer) is given look at.
///
/// ```
/// use throughline_http::ServerLayer;
///
/// let traced = ServerLayer::new().only(|request| request.uri().path() != "/health");
/// # let _ = traced;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    version: Version,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// The method.
    #[must_use]
    pub const fn method(self) -> &'a Method {
        self.method
    }

    /// The target.
    #[must_use]
    pub const fn uri(self) -> &'a Uri {
        self.uri
    }

    /// The version of HTTP.
    #[must_use]
    pub const fn version(self) -> Version {
        self.version
    }

    /// The headers.
    #[must_use]
    pub const fn headers(self) -> &'a HeaderMap {
        self.headers
    }

    /// What layers further out have added, such as axum its `MatchedPath`.
    #[must_use]
    pub const fn extensions(self) -> &'a Extensions {
        self.extensions
    }
}
