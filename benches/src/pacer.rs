//! The pause after a burst: it lasts until the exporter has nothing left to do that it would do soon.
//!
//! It must not know which library exports. What it looks at is the process: an exporter that still
//! converts, encodes or sends spends CPU or waits for a core, and one that waits for the receiver does
//! so until the receiver has had its turn.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;

/// Waits for quiet in a worker process.
#[derive(Debug)]
pub(crate) struct Pacer {
    receiver: TcpStream,
}

impl Pacer {
    /// A pacer that knows the receiver's address.
    pub(crate) fn new(receiver: SocketAddr) -> io::Result<Self> {
        let receiver = TcpStream::connect(receiver)?;
        receiver.set_nodelay(true)?;
        Ok(Self { receiver })
    }

    /// Sleeps until the receiver has answered and this process has spent almost no CPU for a few
    /// milliseconds, with no other thread waiting for a core.
    ///
    /// It gives up after a second, because a library may be busy for reasons of its own.
    pub(crate) fn wait_until_quiet(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut quiet = 0;
        let mut before = clock::process_cpu();
        while quiet < QUIET_INTERVALS && Instant::now() < deadline {
            self.ask_receiver()?;
            thread::sleep(QUIET_INTERVAL);
            let now = clock::process_cpu();
            let is_quiet = now - before < QUIET_CPU_NS && !others_runnable();
            quiet = if is_quiet { quiet + 1 } else { 0 };
            before = clock::process_cpu();
        }
        Ok(())
    }

    /// Returns when the receiver, which has one thread, has answered a request of no consequence.
    fn ask_receiver(&self) -> io::Result<()> {
        let mut stream = &self.receiver;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: receiver\r\n\r\n")?;
        let mut answer = [0; 512];
        let mut length = 0;
        while !answer[..length].ends_with(b"\r\n\r\n") {
            match stream.read(&mut answer[length..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => length += more,
            }
        }
        Ok(())
    }
}

/// CPU that this process spends per nanosecond of elapsed time while it has nothing to record.
pub(crate) fn idle_rate(window: Duration) -> f64 {
    let (wall, cpu) = (Instant::now(), clock::process_cpu());
    thread::sleep(window);
    (clock::process_cpu() - cpu) as f64 / wall.elapsed().as_nanos() as f64
}

/// Whether any other thread of this process runs or waits for a core. Systems without `/proc` have no
/// answer; there a pause may be too short when the machine is busy.
fn others_runnable() -> bool {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return false;
    };
    let runnable = threads
        .filter_map(Result::ok)
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .filter(|stat| {
            // The state is the first field after the name, which stands in parentheses.
            stat.rsplit_once(") ")
                .is_some_and(|(_, fields)| fields.starts_with('R'))
        })
        .count();
    // The calling thread is one of them.
    runnable > 1
}

const QUIET_INTERVAL: Duration = Duration::from_millis(2);
const QUIET_INTERVALS: u32 = 2;
const QUIET_CPU_NS: u64 = 150_000;
