//! The attributes of a measured handler: those its callsite and its labels have, of the keys that metrics may have.
//!
//! Owns what is told and by which role, and remembers it for each combination that was seen.

use std::collections::HashMap;
use std::ptr;
use std::sync::Arc;

use opentelemetry::KeyValue;
use throughline_core::{Callsite, Labels, Measurement, SpanKind};
use throughline_wire::attribute_at;

use crate::keys;

/// Whose handler it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Actor,
    Queue,
    /// Not a handler: who sends, receives or settles.
    Send,
    Client,
    Projection,
}

/// A kind of handled message, as metrics tell it apart.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) role: Role,
    /// Without the error.
    pub(crate) known: Vec<KeyValue>,
    /// With it, if there was one.
    pub(crate) all: Vec<KeyValue>,
}

/// The kinds that were seen.
#[derive(Debug, Default)]
pub(crate) struct Kinds(HashMap<(usize, Labels), Errors>);

/// The kinds of one callsite and set of labels, by the type of the error; hardly ever more than a few.
type Errors = Vec<(Option<Box<str>>, Arc<Kind>)>;

impl Kinds {
    pub(crate) fn of(&mut self, measurement: &Measurement<'_>) -> Arc<Kind> {
        let (callsite, labels) = (measurement.callsite(), measurement.labels());
        let error_type = measurement.error_type();
        // A callsite is a static: its address is its identity.
        let place = ptr::from_ref(callsite).addr();
        let errors = self.0.entry((place, labels)).or_default();
        if let Some((_, kind)) = errors.iter().find(|(of, _)| of.as_deref() == error_type) {
            return Arc::clone(kind);
        }
        let kind = Arc::new(Kind::of(callsite, labels, error_type));
        // What is not remembered is made again, and the SDK bounds its series.
        if errors.len() < MAX_ERRORS {
            errors.push((error_type.map(Box::from), Arc::clone(&kind)));
        }
        kind
    }
}

impl Kind {
    fn of(callsite: &'static Callsite, labels: Labels, error_type: Option<&str>) -> Self {
        let role = role_of(callsite, labels);
        if labels.is_overflow() {
            let overflow = vec![KeyValue::new(keys::OVERFLOW, true)];
            return Self {
                role,
                known: overflow.clone(),
                all: overflow,
            };
        }
        let mut known = Vec::new();
        let labels = labels.pairs();
        for key in keys::TOLD {
            let of_labels = || {
                let pair = labels.iter().find(|(name, _)| name == key);
                pair.map(|(_, value)| value.to_string())
            };
            let of_callsite = text_of(callsite, key).map(str::to_owned);
            if let Some(value) = of_callsite.or_else(of_labels) {
                known.push(KeyValue::new(*key, value));
            }
        }
        let mut all = known.clone();
        if let Some(error_type) = error_type {
            all.push(KeyValue::new(keys::ERROR_TYPE, error_type.to_owned()));
        }
        Self { role, known, all }
    }
}

/// The callsite is the innermost layer's, so that it knows best; then come the labels. Who says nothing at all is an
/// actor, or, by the kind of the span, the handler of a queue or who sends to one.
fn role_of(callsite: &'static Callsite, labels: Labels) -> Role {
    let family = labels.family();
    let roles = [
        (Role::Actor, keys::OF_ACTORS),
        (Role::Queue, keys::OF_QUEUES),
        (Role::Projection, keys::OF_PROJECTIONS),
    ];
    let said = roles.iter().find(|(_, key)| callsite.has_attribute(key));
    let said = said.or_else(|| roles.iter().find(|(_, key)| *key == family));
    match (said, callsite.kind()) {
        (Some((Role::Queue, _)), SpanKind::Producer) => Role::Send,
        (Some((Role::Queue, _)), SpanKind::Client) => Role::Client,
        (Some((role, _)), _) => *role,
        (None, SpanKind::Consumer) => Role::Queue,
        (None, SpanKind::Producer) => Role::Send,
        (None, _) => Role::Actor,
    }
}

/// The text of an attribute that every span of the callsite has.
fn text_of(callsite: &'static Callsite, key: &str) -> Option<&'static str> {
    let fields = callsite.static_fields();
    let mut at = 0;
    while let Some(attribute) = attribute_at(fields, at) {
        at = attribute.end;
        let (start, end) = attribute.key;
        if fields.get(start..end) == Some(key.as_bytes()) {
            let (start, end) = attribute.text?;
            return std::str::from_utf8(fields.get(start..end)?).ok();
        }
    }
    None
}

/// Types of errors that are remembered for each callsite and set of labels.
const MAX_ERRORS: usize = 64;
