//! Where a worker's spans go.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::scenario::{Fault, Transport};

/// The receiver, and the name under which it counts a worker's spans.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    pub(crate) addresses: Addresses,
    pub(crate) run: String,
}

/// Where the receiver listens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
}

/// What a library has to be told to send its spans.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// Full URL of the traces resource; that of the server for gRPC.
    pub(crate) url: String,
    pub(crate) transport: Transport,
    /// The run, which the header [`RUN`] names where the URL has no path.
    pub(crate) run: String,
}

impl Target {
    /// What a library is told that meets this fault.
    pub(crate) fn destination(&self, transport: Transport, fault: Fault) -> Destination {
        let Self { addresses, run } = self;
        let http = match fault {
            Fault::Absent => SocketAddr::from((Ipv4Addr::LOCALHOST, NOBODY)),
            _ => addresses.http,
        };
        Destination {
            url: match transport {
                Transport::Http | Transport::Gzip => {
                    format!("http://{http}/{fault}/{run}/v1/traces")
                }
                Transport::Grpc => format!("http://{}", addresses.grpc),
            },
            transport,
            run: run.clone(),
        }
    }
}

/// The header that names the run to the gRPC server.
pub(crate) const RUN: &str = "x-run";
/// A port that nothing listens on.
const NOBODY: u16 = 1;
