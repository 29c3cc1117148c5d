//! A connection with two ends: what a client sends to a server goes to a receiver of our own as well.
//!
//! So a test has the spans as they left the process, decoded by something that has no part in the server.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use throughline::testing::OtlpReceiver;

/// Listens in the place of a server until the test process ends.
pub(crate) struct Tee {
    addr: SocketAddr,
    receiver: OtlpReceiver,
}

impl Tee {
    /// In front of the server that listens on this port of 127.0.0.1.
    pub(crate) fn before(port: u16) -> Self {
        let receiver = OtlpReceiver::start().expect("a free port");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let addr = listener.local_addr().expect("it listens");
        let copy = receiver.addr();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A server that is gone refuses; so does the tee, by closing the connection.
                let _ = join(client, SocketAddr::from(([127, 0, 0, 1], port)), copy);
            }
        });
        Self { addr, receiver }
    }

    /// The value for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The spans that went through.
    pub(crate) fn sent(&self) -> &OtlpReceiver {
        &self.receiver
    }
}

/// Starts the threads that copy until the connections are closed.
fn join(client: TcpStream, server: SocketAddr, copy: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    let copy = TcpStream::connect(copy)?;
    for stream in [&client, &server, &copy] {
        stream.set_nodelay(true)?;
    }
    let (answers, answered) = (server.try_clone()?, client.try_clone()?);
    let ignored = copy.try_clone()?;
    thread::spawn(move || pump(client, server, Some(copy)));
    thread::spawn(move || pump(answers, answered, None));
    // Nobody reads these answers. The copy stays open behind the last byte: a receiver may forget a request whose
    // sender has hung up.
    thread::spawn(move || io::copy(&mut &ignored, &mut io::sink()));
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut copy: Option<TcpStream>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let written = to.write_all(&buffer[..read]);
        if let Some(copy) = &mut copy {
            let _ = copy.write_all(&buffer[..read]);
        }
        if written.is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
