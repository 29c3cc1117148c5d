//! Which identifiers a log line carries, and under which names.
//!
//! Owns the vocabularies of the systems that read logs. It must not know how a line is laid out.

use std::fmt::{self, Write};

use throughline_core::SpanContext;

/// The names under which a log line carries the identifiers of its span.
///
/// | preset | members |
/// |---|---|
/// | [`otel`](Self::otel) | `trace_id`, `span_id`, `trace_flags`: lower-case hexadecimal |
/// | [`datadog`](Self::datadog) | `dd.trace_id`, `dd.span_id`: decimal, low 64 bits; and `trace_id`, `span_id` as above |
/// | [`gcp`](Self::gcp) | `logging.googleapis.com/trace`, `…/spanId`, `…/trace_sampled` |
/// | [`ecs`](Self::ecs) | `trace.id`, `span.id` |
///
/// A line outside of any span has none of them. A span that is not sampled has its identifiers in the line all the
/// same, with flags that say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIds {
    members: Vec<Member>,
}

/// One identifier, in one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogId {
    /// The trace id, 32 hexadecimal digits.
    TraceId,
    /// The span id, 16 hexadecimal digits.
    SpanId,
    /// Whether the trace is sampled, as two hexadecimal digits of trace flags: `01` or `00`.
    TraceFlags,
    /// The low 64 bits of the trace id, decimal.
    TraceIdDecimal,
    /// The span id, decimal.
    SpanIdDecimal,
    /// `true` if the trace is sampled, `false` if not.
    Sampled,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Member {
    key: String,
    id: LogId,
    /// Stands before the value.
    prefix: String,
}

impl LogIds {
    /// The names of OpenTelemetry, for
    /// [trace context in logs that are not OTLP](https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/)
    /// (stable). The default.
    #[must_use]
    pub fn otel() -> Self {
        let ids = Self::custom()
            .with("trace_id", LogId::TraceId)
            .with("span_id", LogId::SpanId);
        ids.with("trace_flags", LogId::TraceFlags)
    }

    /// The names that Datadog
    /// [connects logs and traces by](https://docs.datadoghq.com/tracing/other_telemetry/connect_logs_and_traces/opentelemetry/):
    /// its own, and those of OpenTelemetry, which it reads as well.
    #[must_use]
    pub fn datadog() -> Self {
        Self::custom()
            .with("dd.trace_id", LogId::TraceIdDecimal)
            .with("dd.span_id", LogId::SpanIdDecimal)
            .with("trace_id", LogId::TraceId)
            .with("span_id", LogId::SpanId)
    }

    /// The names of Google Cloud's
    /// [structured logging](https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields).
    #[must_use]
    pub fn gcp() -> Self {
        Self::google(String::new())
    }

    /// As [`gcp`](Self::gcp), with the trace named as `projects/PROJECT/traces/TRACE_ID`.
    #[must_use]
    pub fn gcp_in_project(project: &str) -> Self {
        Self::google(format!("projects/{project}/traces/"))
    }

    /// The names of the [Elastic Common Schema](https://www.elastic.co/docs/reference/ecs/ecs-tracing). There is no
    /// `transaction.id`: which span was the first of its process is not part of a context.
    #[must_use]
    pub fn ecs() -> Self {
        Self::custom()
            .with("trace.id", LogId::TraceId)
            .with("span.id", LogId::SpanId)
    }

    /// No identifiers yet: the start of names of one's own.
    ///
    /// ```
    /// use throughline_tracing::{LogId, LogIds};
    ///
    /// let ids = LogIds::custom().with("traceId", LogId::TraceId).with("spanId", LogId::SpanId);
    /// ```
    #[must_use]
    pub const fn custom() -> Self {
        Self {
            members: Vec::new(),
        }
    }

    /// Adds an identifier under this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, id: LogId) -> Self {
        self.members.push(Member {
            key: name.into(),
            id,
            prefix: String::new(),
        });
        self
    }

    fn google(prefix: String) -> Self {
        let mut ids = Self::custom()
            .with("logging.googleapis.com/trace", LogId::TraceId)
            .with("logging.googleapis.com/spanId", LogId::SpanId)
            .with("logging.googleapis.com/trace_sampled", LogId::Sampled);
        ids.members[0].prefix = prefix;
        ids
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|member| member.key.as_str())
    }

    /// Writes `name=value` for each identifier, separated by spaces.
    pub(super) fn write_text(&self, out: &mut dyn Write, span: SpanContext) -> fmt::Result {
        for (index, member) in self.members.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            let value = MemberValue {
                id: member.id,
                span,
            };
            write!(out, "{space}{}={}{value}", member.key, member.prefix)?;
        }
        Ok(())
    }

    /// Writes the members of a JSON object, separated by commas.
    pub(super) fn write_json(&self, out: &mut dyn Write, span: SpanContext) -> fmt::Result {
        for (index, member) in self.members.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}\"{}\":", JsonText(&member.key))?;
            let value = MemberValue {
                id: member.id,
                span,
            };
            match member.id {
                LogId::Sampled => write!(out, "{value}")?,
                _ => write!(out, "\"{}{value}\"", JsonText(&member.prefix))?,
            }
        }
        Ok(())
    }
}

impl Default for LogIds {
    fn default() -> Self {
        Self::otel()
    }
}

/// The value of one member, without its prefix.
struct MemberValue {
    id: LogId,
    span: SpanContext,
}

impl fmt::Display for MemberValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.span;
        let sampled = span.trace_flags().is_sampled();
        match self.id {
            LogId::TraceId => write!(f, "{}", span.trace_id()),
            LogId::SpanId => write!(f, "{}", span.span_id()),
            LogId::TraceFlags => f.write_str(if sampled { "01" } else { "00" }),
            LogId::TraceIdDecimal => {
                // The cast keeps the low 64 bits: that is the form.
                write!(
                    f,
                    "{}",
                    u128::from_be_bytes(span.trace_id().to_bytes()) as u64
                )
            }
            LogId::SpanIdDecimal => write!(f, "{}", u64::from_be_bytes(span.span_id().to_bytes())),
            LogId::Sampled => write!(f, "{sampled}"),
        }
    }
}

/// Text as it stands between the quotes of a JSON string.
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                _ if character.is_control() => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}
