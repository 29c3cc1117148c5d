//! Connections of exporters: straight, through a proxy or to a unix socket, with or
//! without TLS.
//!
//! Owns how bytes reach the other side. It must not know what they mean. What is to
//! go over TLS either does or is not sent: there is no way back to plaintext.
//!
//! Nothing is remembered between connections; each looks its names up anew.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use tower_service::Service;

use crate::endpoint::Endpoint;
use crate::error::StartError;
use crate::given::Given;

use proxy::ProxySettings;

pub(crate) mod client;
pub(crate) mod failure;
pub(crate) mod proxy;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "tls")]
use tls::Tls;
/// Without the feature there is no such thing.
#[cfg(not(feature = "tls"))]
type Tls = std::convert::Infallible;

/// The PEM files that TLS works with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    /// Roots to trust instead of those of the system.
    pub(crate) certificate: Option<Given<PathBuf>>,
    pub(crate) client_certificate: Option<Given<PathBuf>>,
    pub(crate) client_key: Option<Given<PathBuf>>,
}

impl TlsFiles {
    /// Lays these files over weaker ones.
    pub(crate) fn over(self, weaker: Self) -> Self {
        Self {
            certificate: self.certificate.or(weaker.certificate),
            client_certificate: self.client_certificate.or(weaker.client_certificate),
            client_key: self.client_key.or(weaker.client_key),
        }
    }
}

/// The version of HTTP that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http1,
    Http2,
}

/// Makes the connections to one endpoint.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: HttpConnector,
    route: Arc<Route>,
    tls: Option<Tls>,
    version: Version,
}

enum Route {
    Direct,
    Socket(PathBuf),
    /// Requests name the whole URL, and the proxy passes them on.
    Forward(Intercept),
    /// The proxy passes bytes on.
    Tunnel(Intercept),
    Socks(Intercept),
}

impl Connector {
    /// # Errors
    ///
    /// The endpoint needs TLS, and there is none or its files are bad; or it needs a
    /// proxy that cannot be spoken to.
    pub(crate) fn new(
        endpoint: &Endpoint,
        version: Version,
        files: &TlsFiles,
        proxies: &ProxySettings,
    ) -> Result<Self, StartError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        // What else there is than `http` is seen to here.
        tcp.enforce_http(false);
        let route = match endpoint.socket() {
            Some(path) => Route::Socket(path.to_owned()),
            None => match proxies.intercept(endpoint)? {
                None => Route::Direct,
                Some(proxy) if proxy::is_socks(&proxy) => Route::Socks(proxy),
                Some(proxy) if endpoint.is_https() || version == Version::Http2 => {
                    Route::Tunnel(proxy)
                }
                Some(proxy) => Route::Forward(proxy),
            },
        };
        Ok(Self {
            tcp,
            route: Arc::new(route),
            tls: tls(endpoint, version, files)?,
            version,
        })
    }

    /// What a proxy that passes requests on wants to see in each of them.
    pub(crate) fn proxy_authorization(&self) -> Option<&HeaderValue> {
        match &*self.route {
            Route::Forward(proxy) => proxy.basic_auth(),
            _ => None,
        }
    }

    async fn connect(mut self, uri: Uri) -> Result<Stream, ConnectError> {
        let io = self.reach(&uri).await?;
        let io = match &self.tls {
            None => io,
            #[cfg(feature = "tls")]
            Some(tls) => tls.wrap(io).await?,
            #[cfg(not(feature = "tls"))]
            Some(never) => match *never {},
        };
        Ok(Stream {
            io,
            forwarded: matches!(*self.route, Route::Forward(_)),
            version: self.version,
        })
    }

    /// Connects with whoever the first bytes are for.
    async fn reach(&mut self, uri: &Uri) -> Result<Box<dyn Io>, ConnectError> {
        Ok(match &*self.route {
            Route::Direct => Box::new(
                self.tcp
                    .call(uri.clone())
                    .await
                    .map_err(ConnectError::connect)?,
            ),
            Route::Socket(path) => unix(path).await.map_err(ConnectError::connect)?,
            Route::Forward(proxy) => {
                let proxy = proxy.uri().clone();
                Box::new(self.tcp.call(proxy).await.map_err(ConnectError::proxy)?)
            }
            Route::Tunnel(proxy) => {
                let mut tunnel = Tunnel::new(proxy.uri().clone(), self.tcp.clone());
                if let Some(auth) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                Box::new(
                    tunnel
                        .call(with_port(uri))
                        .await
                        .map_err(ConnectError::proxy)?,
                )
            }
            Route::Socks(proxy) => {
                let mut socks = SocksV5::new(proxy.uri().clone(), self.tcp.clone())
                    .local_dns(proxy::looks_up_locally(proxy));
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                Box::new(
                    socks
                        .call(with_port(uri))
                        .await
                        .map_err(ConnectError::proxy)?,
                )
            }
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct ConnectError {
    /// The name under which it is counted.
    pub(crate) error_type: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl ConnectError {
    fn new(error_type: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error_type,
            source: source.into(),
        }
    }

    fn connect(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new("connect", source)
    }

    fn proxy(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new("proxy", source)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.error_type)
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Something to read from and to write to.
trait Io: Read + Write + Send + Unpin {}

impl<T: Read + Write + Send + Unpin> Io for T {}

/// An established connection.
pub(crate) struct Stream {
    io: Box<dyn Io>,
    forwarded: bool,
    version: Version,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.forwarded);
        match self.version {
            Version::Http1 => connected,
            Version::Http2 => connected.negotiated_h2(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }
}

fn tls(endpoint: &Endpoint, version: Version, files: &TlsFiles) -> Result<Option<Tls>, StartError> {
    if !endpoint.is_https() {
        return Ok(None);
    }
    #[cfg(feature = "tls")]
    return Tls::new(endpoint, version, files).map(Some);
    #[cfg(not(feature = "tls"))]
    {
        let _ = (version, files);
        Err(StartError::unsupported(format!(
            "endpoint {:?} needs tls: build with the feature `tls`",
            endpoint.to_string()
        )))
    }
}

#[cfg(unix)]
async fn unix(path: &Path) -> io::Result<Box<dyn Io>> {
    let stream = tokio::net::UnixStream::connect(path).await?;
    Ok(Box::new(hyper_util::rt::TokioIo::new(stream)))
}

#[cfg(not(unix))]
async fn unix(_: &Path) -> io::Result<Box<dyn Io>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A proxy is told the port in any case.
fn with_port(uri: &Uri) -> Uri {
    let (Some(authority), None) = (uri.authority(), uri.port()) else {
        return uri.clone();
    };
    let port = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let mut parts = uri.clone().into_parts();
    parts.authority = format!("{}:{port}", authority.host()).parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
