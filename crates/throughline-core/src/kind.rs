//! The small vocabularies of a span: kind, level, status and outcome, with their OTLP numbers.

/// What role a span plays, as in OpenTelemetry's
/// [trace API § SpanKind](https://opentelemetry.io/docs/specs/otel/trace/api/#spankind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the specification closes the list")]
#[repr(u8)]
pub enum SpanKind {
    /// Work inside the application. The default.
    #[default]
    Internal = 1,
    /// The handling of a synchronous request from elsewhere.
    Server = 2,
    /// A synchronous request to elsewhere.
    Client = 3,
    /// The making of a message that is handled later.
    Producer = 4,
    /// The handling of a message.
    Consumer = 5,
}

impl SpanKind {
    /// The number of `opentelemetry.proto.trace.v1.Span.SpanKind`.
    pub const fn to_otlp(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_otlp(number: u8) -> Self {
        match number {
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Internal,
        }
    }

    /// The kind of that name, in any case: what the `otel.kind` field of a `tracing` span holds.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Internal,
            Self::Server,
            Self::Client,
            Self::Producer,
            Self::Consumer,
        ]
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }

    /// The kind in lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// How important a callsite is; the filter compares it with the level set for its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[expect(
    clippy::exhaustive_enums,
    reason = "tracing and log have the same five levels"
)]
#[repr(u8)]
pub enum Level {
    /// Something failed.
    Error = 1,
    /// Something looks wrong.
    Warn = 2,
    /// The normal course. The default.
    #[default]
    Info = 3,
    /// Of use while debugging.
    Debug = 4,
    /// Very detailed.
    Trace = 5,
}

/// The status of a span, as in OpenTelemetry's
/// [trace API § Set Status](https://opentelemetry.io/docs/specs/otel/trace/api/#set-status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[expect(clippy::exhaustive_enums, reason = "the specification closes the list")]
#[repr(u8)]
pub enum Status {
    /// Nobody said anything. The default.
    #[default]
    Unset = 0,
    /// The application declared success; later errors do not change it.
    Ok = 1,
    /// The work failed.
    Error = 2,
}

impl Status {
    /// The number of `opentelemetry.proto.trace.v1.Status.StatusCode`.
    pub const fn to_otlp(self) -> u8 {
        self as u8
    }

    pub(crate) const fn from_otlp(number: u8) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error,
            _ => Self::Unset,
        }
    }
}

/// How a span ended. Every span ends exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
#[repr(u8)]
pub enum Outcome {
    /// The work ran to its end.
    #[default]
    Completed = 0,
    /// The work ran to its end and the span has the status [`Error`](Status::Error).
    Error = 1,
    /// The future was dropped before it was ready, or the thread ended under an open guard.
    Cancelled = 2,
    /// The work unwound.
    Panicked = 3,
}

impl Outcome {
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Error,
            2 => Self::Cancelled,
            3 => Self::Panicked,
            _ => Self::Completed,
        }
    }

    /// The outcome in lower case: what the attribute `span.outcome` holds when it is not the normal course.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
            Self::Panicked => "panicked",
        }
    }
}
