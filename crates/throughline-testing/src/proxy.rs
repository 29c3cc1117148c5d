//! A network that fails, for tests: a TCP proxy in this process.
//!
//! Owns how bytes travel. It must not know what is sent through it. Who may touch what:
//!
//! 1. `conditions` says how bytes travel now; any thread changes it, and every connection follows at once.
//! 2. The counts are written by the proxy's thread and read by any.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::listening::Listening;

/// Forwards TCP connections from a free port of 127.0.0.1 to another address, as badly as it is told to.
///
/// It stops when dropped, and waits at most two seconds for that.
///
/// ```
/// use std::io::{ErrorKind, Read};
/// use std::net::{TcpListener, TcpStream};
/// use throughline_testing::{Fault, TcpProxy};
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let proxy = TcpProxy::start(server.local_addr()?)?;
/// let mut connection = TcpStream::connect(proxy.addr())?;
/// let _accepted = server.accept()?;
///
/// proxy.set(Fault::Reset);
/// let error = connection.read(&mut [0]).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpProxy {
    listening: Listening,
    conditions: watch::Sender<Conditions>,
    counts: Arc<Counts>,
}

/// What a [`TcpProxy`] does to the connections, old and new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: what comes in goes out.
    #[default]
    None,
    /// Forwards nothing and reads nothing, so that the senders' buffers fill. Connections stay open, and what was
    /// held back goes on when the fault ends.
    Stall,
    /// Reads everything and forwards nothing: what comes while it lasts is lost.
    Drop,
    /// Resets every connection, new ones as soon as they are accepted.
    Reset,
    /// Forwards requests; the first byte that the server answers resets the connection instead of reaching the client.
    CutAnswers,
}

#[derive(Clone, Copy, Debug)]
struct Conditions {
    target: SocketAddr,
    fault: Fault,
    /// The largest piece that travels at once, and the pause after each.
    slice: Option<(usize, Duration)>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    bytes_from_client: AtomicU64,
    bytes_from_server: AtomicU64,
}

impl TcpProxy {
    /// Starts between a free port of 127.0.0.1 and `target`, which need not be there yet.
    ///
    /// # Errors
    ///
    /// If no socket, thread or runtime can be made.
    pub fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let (conditions, seen) = watch::channel(Conditions {
            target,
            fault: Fault::None,
            slice: None,
        });
        let counts = Arc::<Counts>::default();
        let counted = Arc::clone(&counts);
        let connection = move |client| {
            counted.connections.fetch_add(1, Ordering::Relaxed);
            forward(client, seen.clone(), Arc::clone(&counted))
        };
        Ok(Self {
            listening: Listening::start(listener, "tcp-proxy", connection)?,
            conditions,
            counts,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listening.addr()
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Changes what happens to the connections.
    pub fn set(&self, fault: Fault) {
        self.conditions.send_modify(|now| now.fault = fault);
    }

    /// Connects to another address from here on; open connections keep theirs.
    pub fn set_target(&self, target: SocketAddr) {
        self.conditions.send_modify(|now| now.target = target);
    }

    /// Forwards at most `bytes` at once and pauses after each piece: a slow network, or, without a pause, one that cuts
    /// messages at awkward places.
    ///
    /// # Panics
    ///
    /// If `bytes` is zero.
    pub fn slice(&self, bytes: usize, pause: Duration) {
        assert!(bytes > 0, "a piece has at least one byte");
        self.conditions
            .send_modify(|now| now.slice = Some((bytes, pause)));
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        // Relaxed: a count that nothing else is ordered by.
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// How many bytes it has read from clients, whatever became of them. What a [stall](Fault::Stall) holds back is not
    /// counted yet, and what is counted goes the way that was set before.
    #[must_use]
    pub fn bytes_from_client(&self) -> u64 {
        self.counts.bytes_from_client.load(Ordering::Relaxed)
    }

    /// The same from servers.
    #[must_use]
    pub fn bytes_from_server(&self) -> u64 {
        self.counts.bytes_from_server.load(Ordering::Relaxed)
    }
}

/// How the forwarding in one direction ended.
enum End {
    Closed,
    Reset,
}

/// One connection, from its acceptance to its end.
async fn forward(
    mut client: TcpStream,
    conditions: watch::Receiver<Conditions>,
    counts: Arc<Counts>,
) {
    let now = *conditions.borrow();
    if now.fault == Fault::Reset {
        // The target hears nothing of it: its port may be somebody else's by now.
        return reset(&client);
    }
    let Ok(mut server) = TcpStream::connect(now.target).await else {
        // The client sees what it would without a proxy, only later.
        return reset(&client);
    };
    // Small pieces are to arrive as small pieces.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = Pump {
            from: from_client,
            to: to_server,
            conditions: conditions.clone(),
            count: &counts.bytes_from_client,
            carries_answers: false,
        };
        let down = Pump {
            from: from_server,
            to: to_client,
            conditions,
            count: &counts.bytes_from_server,
            carries_answers: true,
        };
        // A reset ends both directions at once, a FIN only its own.
        let (up, down) = (up.run(), down.run());
        tokio::pin!(up, down);
        tokio::select! {
            end = &mut up => match end {
                End::Reset => End::Reset,
                End::Closed => down.await,
            },
            end = &mut down => match end {
                End::Reset => End::Reset,
                End::Closed => up.await,
            },
        }
    };
    if matches!(end, End::Reset) {
        reset(&client);
        reset(&server);
    }
}

/// Makes the coming close an RST.
fn reset(socket: &TcpStream) {
    // Fails on a socket that is broken already, which is what was wanted.
    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
}

struct Pump<'a> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    conditions: watch::Receiver<Conditions>,
    count: &'a AtomicU64,
    carries_answers: bool,
}

impl Pump<'_> {
    async fn run(mut self) -> End {
        let mut buffer = vec![0; 16 << 10];
        loop {
            let now = self.conditions_to_move().await;
            if now.fault == Fault::Reset {
                return End::Reset;
            }
            let most = now.slice.map_or(buffer.len(), |(bytes, _)| bytes);
            let most = most.min(buffer.len());
            // In this order: what is sent after the conditions changed travels as they say.
            let read = tokio::select! {
                biased;
                Ok(()) = self.conditions.changed() => continue,
                read = self.from.read(&mut buffer[..most]) => read,
            };
            let read = match read {
                Ok(0) => {
                    // Fails when the other side has gone as well.
                    let _ = self.to.shutdown().await;
                    return End::Closed;
                }
                Ok(read) => read,
                Err(_) => return End::Reset,
            };
            // The bytes may have come after the conditions changed. They count once it is settled what becomes of them, so that
            // whoever sees the count may change the conditions for what comes then.
            let now = self.conditions_to_move().await;
            self.count.fetch_add(read as u64, Ordering::Relaxed);
            match now.fault {
                Fault::Drop => continue,
                Fault::Reset => return End::Reset,
                Fault::CutAnswers if self.carries_answers => return End::Reset,
                Fault::CutAnswers | Fault::None | Fault::Stall => {}
            }
            if self.to.write_all(&buffer[..read]).await.is_err() {
                return End::Reset;
            }
            if let Some((_, pause)) = now.slice
                && !pause.is_zero()
            {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// The conditions, once they are no stall.
    async fn conditions_to_move(&mut self) -> Conditions {
        loop {
            let now = *self.conditions.borrow_and_update();
            if now.fault != Fault::Stall {
                return now;
            }
            if self.conditions.changed().await.is_err() {
                // The proxy is being dropped, and its thread with this connection.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
