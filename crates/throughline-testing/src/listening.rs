//! A listener on a thread and a runtime of its own, which end with its handle.
//!
//! Owns the thread and the loop that accepts. It must not know what is served. The runtime belongs to the thread; dropping
//! the handle only asks it to stop, and waits.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::oneshot;

/// Accepts connections until it is dropped.
#[derive(Debug)]
pub(crate) struct Listening {
    addr: SocketAddr,
    /// Dropping it stops the thread.
    stop: Option<oneshot::Sender<()>>,
    /// For `Sync`; nobody else locks it. Disconnected once the thread has let go of all its sockets.
    stopped: Mutex<mpsc::Receiver<()>>,
}

impl Listening {
    /// How long dropping it waits for its thread.
    pub(crate) const STOP_DEADLINE: Duration = Duration::from_secs(2);

    /// Accepts on a thread of that name, and lets `connection` serve each connection in a task of its own.
    pub(crate) fn start<F>(
        listener: TcpListener,
        thread: &str,
        connection: impl FnMut(TcpStream) -> F + Send + 'static,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stop_requested) = oneshot::channel();
        let (running, stopped) = mpsc::channel::<()>();
        let accepted = accept(listener, connection);
        thread::Builder::new()
            .name(thread.to_owned())
            .spawn(move || {
                // What this process traces must not include those who serve its tests.
                let _suppressed = throughline_core::suppress();
                runtime.block_on(async {
                    tokio::select! {
                        () = accepted => {}
                        _ = stop_requested => {}
                    }
                });
                // Closes all connections.
                drop(runtime);
                drop(running);
            })?;
        Ok(Self {
            addr,
            stop: Some(stop),
            stopped: Mutex::new(stopped),
        })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.take();
        // Nothing is ever sent: this returns when the thread is done, or at the deadline.
        let stopped = self.stopped.get_mut();
        let _ = stopped
            .unwrap_or_else(PoisonError::into_inner)
            .recv_timeout(Self::STOP_DEADLINE);
    }
}

async fn accept<F>(listener: TcpListener, mut connection: impl FnMut(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    // Fails only outside of a runtime with I/O; then there is nothing to serve.
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        tokio::spawn(connection(socket));
    }
}

/// How long to wait after `accept` failed, which it does when the process has no file descriptor left: whoever gives one
/// back, anywhere in the process, tells nobody.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
