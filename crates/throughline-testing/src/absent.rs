//! A collector that is not there yet, for tests.
//!
//! Owns the address. A port that was free a moment ago is somebody else's the next: another test's, or that of the very
//! connection which is made to find nobody.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use crate::receiver::OtlpReceiver;

/// An address of 127.0.0.1 where nobody listens, and nobody else can while it lives.
///
/// ```
/// use std::io::ErrorKind;
/// use std::net::TcpStream;
/// use throughline_testing::Absent;
///
/// let absent = Absent::start()?;
/// let addr = absent.addr();
/// let error = TcpStream::connect(addr).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
///
/// let receiver = absent.arrive()?;
/// assert_eq!(receiver.addr(), addr);
/// assert!(TcpStream::connect(addr).is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Absent {
    /// Bound, and not listening.
    socket: Socket,
    addr: SocketAddr,
}

impl Absent {
    /// Takes a free port.
    ///
    /// # Errors
    ///
    /// If no socket can be made.
    pub fn start() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        let addr = socket.local_addr()?.as_socket();
        let addr = addr.ok_or_else(|| io::Error::other("the socket has no address of IP"))?;
        Ok(Self { socket, addr })
    }

    /// Where nobody listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Has a receiver there from now on.
    ///
    /// # Errors
    ///
    /// If the socket cannot listen, or if no thread or runtime can be made.
    pub fn arrive(self) -> io::Result<OtlpReceiver> {
        self.socket.listen(BACKLOG)?;
        OtlpReceiver::start_on(TcpListener::from(self.socket))
    }
}

/// How many connections wait to be accepted: as many as the standard library's listeners let.
const BACKLOG: i32 = 128;
