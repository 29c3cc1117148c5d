//! Requests to the servers' own interfaces.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

/// The status and the body that a GET is answered with.
pub(crate) fn get(url: &str) -> (u16, String) {
    request(hyper::Request::get(url), Bytes::new())
}

/// Sends an OTLP request in protobuf; the status and the body of the answer.
pub(crate) fn post_otlp(url: &str, body: Vec<u8>) -> (u16, String) {
    let request = hyper::Request::post(url).header("content-type", "application/x-protobuf");
    self::request(request, body.into())
}

fn request(request: http::request::Builder, body: Bytes) -> (u16, String) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = request.body(Full::new(body)).expect("a URL");
        let response = client.request(request).await.expect("an answer");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.expect("a body");
        (
            status,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        )
    })
}
