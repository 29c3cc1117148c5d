//! Requests to the servers' own interfaces, and OTLP in JSON to a receiver of ours.

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::Value;
use throughline::testing::OtlpReceiver;

/// The status and the body that a GET is answered with.
pub(crate) fn get(url: &str) -> (u16, String) {
    request(hyper::Request::get(url), Bytes::new())
}

/// The JSON that a GET is answered with; null unless it succeeds.
pub(crate) fn get_json(url: &str) -> Value {
    match get(url) {
        (200, body) => serde_json::from_str(&body).expect("JSON"),
        _ => Value::Null,
    }
}

/// Gives a receiver the spans of a request in JSON.
pub(crate) fn post_json(receiver: &OtlpReceiver, request: Value) {
    let request: ExportTraceServiceRequest = serde_json::from_value(request).expect("OTLP");
    let head = hyper::Request::post(receiver.traces_endpoint());
    let head = head.header("content-type", "application/x-protobuf");
    let (status, answer) = self::request(head, request.encode_to_vec().into());
    assert_eq!(status, 200, "{answer}");
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
