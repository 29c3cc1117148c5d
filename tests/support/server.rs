//! One real server: a child process with ports and data of its own, that ends with the test.

use std::fs::{self, File, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take until it listens; the slowest needs ten seconds on a machine that does nothing else.
const START: Duration = Duration::from_secs(120);
/// A server does not say when it is ready, or when it has stored something: it has to be asked again and again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A server that `tests/backends/backend` installs and runs. It is killed when dropped, or when this process ends in
/// whatever way. What it stored is deleted then, unless the test fails: then the folder stays, for a look at it.
#[derive(Debug)]
pub struct Server {
    name: &'static str,
    environment: Vec<(String, String)>,
    ports: Vec<u16>,
    folder: TempDir,
    process: Child,
}

impl Server {
    /// Installs a server if need be, starts it, and waits until it listens on all of `ports`, which are the names of
    /// the variables that it reads its ports from, each with its value.
    ///
    /// # Panics
    ///
    /// If it cannot be installed or started.
    pub fn start<const N: usize>(
        name: &'static str,
        ports: [(&str, u16); N],
        environment: &[(&str, String)],
    ) -> Self {
        let installed = backend("install", name).status().expect("there is a shell");
        assert!(installed.success(), "{name} could not be installed");
        // PostgreSQL does not run as root: its user must be able to pass.
        let folder = tempfile::Builder::new()
            .prefix(&format!("throughline-{name}-"))
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .expect("a folder");
        let all = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let all = all.chain(ports.map(|(name, port)| (name.to_owned(), port.to_string())));
        let environment: Vec<_> = all.collect();
        let process = spawn(name, &environment, &folder);
        let mut server = Self {
            name,
            environment,
            ports: ports.map(|(_, port)| port).to_vec(),
            folder,
            process,
        };
        server.wait_until_it_listens();
        server
    }

    /// Ends the process with a signal, such as `KILL`, and waits until it is gone. What it stored stays.
    ///
    /// # Panics
    ///
    /// If it has ended before.
    pub fn end(&mut self, signal: &str) {
        self.signal(signal);
        self.process.wait().expect("it was started");
    }

    /// Starts it again, where it has [ended](Self::end), on what it stored.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn start_again(&mut self) {
        self.process = spawn(self.name, &self.environment, &self.folder);
        self.wait_until_it_listens();
    }

    /// Sends a signal to the process, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If it has ended.
    pub fn signal(&self, signal: &str) {
        let pid = self.process.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.expect("there is a kill").success(), "{}", self.name);
    }

    /// Waits until a condition holds, as long as the server lives. It is given what the server has printed so far.
    ///
    /// # Panics
    ///
    /// If the server ends, or takes more than two minutes.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&str) -> bool) {
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

    fn wait_until_it_listens(&mut self) {
        for port in self.ports.clone() {
            self.wait_until("it listens", |_| {
                TcpStream::connect(("127.0.0.1", port)).is_ok()
            });
        }
    }

    /// What it has printed so far.
    ///
    /// # Panics
    ///
    /// If its log cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(log_of(&self.folder)).expect("the log")).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended by itself if this fails.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.folder.disable_cleanup(thread::panicking());
    }
}

/// Ports that were free a moment ago.
///
/// # Panics
///
/// If there are none.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("it listens").port())
}

fn spawn(name: &str, environment: &[(String, String)], folder: &TempDir) -> Child {
    let mut log = File::options();
    let output = log
        .create(true)
        .append(true)
        .open(log_of(folder))
        .expect("a log");
    backend("run", name)
        .stdin(Stdio::piped())
        .env("UNTIL_EOF", "1")
        .env("DATA", folder.path().join("data"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdout(output.try_clone().expect("a file"))
        .stderr(output)
        .spawn()
        .expect("there is a shell")
}

fn log_of(folder: &TempDir) -> PathBuf {
    folder.path().join("log")
}

/// `tests/backends/backend VERB NAME`.
#[must_use]
pub fn backend(verb: &str, name: &str) -> Command {
    let mut command = Command::new(super::BACKEND);
    command.args([verb, name]).stdin(Stdio::null());
    command
}
