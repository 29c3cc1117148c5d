//! Spans in the JSON of Zipkin's API, version 2.
//!
//! Owns the mapping of the OpenTelemetry specification ("OpenTelemetry to Zipkin
//! Transformation" and the rules for formats other than OTLP). What that leaves open
//! is done as the OpenTelemetry Collector does it: attributes of the resource are
//! tags of each span, links are tags `otlp.link.<n>`, the trace state is the tag
//! `w3c.tracestate`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde_core::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use throughline_wire::read::{self, FieldValue};

use super::value::{Json, text};
use crate::decode::{self, Any, array, key_value, messages};
use crate::exporter::ExportError;
use crate::json::Hex;

/// What the specification says for a resource without a name.
const UNKNOWN_SERVICE: &str = "unknown_service";

/// A list of all spans of an `ExportTraceServiceRequest`.
pub(crate) fn spans(request: &[u8]) -> Result<Vec<u8>, ExportError> {
    let malformed = |error: serde_json::Error| {
        // Only the bytes can be wrong, since memory takes everything.
        ExportError::permanent("malformed", error.to_string())
    };
    let mut out = Vec::with_capacity(request.len().saturating_mul(3));
    let mut serializer = serde_json::Serializer::new(&mut out);
    write(request, &mut serializer).map_err(malformed)?;
    Ok(out)
}

type Error = serde_json::Error;

/// Tags by key. A later insertion wins.
type Tags<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

fn write(request: &[u8], out: &mut serde_json::Serializer<&mut Vec<u8>>) -> Result<(), Error> {
    let mut list = out.serialize_seq(None)?;
    for resource_spans in messages(request, 1) {
        let resource_spans = resource_spans.map_err(Error::custom)?;
        let mut of_resource = Tags::new();
        for resource in messages(resource_spans, 1) {
            let resource = resource.map_err(Error::custom)?;
            attributes(&mut of_resource, resource, 1)?;
        }
        let service = of_resource.remove("service.name");
        let service = service.unwrap_or(Cow::Borrowed(UNKNOWN_SERVICE));
        for scope_spans in messages(resource_spans, 2) {
            let scope_spans = scope_spans.map_err(Error::custom)?;
            let mut inherited = of_resource.clone();
            for scope in messages(scope_spans, 1) {
                scope_tags(&mut inherited, scope.map_err(Error::custom)?)?;
            }
            for span in messages(scope_spans, 2) {
                let span = span.map_err(Error::custom)?;
                list.serialize_element(&Span::read(span, &service, inherited.clone())?)?;
            }
        }
    }
    SerializeSeq::end(list)
}

/// Inserts the attributes in one field of a message.
fn attributes<'a>(tags: &mut Tags<'a>, message: &'a [u8], field: u32) -> Result<(), Error> {
    for attribute in messages(message, field) {
        let (key, value) = attribute.and_then(key_value).map_err(Error::custom)?;
        tags.insert(key, text(value)?);
    }
    Ok(())
}

fn scope_tags<'a>(tags: &mut Tags<'a>, scope: &'a [u8]) -> Result<(), Error> {
    attributes(tags, scope, 3)?;
    for field in read::fields(scope) {
        let field = field.map_err(Error::custom)?;
        let keys = match field.number {
            1 => ["otel.scope.name", "otel.library.name"],
            2 => ["otel.scope.version", "otel.library.version"],
            _ => continue,
        };
        if let FieldValue::Len(value @ [_, ..]) = field.value {
            for key in keys {
                tags.insert(Cow::Borrowed(key), decode::text(value));
            }
        }
    }
    Ok(())
}

struct Span<'a> {
    trace_id: [u8; 16],
    id: [u8; 8],
    /// Zero for none.
    parent: [u8; 8],
    name: Cow<'a, str>,
    kind: Option<&'static str>,
    start_nanos: u64,
    end_nanos: u64,
    service: &'a str,
    remote: Option<Remote>,
    annotations: Vec<Annotation>,
    tags: Tags<'a>,
}

impl<'a> Span<'a> {
    fn read(message: &'a [u8], service: &'a str, inherited: Tags<'a>) -> Result<Self, Error> {
        use FieldValue::{Fixed64, Len, Varint};
        let mut span = Self {
            trace_id: [0; 16],
            id: [0; 8],
            parent: [0; 8],
            name: Cow::Borrowed(""),
            kind: None,
            start_nanos: 0,
            end_nanos: 0,
            service,
            remote: None,
            annotations: Vec::new(),
            tags: inherited,
        };
        let mut own = Tags::new();
        let mut links = 0;
        let mut status = (0, Cow::Borrowed(""));
        for field in read::fields(message) {
            let field = field.map_err(Error::custom)?;
            match (field.number, field.value) {
                (1, Len(bytes)) => span.trace_id = array(bytes),
                (2, Len(bytes)) => span.id = array(bytes),
                (3, Len(state @ [_, ..])) => {
                    own.insert("w3c.tracestate".into(), decode::text(state));
                }
                (4, Len(bytes)) => span.parent = array(bytes),
                (5, Len(bytes)) => span.name = decode::text(bytes),
                (6, Varint(kind)) => span.kind = kind_name(kind),
                (7, Fixed64(nanos)) => span.start_nanos = nanos,
                (8, Fixed64(nanos)) => span.end_nanos = nanos,
                (9, Len(attribute)) => {
                    let (key, value) = key_value(attribute).map_err(Error::custom)?;
                    own.insert(key, text(value)?);
                }
                (10, Varint(count @ 1..)) => dropped(&mut own, "attributes", count),
                (11, Len(event)) => span.annotations.push(Annotation::read(event)?),
                (12, Varint(count @ 1..)) => dropped(&mut own, "events", count),
                (13, Len(link)) => {
                    own.insert(format!("otlp.link.{links}").into(), link_tag(link)?.into());
                    links += 1;
                }
                (14, Varint(count @ 1..)) => dropped(&mut own, "links", count),
                (15, Len(message)) => read_status(message, &mut status)?,
                _ => {}
            }
        }
        // Zipkin refuses all spans of a request for one such id.
        if span.trace_id == [0; 16] || span.id == [0; 8] {
            return Err(Error::custom("a span has no valid id"));
        }
        if matches!(span.kind, Some("CLIENT" | "PRODUCER")) {
            span.remote = Remote::of(&own);
        }
        if own.get("error").is_some_and(|error| error == "false") {
            own.remove("error");
        }
        span.tags.append(&mut own);
        let (code, description) = status;
        if let Some(code) = status_name(code) {
            span.tags.insert("otel.status_code".into(), code.into());
            if code == "ERROR" {
                span.tags.insert("error".into(), description);
            }
        }
        Ok(span)
    }

    /// Whole microseconds, and not none at all, which would mean an unfinished span.
    fn duration_micros(&self) -> u64 {
        (self.end_nanos.saturating_sub(self.start_nanos) / 1000).max(1)
    }
}

impl Serialize for Span<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut span = serializer.serialize_map(None)?;
        span.serialize_entry("traceId", &Shown(Hex(&self.trace_id)))?;
        span.serialize_entry("id", &Shown(Hex(&self.id)))?;
        if self.parent != [0; 8] {
            span.serialize_entry("parentId", &Shown(Hex(&self.parent)))?;
        }
        if !self.name.is_empty() {
            span.serialize_entry("name", &self.name)?;
        }
        if let Some(kind) = self.kind {
            span.serialize_entry("kind", kind)?;
        }
        // Zero would mean an unknown time.
        if self.start_nanos >= 1000 {
            span.serialize_entry("timestamp", &(self.start_nanos / 1000))?;
        }
        span.serialize_entry("duration", &self.duration_micros())?;
        span.serialize_entry("localEndpoint", &Pairs([("serviceName", self.service)]))?;
        if let Some(remote) = &self.remote {
            span.serialize_entry("remoteEndpoint", remote)?;
        }
        if !self.annotations.is_empty() {
            span.serialize_entry("annotations", &self.annotations)?;
        }
        if !self.tags.is_empty() {
            span.serialize_entry("tags", &self.tags)?;
        }
        span.end()
    }
}

fn kind_name(kind: u64) -> Option<&'static str> {
    match kind {
        2 => Some("SERVER"),
        3 => Some("CLIENT"),
        4 => Some("PRODUCER"),
        5 => Some("CONSUMER"),
        _ => None,
    }
}

fn status_name(code: u64) -> Option<&'static str> {
    match code {
        1 => Some("OK"),
        2 => Some("ERROR"),
        _ => None,
    }
}

fn read_status<'a>(message: &'a [u8], status: &mut (u64, Cow<'a, str>)) -> Result<(), Error> {
    for field in read::fields(message) {
        let field = field.map_err(Error::custom)?;
        match (field.number, field.value) {
            (2, FieldValue::Len(bytes)) => status.1 = decode::text(bytes),
            (3, FieldValue::Varint(code)) => status.0 = code,
            _ => {}
        }
    }
    Ok(())
}

fn dropped(tags: &mut Tags<'_>, what: &str, count: u64) {
    tags.insert(
        format!("otel.dropped_{what}_count").into(),
        count.to_string().into(),
    );
}

/// `trace id|span id|trace state|attributes|dropped attributes`.
fn link_tag(link: &[u8]) -> Result<String, Error> {
    use FieldValue::{Len, Varint};
    let (mut trace_id, mut id, mut state, mut dropped) = (&[][..], &[][..], &[][..], 0);
    for field in read::fields(link) {
        let field = field.map_err(Error::custom)?;
        match (field.number, field.value) {
            (1, Len(bytes)) => trace_id = bytes,
            (2, Len(bytes)) => id = bytes,
            (3, Len(bytes)) => state = bytes,
            (5, Varint(count)) => dropped = count,
            _ => {}
        }
    }
    let attributes = serde_json::to_string(&Attributes::read(link, 4)?)?;
    Ok(format!(
        "{}|{}|{}|{attributes}|{dropped}",
        Hex(trace_id),
        Hex(id),
        decode::text(state)
    ))
}

/// An event. Its attributes are JSON behind its name.
struct Annotation {
    micros: u64,
    value: String,
}

impl Annotation {
    fn read(event: &[u8]) -> Result<Self, Error> {
        use FieldValue::{Fixed64, Len, Varint};
        let (mut nanos, mut name, mut dropped) = (0, Cow::Borrowed(""), 0);
        for field in read::fields(event) {
            let field = field.map_err(Error::custom)?;
            match (field.number, field.value) {
                (1, Fixed64(time)) => nanos = time,
                (2, Len(bytes)) => name = decode::text(bytes),
                (4, Varint(count)) => dropped = count,
                _ => {}
            }
        }
        let mut attributes = Attributes::read(event, 3)?;
        if dropped > 0 {
            let key = Cow::Borrowed("otel.dropped_attributes_count");
            attributes.0.push((key, Any::Int(dropped.cast_signed())));
        }
        let value = if attributes.0.is_empty() {
            name.into_owned()
        } else {
            let name = serde_json::to_string(&name)?;
            format!("{name}: {}", serde_json::to_string(&attributes)?)
        };
        Ok(Self {
            micros: nanos / 1000,
            value,
        })
    }
}

impl Serialize for Annotation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut annotation = serializer.serialize_map(Some(2))?;
        annotation.serialize_entry("timestamp", &self.micros)?;
        annotation.serialize_entry("value", &self.value)?;
        annotation.end()
    }
}

/// Attributes as one object.
struct Attributes<'a>(Vec<(Cow<'a, str>, Any<'a>)>);

impl<'a> Attributes<'a> {
    fn read(message: &'a [u8], field: u32) -> Result<Self, Error> {
        messages(message, field)
            .map(|attribute| attribute.and_then(key_value).map_err(Error::custom))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, Json::new(value))))
    }
}

/// The other side of a call.
struct Remote {
    service: Option<String>,
    ip: Option<IpAddr>,
    port: Option<u16>,
}

/// Attributes that name the other side, the best first, and those with its port.
const REMOTE: [(&str, Option<&str>); 11] = [
    ("peer.service", None),
    ("server.address", None),
    ("net.peer.name", None),
    ("network.peer.address", Some("network.peer.port")),
    ("server.socket.domain", None),
    ("server.socket.address", Some("server.socket.port")),
    ("net.sock.peer.name", None),
    ("net.sock.peer.addr", Some("net.sock.peer.port")),
    ("peer.hostname", None),
    ("peer.address", None),
    ("db.name", None),
];

impl Remote {
    fn of(tags: &Tags<'_>) -> Option<Self> {
        let (name, port) = REMOTE.iter().find_map(|&(key, port)| {
            let name = tags.get(key).filter(|name| !name.is_empty())?;
            Some((name, port))
        })?;
        let ip = port.and(name.parse().ok());
        Some(Self {
            service: ip.is_none().then(|| name.clone().into_owned()),
            ip,
            port: port.and_then(|port| tags.get(port)?.parse().ok()),
        })
    }
}

impl Serialize for Remote {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut endpoint = serializer.serialize_map(None)?;
        if let Some(service) = &self.service {
            endpoint.serialize_entry("serviceName", service)?;
        }
        match self.ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => endpoint.serialize_entry("ipv4", &Shown(ip))?,
            Some(IpAddr::V6(ip)) => endpoint.serialize_entry("ipv6", &Shown(ip))?,
            None => {}
        }
        if let Some(port) = self.port {
            endpoint.serialize_entry("port", &port)?;
        }
        endpoint.end()
    }
}

/// Written as it is displayed.
struct Shown<T>(T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An object with these texts.
struct Pairs<'a, const N: usize>([(&'static str, &'a str); N]);

impl<const N: usize> Serialize for Pairs<'_, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0)
    }
}

#[cfg(test)]
mod tests;
