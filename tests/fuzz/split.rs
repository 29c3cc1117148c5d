//! Holds the parts of a batch against the whole, with a decoder that is not ours.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use throughline_export::fuzzing;
use throughline_wire::{Scope, SpanHead, put_request, put_scope, put_span};

/// The first two bytes say how much is taken at a time; the rest is a request, or says what one is made of.
pub fn split(input: &[u8]) {
    let Some((&[most, kind], rest)) = input.split_first_chunk() else {
        return;
    };
    let most_bytes = usize::from(most) * 16;
    match kind % 4 {
        0 => check(rest, most_bytes, false),
        // Few spans, so that there is time for many plans.
        _ => check(&request(&rest[..rest.len().min(100)]), most_bytes, true),
    }
}

fn check(whole: &[u8], most_bytes: usize, is_ours: bool) {
    let Some(expected) = spans(whole) else {
        // It can be anything, and must be left alone.
        fuzzing::split(whole, 2, most_bytes);
        return;
    };
    let parts = fuzzing::split(whole, expected.len() as u64, most_bytes);
    let mut found = Vec::new();
    for part in &parts {
        let inside = spans(part).expect("a part is a request");
        // What is not built like ours stays whole.
        let is_whole = parts.len() == 1 && (!is_ours || inside.is_empty());
        assert!(part.len() <= most_bytes || inside.len() == 1 || is_whole);
        assert!(!inside.is_empty() || is_whole, "a part without spans");
        found.extend(inside);
    }
    // Each once and in order, under its resource and its scope.
    assert!(found == expected);
}

/// A span, and what it stands in: the resource, the scope, and the schemas of both.
type Placed = [Vec<u8>; 5];

/// All spans of a request. They are encoded again, since a double that is no number is unlike itself.
fn spans(request: &[u8]) -> Option<Vec<Placed>> {
    let request = ExportTraceServiceRequest::decode(request).ok()?;
    let mut all = Vec::new();
    for resource in &request.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                all.push([
                    resource
                        .resource
                        .iter()
                        .flat_map(Message::encode_to_vec)
                        .collect(),
                    resource.schema_url.clone().into_bytes(),
                    scope
                        .scope
                        .iter()
                        .flat_map(Message::encode_to_vec)
                        .collect(),
                    scope.schema_url.clone().into_bytes(),
                    span.encode_to_vec(),
                ]);
            }
        }
    }
    Some(all)
}

/// A request such as the pipeline makes: each byte begins a scope, or is the length of a span's name.
fn request(plan: &[u8]) -> Vec<u8> {
    let mut scopes = vec![(Vec::new(), Vec::new())];
    for (number, byte) in plan.iter().enumerate() {
        if byte % 16 == 0 || number == 0 {
            let mut scope = Vec::new();
            let name = "s".repeat(usize::from(*byte));
            let schema_url = if byte % 32 == 0 { "https://schema" } else { "" };
            put_scope(
                &mut scope,
                &Scope {
                    name: &name,
                    version: "1",
                    schema_url,
                },
            );
            scopes.push((scope, Vec::new()));
        } else if let Some((_, spans)) = scopes.last_mut() {
            let name = "n".repeat(usize::from(*byte) * 4);
            let span_id = (number as u64 + 1).to_be_bytes();
            put_span(
                spans,
                &SpanHead {
                    span_id,
                    name: Some(&name),
                    ..SpanHead::default()
                },
            );
        }
    }
    // The body of a `Resource` without attributes, which counts two it dropped.
    let resource = [0x10, 2];
    let url = if plan.len() % 2 == 0 {
        "https://resource"
    } else {
        ""
    };
    let mut request = Vec::new();
    let scopes = scopes.iter().map(|(scope, spans)| (&scope[..], &spans[..]));
    put_request(&mut request, &resource, url, scopes);
    request
}
