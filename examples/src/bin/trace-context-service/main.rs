//! A service that does nothing but pass its trace on: the service under test of W3C's trace-context harness.
//!
//! `POST /test` takes a JSON array of `{"url": …, "arguments": […]}`, and for each element POSTs `arguments` to `url`.
//! The trace comes from the headers of the request and goes on in those of its calls:
//!
//! ```text
//! whoever calls, in another process
//! └─ POST /test [server]
//!    ├─ POST [client]
//!    └─ POST [client]
//! ```
//!
//! `cargo run --release -p throughline-examples --bin trace-context-service -- --port 5000`
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the help, the address and the mistakes"
)]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use throughline::core::Status;
use throughline::http::{HeaderExtractor, HeaderInjector};
use throughline::{Context, current, propagate, traced};
use tokio::net::TcpListener;

type Failure = Box<dyn Error + Send + Sync>;
type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// One call that the caller asks for.
#[derive(Deserialize)]
struct Call {
    url: String,
    arguments: Value,
}

#[throughline::main]
async fn main() -> ExitCode {
    let port = match port() {
        Ok(Some(port)) => port,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&error.into()),
    };
    match serve(port).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Failure) -> ExitCode {
    eprintln!("trace-context-service: {error}");
    ExitCode::from(2)
}

/// The port to listen on; `None` if the help is asked for.
fn port() -> Result<Option<u16>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut port = DEFAULT_PORT;
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("port") => port = arguments.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(port))
}

/// Serves until ctrl-c.
async fn serve(port: u16) -> Result<(), Failure> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    println!("listening on http://{}/test", listener.local_addr()?);
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let routes = Router::new().route("/test", post(test)).with_state(client);
    let interrupted = async {
        // Without a handler for the signal, the service goes on until it is killed.
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, routes)
        .with_graceful_shutdown(interrupted)
        .await?;
    Ok(())
}

async fn test(
    State(client): State<HttpClient>,
    headers: HeaderMap,
    Json(calls): Json<Vec<Call>>,
) -> StatusCode {
    let caller = propagate::extract(&HeaderExtractor(&headers));
    make_calls(caller, &client, calls).await
}

/// The work of one request.
#[traced(name = "POST /test", kind = server, parent = caller, attrs(calls = calls.len()))]
async fn make_calls(caller: Context, client: &HttpClient, calls: Vec<Call>) -> StatusCode {
    let mut status = StatusCode::OK;
    for call in calls {
        if let Err(error) = make_call(client, call).await {
            tracing::warn!(%error, "a call failed");
            current().set_status(Status::Error, "a call failed");
            status = StatusCode::BAD_GATEWAY;
        }
    }
    status
}

#[traced(name = "POST", kind = client, attrs(url.full = %call.url), err)]
async fn make_call(client: &HttpClient, call: Call) -> Result<(), Failure> {
    let body = Full::new(Bytes::from(call.arguments.to_string()));
    let mut request = Request::post(&call.url)
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    propagate::inject(
        &Context::current(),
        &mut HeaderInjector(request.headers_mut()),
    );
    let response = client.request(request).await?;
    response.into_body().collect().await?;
    Ok(())
}

const DEFAULT_PORT: u16 = 5000;

const HELP: &str = "\
The service under test of W3C's trace-context harness.

Usage: trace-context-service [--port N]

Options:
  --port N   the port to listen on, on the loopback interface (default: 5000; 0 takes a free one)
  --help     this text
";
