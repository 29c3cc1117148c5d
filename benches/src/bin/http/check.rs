//! That the variants do the same work and record the same spans, shown by a few requests to each.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use throughline_benches::Receiver;
use tokio::net::TcpStream;

use crate::Result;
use crate::server::{Server, Variant};
use crate::service::{ATTRIBUTES, ROUTE, SPANS};

/// Checks all variants.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut receiver = Receiver::start()?;
    for variant in Variant::ALL {
        let run = format!("check-{variant}");
        let mut server = Server::start(variant, receiver.target(run.clone()))?;
        runtime.block_on(send(server.address))?;
        let offered = server.flush()?.spans;
        let received = receiver.received(&run)?;
        let requests = if variant.is_traced() { REQUESTS } else { 0 };
        let found = (received.spans, received.roots, received.attributes);
        let expected = (requests * SPANS, 0, requests * ATTRIBUTES);
        if found != expected {
            return Err(format!(
                "{variant}: (spans, roots, attributes) are {found:?} and not {expected:?}"
            )
            .into());
        }
        if variant.is_traced() && offered != received.spans {
            return Err(format!("{variant} counts {offered} spans").into());
        }
    }
    Ok(())
}

/// Sends the requests over one connection, and looks at the answers.
async fn send(address: SocketAddr) -> Result<()> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    for number in 1..=REQUESTS {
        let request = Request::post(ROUTE)
            .header("host", "service")
            .header("content-type", "application/json")
            .header("traceparent", format!("00-{number:032x}-{number:016x}-01"))
            .body(Full::new(Bytes::from_static(ORDER)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if (status, body.as_ref()) != (StatusCode::OK, RECEIPT) {
            let body = String::from_utf8_lossy(&body);
            return Err(format!("the answer is {status}: {body}").into());
        }
    }
    drop(sender);
    Ok(connection.await??)
}

const REQUESTS: u64 = 50;
const ORDER: &[u8] = br#"{"customer":"Ada Lovelace","lines":[{"product":"tea","quantity":2},{"product":"salt","quantity":1}]}"#;
const RECEIPT: &[u8] = br#"{"total":979,"reserved":3,"customer":"Ada Lovelace"}"#;
