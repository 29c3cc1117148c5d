//! Where OTLP requests go: checks an address and makes the endpoint of a signal
//! of it.
//!
//! Owns the rules for base and exact URLs, for addresses without a scheme and for
//! unix sockets. A URL with user information is refused and a query is never
//! shown, so that an endpoint can be printed anywhere without a secret in it. It
//! must not know where the text came from.

use std::fmt;
use std::path::{Path, PathBuf};

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::otlp::{Protocol, Signal};

/// An address as somebody gave it, before the protocol is settled.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address {
    place: Place,
    /// Whether the path is that of the signal already.
    exact: bool,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Url(Uri),
    /// Host and port without a scheme, which gRPC takes.
    Bare(Authority),
    Socket(PathBuf),
}

impl Address {
    /// The base of all signals: HTTP appends the path of the signal.
    pub(crate) fn base(text: &str) -> Result<Self, EndpointError> {
        let place = place(text)?;
        Ok(Self {
            place,
            exact: false,
        })
    }

    /// The address of one signal, whose path is used as it is.
    pub(crate) fn exact(text: &str) -> Result<Self, EndpointError> {
        let place = place(text)?;
        Ok(Self { place, exact: true })
    }

    /// The address when nothing else is said: a collector on this machine.
    pub(crate) fn default_of(protocol: Protocol) -> Self {
        let place = Place::Url(Uri::from_static(default_url(protocol)));
        Self {
            place,
            exact: false,
        }
    }

    /// Where the requests of a signal go. `insecure` decides where no scheme does.
    pub(crate) fn endpoint(
        &self,
        protocol: Protocol,
        signal: Signal,
        insecure: bool,
    ) -> Result<Endpoint, EndpointError> {
        let grpc = protocol == Protocol::Grpc;
        let uri = match &self.place {
            Place::Bare(_) if !grpc => return Err(EndpointError::NoScheme),
            Place::Bare(authority) => {
                let scheme = if insecure {
                    Scheme::HTTP
                } else {
                    Scheme::HTTPS
                };
                url(&scheme, authority, PathAndQuery::from_static("/"))
            }
            Place::Url(uri) => uri.clone(),
            // Nobody listens to this name, but requests want one.
            Place::Socket(_) => Uri::from_static("http://localhost/"),
        };
        let path = if grpc {
            // The method is the path, whatever the address says.
            signal.grpc_method().to_owned()
        } else if self.exact && !self.is_socket() {
            uri.path_and_query()
                .map_or("/", PathAndQuery::as_str)
                .to_owned()
        } else {
            let base = uri.path().trim_end_matches('/');
            let query = uri.query().map(|query| format!("?{query}"));
            format!("{base}/{}{}", signal.path(), query.unwrap_or_default())
        };
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(path.parse().map_err(|_| EndpointError::NotUrl)?);
        let uri = Uri::from_parts(parts).map_err(|_| EndpointError::NotUrl)?;
        Ok(Endpoint {
            uri,
            socket: match &self.place {
                Place::Socket(path) => Some(path.clone()),
                _ => None,
            },
        })
    }

    fn is_socket(&self) -> bool {
        matches!(self.place, Place::Socket(_))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Url(uri) => show(uri, f),
            Place::Bare(authority) => f.write_str(authority.as_str()),
            Place::Socket(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// The complete address of one signal, of scheme `http` or `https`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    uri: Uri,
    socket: Option<PathBuf>,
}

impl Endpoint {
    /// The endpoint of another kind of request: a URL that is used as it is, or a
    /// socket with `path`.
    #[cfg(feature = "zipkin")]
    pub(crate) fn exact(text: &str, path: &'static str) -> Result<Self, EndpointError> {
        match place(text)? {
            Place::Url(uri) => Ok(Self { uri, socket: None }),
            Place::Bare(_) => Err(EndpointError::NoScheme),
            Place::Socket(socket) => Ok(Self {
                uri: url(
                    &Scheme::HTTP,
                    &Authority::from_static("localhost"),
                    PathAndQuery::from_static(path),
                ),
                socket: Some(socket),
            }),
        }
    }

    pub(crate) fn is_https(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The unix socket that serves it, instead of the host that the URL names.
    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix://{}", path.display()),
            None => show(&self.uri, f),
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows a URL without its query, which may hold a token.
fn show(uri: &Uri, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", Authority::as_str);
    write!(f, "{scheme}://{authority}{}", uri.path())?;
    f.write_str(uri.query().map_or("", |_| "?…"))
}

fn place(text: &str) -> Result<Place, EndpointError> {
    // The naming of gRPC: `unix:path` and `unix:///absolute/path`.
    if let Some(path) = text.strip_prefix("unix:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return match path {
            "" => Err(EndpointError::NotUrl),
            path if cfg!(unix) => Ok(Place::Socket(path.into())),
            _ => Err(EndpointError::OtherScheme),
        };
    }
    let uri: Uri = text.parse().map_err(|_| EndpointError::NotUrl)?;
    match uri.scheme_str() {
        Some("http" | "https") | None => {}
        Some(_) => return Err(EndpointError::OtherScheme),
    }
    let Some(authority) = uri.authority() else {
        return Err(EndpointError::NoScheme);
    };
    if authority.as_str().contains('@') {
        return Err(EndpointError::UserInformation);
    }
    let host = authority.host();
    let has_port = authority.as_str().len() > host.len();
    if host.is_empty() || has_port && authority.port_u16().is_none() {
        return Err(EndpointError::NotUrl);
    }
    Ok(match uri.scheme() {
        None => Place::Bare(authority.clone()),
        Some(scheme) => {
            let path = uri.path_and_query().cloned();
            let path = path.unwrap_or(PathAndQuery::from_static("/"));
            Place::Url(url(scheme, authority, path))
        }
    })
}

/// A URL of parts that are valid by themselves.
fn url(scheme: &Scheme, authority: &Authority, path: PathAndQuery) -> Uri {
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(scheme.clone());
    parts.authority = Some(authority.clone());
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or_default()
}

/// The base URL of a collector on this machine.
pub(crate) fn default_url(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Grpc => "http://localhost:4317",
        Protocol::HttpProtobuf | Protocol::HttpJson => "http://localhost:4318",
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
            Self::OtherScheme => "of another scheme than http, https or unix",
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

    fn under_base(text: &str) -> Result<Endpoint, EndpointError> {
        Address::base(text)?.endpoint(Protocol::HttpProtobuf, Signal::Traces, false)
    }

    fn exact(text: &str) -> Result<Endpoint, EndpointError> {
        Address::exact(text)?.endpoint(Protocol::HttpProtobuf, Signal::Traces, false)
    }

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
            assert_eq!(under_base(base).unwrap().uri(), expected, "{base}");
        }
        let metrics = Address::base("http://h").unwrap();
        let metrics = metrics.endpoint(Protocol::HttpJson, Signal::Metrics, false);
        assert_eq!(metrics.unwrap().uri(), "http://h/v1/metrics");
    }

    #[test]
    fn an_exact_url_is_used_as_it_is() {
        for (url, expected) in [
            ("http://h:1", "http://h:1/"),
            ("http://h:1/", "http://h:1/"),
            ("http://h:1/my/traces", "http://h:1/my/traces"),
            ("http://h:1/v1/traces?a=b", "http://h:1/v1/traces?a=b"),
        ] {
            assert_eq!(exact(url).unwrap().uri(), expected);
        }
    }

    #[test]
    fn the_method_is_the_path_of_grpc_and_insecure_the_scheme_where_none_is() {
        let method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        for (text, insecure, expected) in [
            ("http://h:4317", false, "http://h:4317"),
            ("https://h:4317", true, "https://h:4317"),
            ("http://h:4317/v1/traces", false, "http://h:4317"),
            ("h:4317", false, "https://h:4317"),
            ("h:4317", true, "http://h:4317"),
            ("localhost", true, "http://localhost"),
        ] {
            for address in [Address::base(text), Address::exact(text)] {
                let endpoint = address
                    .unwrap()
                    .endpoint(Protocol::Grpc, Signal::Traces, insecure);
                let expected = format!("{expected}{method}");
                assert_eq!(endpoint.unwrap().uri(), expected.as_str(), "{text}");
            }
        }
    }

    #[test]
    fn a_socket_gets_the_path_of_the_signal() {
        for (text, path) in [
            ("unix:///run/otel.sock", "/run/otel.sock"),
            ("unix:otel.sock", "otel.sock"),
            ("unix:/run/o", "/run/o"),
        ] {
            for endpoint in [under_base(text), exact(text)] {
                let endpoint = endpoint.unwrap();
                assert_eq!(endpoint.socket(), Some(Path::new(path)));
                assert_eq!(endpoint.uri(), "http://localhost/v1/traces");
                assert_eq!(endpoint.to_string(), format!("unix://{path}"));
            }
        }
    }

    #[test]
    fn a_query_is_used_and_not_shown() {
        let endpoint = exact("http://h:1/in?token=c4nary").unwrap();
        assert_eq!(endpoint.uri().query(), Some("token=c4nary"));
        assert_eq!(endpoint.to_string(), "http://h:1/in?…");
        assert_eq!(format!("{endpoint:?}"), "http://h:1/in?…");
        let address = Address::exact("http://h:1/in?token=c4nary").unwrap();
        assert_eq!(format!("{address:?}"), "http://h:1/in?…");
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
            ("user:secret@h:1", EndpointError::UserInformation),
            ("unix:", EndpointError::NotUrl),
            ("unix://", EndpointError::NotUrl),
        ] {
            assert_eq!(exact(text), Err(expected), "{text}");
            assert_eq!(under_base(text), Err(expected), "{text}");
        }
    }
}
