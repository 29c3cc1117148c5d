//! One accepted connection, below HTTP: what a script needs to break it.
//!
//! Owns the socket. HTTP reads and writes it through [`Stream`]; a script reaches past HTTP through [`Peer`].

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// The socket as HTTP sees it.
pub(super) struct Stream(Arc<TcpStream>);

/// The socket as a script sees it.
#[derive(Clone)]
pub(super) struct Peer {
    socket: Arc<TcpStream>,
    /// Ends the connection, whatever HTTP is doing with it.
    ended: Arc<Notify>,
    requests: Arc<AtomicU32>,
}

impl Peer {
    pub(super) fn of(socket: TcpStream) -> (Self, Stream) {
        let socket = Arc::new(socket);
        let peer = Self {
            socket: Arc::clone(&socket),
            ended: Arc::default(),
            requests: Arc::default(),
        };
        (peer, Stream(socket))
    }

    /// Counts a request, and says which stream it came on if this is HTTP/2: clients number theirs with odd numbers.
    pub(super) fn next_stream(&self) -> u32 {
        // Relaxed: all requests of a connection are read by one thread.
        2 * self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns once a script wants the connection to end.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Ends the connection with FIN, and never returns: whoever holds the connection drops it.
    pub(super) async fn close(&self) -> ! {
        self.ended.notify_one();
        std::future::pending().await
    }

    /// Ends the connection with RST, and never returns.
    pub(super) async fn reset(&self) -> ! {
        // Fails on a socket that is broken already, which is what was wanted.
        let _ = SockRef::from(&*self.socket).set_linger(Some(Duration::ZERO));
        self.close().await
    }

    /// Sends FIN and goes on reading, until the other side closes.
    pub(super) async fn half_close(&self) -> ! {
        let _ = SockRef::from(&*self.socket).shutdown(Shutdown::Write);
        std::future::pending().await
    }

    /// Sends bytes that no HTTP library would.
    pub(super) async fn write_raw(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.socket.writable().await?;
            match self.socket.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(buffer.initialize_unfilled()) {
                Ok(read) => {
                    buffer.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    // Without this, HTTP would copy each piece of an answer into a buffer of its own.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write_vectored(pieces) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}
