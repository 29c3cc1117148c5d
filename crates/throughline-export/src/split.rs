//! Cuts a batch that is too large into parts.
//!
//! Owns where a request can be cut: between two spans. The parts of a batch hold
//! the same spans, byte for byte and in the same order, under the same resource
//! and scopes. What a span contains is never looked at.

use std::ops::Range;

use bytes::Bytes;
use throughline_wire::put_request;
use throughline_wire::read::{self, Field, FieldValue};

use crate::exporter::Batch;

/// A batch and what is left of it to send.
pub(crate) struct Parts {
    whole: Batch,
    /// Known from the first cut on.
    layout: Option<Layout>,
    /// The numbers of the spans of each part that is left, the next one last.
    left: Vec<Range<usize>>,
}

/// One piece of a batch that can be sent.
pub(crate) struct Part {
    pub(crate) batch: Batch,
    spans: Range<usize>,
}

impl Parts {
    /// At first there is one part, which is the batch itself.
    pub(crate) fn of(whole: &Batch) -> Self {
        let everything = 0..usize::try_from(whole.spans()).unwrap_or(usize::MAX);
        Self {
            whole: whole.clone(),
            layout: None,
            left: vec![everything],
        }
    }

    /// Takes the next part.
    pub(crate) fn next(&mut self) -> Option<Part> {
        let spans = self.left.pop()?;
        let batch = match &self.layout {
            // Copied only now, so that no more than one part exists beside the whole.
            Some(layout) => layout.part(self.whole.request(), spans.clone()),
            None => self.whole.clone(),
        };
        Some(Part { batch, spans })
    }

    /// Puts the halves of a part in its place. False: it is a single span.
    pub(crate) fn halve(&mut self, part: &Part) -> bool {
        if part.spans.len() < 2 {
            return false;
        }
        if self.layout.is_none() {
            self.layout = Layout::of(self.whole.request());
        }
        let Some(layout) = &self.layout else {
            return false;
        };
        let Some(middle) = layout.middle(part.spans.clone()) else {
            return false;
        };
        self.left.push(middle..part.spans.end);
        self.left.push(part.spans.start..middle);
        true
    }
}

/// Where things stand in a request.
struct Layout {
    resource: Range<usize>,
    schema_url: Range<usize>,
    /// The fields of each `ScopeSpans` that come before its spans.
    scopes: Vec<Range<usize>>,
    spans: Vec<Span>,
}

/// A span as a field of its `ScopeSpans`.
struct Span {
    scope: usize,
    field: Range<usize>,
}

impl Layout {
    /// None if the request is not built like those of this crate.
    fn of(request: &[u8]) -> Option<Self> {
        let mut layout = Self {
            resource: 0..0,
            schema_url: 0..0,
            scopes: Vec::new(),
            spans: Vec::new(),
        };
        let resource_spans = the_only_field(request)?;
        for field in read::fields(&request[resource_spans.clone()]) {
            let field = field.ok()?;
            let content = content(&field, resource_spans.start)?;
            match field.number {
                // Decoders merge two of them, and nobody who cuts could.
                RESOURCE if layout.resource.is_empty() => layout.resource = content,
                SCOPE_SPANS => layout.add_scope(request, content)?,
                RESOURCE_SCHEMA_URL => layout.schema_url = content,
                _ => return None,
            }
        }
        Some(layout)
    }

    fn add_scope(&mut self, request: &[u8], scope_spans: Range<usize>) -> Option<()> {
        let mut head = scope_spans.start..scope_spans.start;
        let first = self.spans.len();
        for field in read::fields(&request[scope_spans.clone()]) {
            let field = field.ok()?;
            let at = scope_spans.start + field.range.start..scope_spans.start + field.range.end;
            if field.number == SPANS {
                self.spans.push(Span {
                    scope: self.scopes.len(),
                    field: at,
                });
            } else if self.spans.len() == first {
                head.end = at.end;
            } else {
                return None;
            }
        }
        self.scopes.push(head);
        Some(())
    }

    /// The number of the span that the second half begins with. The halves are about
    /// equally large, so that a span that is too large is soon alone.
    fn middle(&self, spans: Range<usize>) -> Option<usize> {
        let inside = self.spans.get(spans.clone())?;
        let end = inside.last()?.field.end;
        let half = inside.first()?.field.start + end;
        let before = inside.partition_point(|span| span.field.start + span.field.end < half);
        Some(spans.start + before.clamp(1, inside.len() - 1))
    }

    fn part(&self, request: &[u8], spans: Range<usize>) -> Batch {
        let chosen = self.spans.get(spans).unwrap_or_default();
        let scopes = chosen
            .chunk_by(|one, next| one.scope == next.scope)
            .filter_map(|same| {
                let (first, last) = (same.first()?, same.last()?);
                let scope = &request[self.scopes[first.scope].clone()];
                Some((scope, &request[first.field.start..last.field.end]))
            });
        // No schema is ever set by this crate; the one that is there stays.
        let schema_url = str::from_utf8(&request[self.schema_url.clone()]).unwrap_or_default();
        let mut part = Vec::new();
        let resource = &request[self.resource.clone()];
        put_request(&mut part, resource, schema_url, scopes);
        Batch::new(Bytes::from(part), chosen.len() as u64)
    }
}

/// The content of the one field of a request.
fn the_only_field(request: &[u8]) -> Option<Range<usize>> {
    let mut fields = read::fields(request);
    let field = fields.next()?.ok()?;
    let is_only = field.number == RESOURCE_SPANS && fields.next().is_none();
    is_only.then(|| content(&field, 0)).flatten()
}

/// Where the content of a field stands, in a message that begins at `start`.
fn content(field: &Field<'_>, start: usize) -> Option<Range<usize>> {
    let FieldValue::Len(content) = field.value else {
        return None;
    };
    let end = start + field.range.end;
    Some(end - content.len()..end)
}

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u32 = 1;
/// Fields of `ResourceSpans`.
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const RESOURCE_SCHEMA_URL: u32 = 3;
/// `ScopeSpans.spans`.
const SPANS: u32 = 2;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use throughline_wire::{Scope, SpanHead, put_scope, put_span};

    use super::*;

    /// A request of spans with names of these lengths, scope by scope.
    fn batch(scopes: &[Vec<usize>]) -> Batch {
        let encoded: Vec<(Vec<u8>, Vec<u8>)> = scopes
            .iter()
            .enumerate()
            .map(|(number, names)| {
                let (mut scope, mut spans) = (Vec::new(), Vec::new());
                put_scope(
                    &mut scope,
                    &Scope {
                        name: &format!("scope {number}"),
                        version: "1",
                        schema_url: "https://schema",
                    },
                );
                for (index, length) in names.iter().enumerate() {
                    put_span(
                        &mut spans,
                        &SpanHead {
                            span_id: (((number << 32) | index) as u64 + 1).to_be_bytes(),
                            name: Some(&"n".repeat(*length)),
                            ..SpanHead::default()
                        },
                    );
                }
                (scope, spans)
            })
            .collect();
        let mut request = Vec::new();
        let borrowed = encoded
            .iter()
            .map(|(scope, spans)| (&scope[..], &spans[..]));
        put_request(&mut request, b"\x0a\x00", "https://resource", borrowed);
        let spans: usize = scopes.iter().map(Vec::len).sum();
        Batch::new(Bytes::from(request), spans as u64)
    }

    /// Every span with all that applies to it: resource, schema, scope and itself.
    fn spans(batch: &Batch) -> Vec<[Vec<u8>; 4]> {
        let layout = Layout::of(batch.request()).expect("a request of this crate");
        let bytes = |range: &Range<usize>| batch.request()[range.clone()].to_vec();
        layout
            .spans
            .iter()
            .map(|span| {
                [
                    bytes(&layout.resource),
                    bytes(&layout.schema_url),
                    bytes(&layout.scopes[span.scope]),
                    bytes(&span.field),
                ]
            })
            .collect()
    }

    /// Sends in parts to somebody who takes requests up to a size.
    fn send(whole: &Batch, most_bytes: usize) -> (Vec<Batch>, Vec<Batch>) {
        let (mut accepted, mut failed) = (Vec::new(), Vec::new());
        let mut parts = Parts::of(whole);
        while let Some(part) = parts.next() {
            if part.batch.request().len() <= most_bytes {
                accepted.push(part.batch);
            } else if !parts.halve(&part) {
                failed.push(part.batch);
            }
        }
        (accepted, failed)
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_whole(
            scopes in vec(vec(0_usize..300, 0..20), 1..6),
            most_bytes in 0_usize..2000,
        ) {
            let whole = batch(&scopes);
            prop_assume!(whole.spans() > 0);
            let (accepted, failed) = send(&whole, most_bytes);
            // In the order of the whole, which the failed ones interrupt.
            let mut sent: Vec<_> = accepted.iter().chain(&failed).flat_map(spans).collect();
            let mut expected = spans(&whole);
            sent.sort();
            expected.sort();
            prop_assert_eq!(sent, expected);
            for part in &accepted {
                prop_assert_eq!(part.spans() as usize, spans(part).len());
                prop_assert!(part.request().len() <= most_bytes);
            }
            for part in &failed {
                prop_assert_eq!(part.spans(), 1);
                prop_assert!(part.request().len() > most_bytes);
            }
        }

        #[test]
        fn parts_keep_the_order(scopes in vec(vec(0_usize..300, 1..20), 1..6)) {
            let whole = batch(&scopes);
            let (alone, _) = send(&whole, usize::MAX);
            prop_assert_eq!(alone.len(), 1);
            let (_, singles) = send(&whole, 0);
            let sent: Vec<_> = singles.iter().flat_map(spans).collect();
            prop_assert_eq!(sent, spans(&whole));
        }

        #[test]
        fn any_bytes_can_be_looked_at(bytes in vec(any::<u8>(), 0..200)) {
            let _ = Layout::of(&bytes);
        }
    }

    #[test]
    fn one_span_that_is_too_large_costs_few_requests() {
        let mut names = vec![10; 4000];
        names[1234] = 1 << 20;
        let whole = batch(&[names]);
        let mut parts = Parts::of(&whole);
        let mut requests = 0;
        let mut failed = 0;
        while let Some(part) = parts.next() {
            requests += 1;
            if part.batch.request().len() > 512 << 10 && !parts.halve(&part) {
                failed += part.batch.spans();
            }
        }
        assert_eq!((failed, requests), (1, 5));
    }

    #[test]
    fn a_resource_that_is_given_twice_is_left_whole() {
        let resource = [0x0a, 2, 0x10, 1];
        let spans = [0x12, 4, 0x12, 0, 0x12, 0];
        for (resources, is_cut) in [(1, true), (2, false)] {
            let content = [resource.repeat(resources), spans.to_vec()].concat();
            let request = [vec![0x0a, content.len() as u8], content].concat();
            let mut parts = Parts::of(&Batch::new(Bytes::from(request), 2));
            let part = parts.next().expect("the whole");
            assert_eq!(parts.halve(&part), is_cut);
        }
    }

    #[test]
    fn what_others_made_is_left_whole() {
        let whole = Batch::new(Bytes::from_static(b"no request"), 2);
        let mut parts = Parts::of(&whole);
        let part = parts.next().expect("the whole");
        assert!(!parts.halve(&part));
        assert!(parts.next().is_none());
    }
}
