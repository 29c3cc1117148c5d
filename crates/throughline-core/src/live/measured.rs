//! An open span whose end is measured, be it sampled or not.

use throughline_wire::read::{self, FieldValue};
use throughline_wire::{self as wire};

use super::LiveSpan;
use crate::callsite::Callsite;
use crate::clock::{self, Ticks};
use crate::handler::Told;
use crate::id::SpanId;
use crate::kind::{Outcome, Status};
use crate::local;
use crate::record::{Facts, Header, Marks};

impl LiveSpan {
    /// Whether the end of the span makes a measurement.
    #[inline]
    pub(crate) const fn is_measured(&self) -> bool {
        let handling = self.handling();
        handling.is_measured && (handling.is_handler || handling.is_operation)
    }

    /// Settles that the end makes a measurement, if this turns out to be a handler's or an operation's. What a span that is not sampled
    /// has to know for that begins now.
    pub(crate) fn measure(&mut self, callsite: &'static Callsite, told: Told) {
        self.handling_mut().is_measured = true;
        self.told = told;
        if !self.recording {
            let flags = self.context.span_context().trace_flags();
            self.callsite = callsite;
            self.facts = Facts {
                kind: callsite.kind(),
                marks: Marks::of(flags, false),
                ..Facts::default()
            };
            self.generation = throughline_ring::fork_generation();
            self.began_in_panic = std::thread::panicking();
            self.start = clock::now();
        }
    }

    /// Measures it as one of another callsite; a span that is sampled [adopts](Self::adopt) that.
    pub(crate) fn measure_as(&mut self, callsite: &'static Callsite) {
        if !self.recording && self.handling().is_measured {
            self.callsite = callsite;
        }
    }

    /// Keeps what the handler failed with; a span that is sampled has it as an attribute.
    pub(crate) fn note_failure(&mut self, error_type: &'static str) {
        if !self.recording && self.handling().is_measured {
            self.told.error_type = Some(error_type);
            self.facts.status = Status::Error;
            self.course().unusual = true;
        }
    }

    /// Settles how a handler ended that is not sampled.
    pub(super) fn finish_measured(&mut self, outcome: Outcome) {
        if self.handling().is_measured {
            let told = &mut self.told;
            let (status, outcome, error_type) = local::ending(outcome, told.error_type);
            told.error_type = (!error_type.is_empty()).then_some(error_type);
            self.facts.status = status;
            self.facts.outcome = outcome;
        }
    }

    /// The header of the measurement.
    pub(crate) fn measurement(&self, end: Ticks) -> Header {
        self.header_under(SpanId::from_number(self.told.wait), end)
    }

    /// The attribute `error.type` of a span that ended with an error.
    pub(crate) fn error_type(&self) -> Option<&str> {
        if self.facts.status != Status::Error {
            return None;
        }
        if !self.recording {
            return self.told.error_type;
        }
        let own = error_type_in(&self.body);
        own.or_else(|| error_type_in(self.callsite.static_fields()))
    }
}

/// The attribute among encoded fields of a span.
fn error_type_in(fields: &[u8]) -> Option<&str> {
    read::fields(fields).find_map(|field| {
        let field = field.ok()?;
        // Where another field than an attribute stands, there is no attribute.
        let FieldValue::Len(_) = field.value else {
            return None;
        };
        let attribute = wire::attribute_at(fields, field.range.start)?;
        let between = |(start, end)| std::str::from_utf8(fields.get(start..end)?).ok();
        (between(attribute.key)? == ERROR_TYPE).then(|| between(attribute.text?))?
    })
}

/// The key of the attribute.
const ERROR_TYPE: &str = "error.type";
