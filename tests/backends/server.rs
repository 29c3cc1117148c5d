//! One real server: a child process with ports of its own, that ends with the test.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a server may take until it listens; the slowest needs ten seconds on a machine that does nothing else.
const START: Duration = Duration::from_secs(120);
/// A server does not say when it is ready, or when it has stored something: it has to be asked again and again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Server {
    name: &'static str,
    process: Child,
    log: PathBuf,
}

impl Server {
    /// Installs a server if need be, starts it, and waits until it listens on all of `ports`, which are the names of
    /// the variables that it reads its ports from, each with its value.
    pub(crate) fn start<const N: usize>(
        name: &'static str,
        ports: [(&str, u16); N],
        environment: &[(&str, String)],
    ) -> Self {
        let installed = backend("install", name).status().expect("there is a shell");
        assert!(installed.success(), "{name} could not be installed");
        let log = format!("{name}-{}.log", ports[0].1);
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(log);
        let output = File::create(&log).expect("cargo has made the folder");
        let process = backend("run", name)
            .envs(ports.map(|(variable, port)| (variable, port.to_string())))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(output.try_clone().expect("a file"))
            .stderr(output)
            .spawn()
            .expect("there is a shell");
        let mut server = Self { name, process, log };
        for (_, port) in ports {
            server.wait_until("it listens", |_| {
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
        }
        server
    }

    /// Waits until a condition holds, as long as the server lives. It is given what the server has printed so far.
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&str) -> bool) {
        let started = Instant::now();
        while !condition(&self.log()) {
            let ended = self.process.try_wait().expect("it was started");
            assert!(
                ended.is_none() && started.elapsed() < START,
                "{}: waited in vain until {what}:\n{}",
                self.name,
                self.log()
            );
            thread::sleep(ASK_AGAIN);
        }
    }

    /// What it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).expect("the log")).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by itself if this fails. Nothing that it stores is needed any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Ports that were free a moment ago.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it listens").port())
}

fn backend(verb: &str, name: &str) -> Command {
    let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/backends/backend"));
    command.args([verb, name]).stdin(Stdio::null());
    command
}
