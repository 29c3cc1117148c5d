//! The load: `wrk`, with a script that makes the requests and says what became of them.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::Result;
use crate::service::ROUTE;

/// What a round of `wrk` says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Load {
    pub(crate) requests: u64,
    pub(crate) micros: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    errors: u64,
}

/// Keeps the connections to the service at `address` busy for a whole number of seconds.
pub(crate) fn run(address: SocketAddr, duration: Duration) -> Result<Load> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", CONNECTIONS])
        .args(["--duration", &format!("{}s", duration.as_secs())])
        .args(["--script", SCRIPT])
        .arg(format!("http://{address}{ROUTE}"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err("wrk makes the load, and is not installed".into());
        }
        Err(error) => return Err(error.into()),
    };
    let text = String::from_utf8(output.stdout)?;
    // Before the script's line stand those for people.
    let load: Option<Load> = text
        .lines()
        .last()
        .and_then(|line| serde_json::from_str(line).ok());
    match load {
        Some(load) if load.errors == 0 && load.requests > 0 => Ok(load),
        _ => Err(format!(
            "wrk failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

const CONNECTIONS: &str = "64";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/http/orders.lua");
