//! Where OTLP requests go: checks a URL and makes the traces address of it.
//!
//! Owns the rules for base and exact URLs. A URL with user information is
//! refused and a query is never shown, so that an endpoint can be printed
//! anywhere without a secret in it. It must not know where the text came from.

use std::fmt;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The base URL when nothing else is said: a collector on this machine.
pub(crate) const DEFAULT_BASE: &str = "http://localhost:4318";

/// The path of the traces signal under a base URL.
const TRACES_PATH: &str = "v1/traces";

/// The complete address of the traces signal.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    /// The traces address under a base URL.
    pub(crate) fn under_base(base: &str) -> Result<Self, EndpointError> {
        let Self(uri) = Self::exact(base)?;
        let path = uri.path().trim_end_matches('/');
        let query = uri.query().map(|query| format!("?{query}"));
        Self::with_path(
            &uri,
            &format!("{path}/{TRACES_PATH}{}", query.unwrap_or_default()),
        )
    }

    /// A URL that is used as it is, except that a missing path becomes `/`.
    pub(crate) fn exact(url: &str) -> Result<Self, EndpointError> {
        let uri: Uri = url.parse().map_err(|_| EndpointError::NotUrl)?;
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some(_) => return Err(EndpointError::OtherScheme),
            None => return Err(EndpointError::NoScheme),
        }
        let authority = uri.authority().ok_or(EndpointError::NotUrl)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInformation);
        }
        let host = authority.host();
        let has_port = authority.as_str().len() > host.len();
        if host.is_empty() || has_port && authority.port_u16().is_none() {
            return Err(EndpointError::NotUrl);
        }
        let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
        Self::with_path(&uri, path)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    fn with_path(uri: &Uri, path: &str) -> Result<Self, EndpointError> {
        let mut parts = uri.clone().into_parts();
        let path = path.parse().map_err(|_| EndpointError::NotUrl)?;
        parts.path_and_query = Some(path);
        Uri::from_parts(parts)
            .map(Self)
            .map_err(|_| EndpointError::NotUrl)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", Authority::as_str);
        write!(f, "{scheme}://{authority}{}", self.0.path())?;
        // A query may hold a token.
        f.write_str(self.0.query().map_or("", |_| "?…"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndpointError {
    NotUrl,
    NoScheme,
    OtherScheme,
    UserInformation,
}

impl EndpointError {
    pub(crate) fn what(self) -> &'static str {
        match self {
            Self::NotUrl => "not a url such as http://localhost:4318",
            Self::NoScheme => "without a scheme (write http://host:port)",
            Self::OtherScheme => "of another scheme than http or https",
            Self::UserInformation => {
                "a url with user information (set an authorization header instead)"
            }
        }
    }

    /// Whether the text may hold a password, so must not be repeated.
    pub(crate) fn is_secret(self) -> bool {
        self == Self::UserInformation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_gets_the_path_of_the_signal() {
        for (base, expected) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("http://h/base", "http://h/base/v1/traces"),
            ("http://h/base//", "http://h/base/v1/traces"),
            ("http://h/b?token=1", "http://h/b/v1/traces?token=1"),
            ("https://h", "https://h/v1/traces"),
            ("HTTP://[::1]:4318", "http://[::1]:4318/v1/traces"),
        ] {
            let endpoint = Endpoint::under_base(base).unwrap();
            assert_eq!(endpoint.uri(), expected, "{base}");
        }
    }

    #[test]
    fn an_exact_url_is_used_as_it_is() {
        for (url, expected) in [
            ("http://h:1", "http://h:1/"),
            ("http://h:1/", "http://h:1/"),
            ("http://h:1/my/traces", "http://h:1/my/traces"),
            ("http://h:1/v1/traces?a=b", "http://h:1/v1/traces?a=b"),
        ] {
            assert_eq!(Endpoint::exact(url).unwrap().uri(), expected);
        }
    }

    #[test]
    fn a_query_is_used_and_not_shown() {
        let endpoint = Endpoint::exact("http://h:1/in?token=c4nary").unwrap();
        assert_eq!(endpoint.uri().query(), Some("token=c4nary"));
        assert_eq!(endpoint.to_string(), "http://h:1/in?…");
        assert_eq!(format!("{endpoint:?}"), "http://h:1/in?…");
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, expected) in [
            ("localhost:4318", EndpointError::NoScheme),
            ("/v1/traces", EndpointError::NoScheme),
            ("ftp://h/", EndpointError::OtherScheme),
            ("http://", EndpointError::NotUrl),
            ("http://:4318", EndpointError::NotUrl),
            ("http://a b", EndpointError::NotUrl),
            ("http://h:99999999", EndpointError::NotUrl),
            ("http://user:secret@h/", EndpointError::UserInformation),
        ] {
            assert_eq!(Endpoint::exact(text), Err(expected), "{text}");
            assert_eq!(Endpoint::under_base(text), Err(expected), "{text}");
        }
    }
}
