//! Propagators: which formats are read and written, in what order, and what baggage may leave.

use std::borrow::Cow;
use std::fmt::Write;

use super::carrier::{Extract, Inject, Reading, Writing};
use super::{b3, datadog, jaeger, sentry, w3c, xray};
use crate::context::Context;
use crate::span_context::SpanContext;

/// A format of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// W3C `traceparent` and `tracestate`, level 2.
    TraceContext,
    /// W3C `baggage`.
    Baggage,
    /// B3, written as one header.
    B3,
    /// B3, written as several headers.
    B3Multi,
    /// `uber-trace-id`.
    Jaeger,
    /// `X-Amzn-Trace-Id`.
    XRay,
    /// `x-datadog-…`.
    Datadog,
    /// `sentry-trace`.
    Sentry,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 8] = [
        Self::TraceContext,
        Self::Baggage,
        Self::B3,
        Self::B3Multi,
        Self::Jaeger,
        Self::XRay,
        Self::Datadog,
        Self::Sentry,
    ];

    /// The name in `OTEL_PROPAGATORS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TraceContext => "tracecontext",
            Self::Baggage => "baggage",
            Self::B3 => "b3",
            Self::B3Multi => "b3multi",
            Self::Jaeger => "jaeger",
            Self::XRay => "xray",
            Self::Datadog => "datadog",
            Self::Sentry => "sentry",
        }
    }

    /// The headers that it writes, apart from those whose names it makes up.
    #[must_use]
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::TraceContext => &[w3c::TRACEPARENT, w3c::TRACESTATE],
            Self::Baggage => &[w3c::BAGGAGE],
            Self::B3 => &[b3::B3],
            Self::B3Multi => &[b3::TRACE_ID, b3::SPAN_ID, b3::SAMPLED, b3::FLAGS],
            Self::Jaeger => &[jaeger::UBER_TRACE_ID],
            Self::XRay => &[xray::X_AMZN_TRACE_ID],
            Self::Datadog => &[
                datadog::TRACE_ID,
                datadog::PARENT_ID,
                datadog::PRIORITY,
                datadog::ORIGIN,
                datadog::TAGS,
            ],
            Self::Sentry => &[sentry::SENTRY_TRACE],
        }
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.name().eq_ignore_ascii_case(name))
    }
}

/// Whether a caller's word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The caller belongs to the same system: its span becomes the parent, and its sampling decision counts.
    #[default]
    Trusted,
    /// Anybody may call: a trace is started here, sampled by our own rules, and linked to the caller's span. The
    /// caller's baggage is not taken over.
    Public,
}

/// What a request came with, as `span!(parent: …, links: …)` takes it.
///
/// ```
/// use throughline_core::propagate::{Propagator, Trust};
///
/// let headers = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")];
/// let incoming = Propagator::default().incoming(&headers[..], Trust::Public);
/// assert!(incoming.parent.is_none() && incoming.link.is_some());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// The parent of the span that handles the request. With none, as a parent is converted, it starts a trace.
    pub parent: Option<Context>,
    /// A span that it is to be linked to.
    pub link: Option<SpanContext>,
}

/// Reads and writes contexts in one or several formats.
///
/// Formats are read in order, and what a later one finds replaces what an earlier one found. All are written. A format
/// that finds nothing valid changes nothing, and no input makes one panic.
///
/// No baggage leaves until it is [allowed](Self::allow_baggage) to: it may be anything, and whoever is called may be
/// anybody.
///
/// ```
/// use std::collections::HashMap;
/// use throughline_core::propagate::{Format, Propagator};
///
/// let propagator = Propagator::new([Format::TraceContext, Format::B3]).allow_baggage(["tenant"]);
/// let headers = HashMap::from([("b3", "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1")]);
/// let context = propagator.extract(&headers);
///
/// let mut sent = HashMap::<String, String>::new();
/// propagator.inject(&context, &mut sent);
/// assert_eq!(sent["traceparent"], "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// assert_eq!(sent["b3"], headers["b3"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Propagator {
    formats: Cow<'static, [Format]>,
    egress: Egress,
}

/// What baggage may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Egress {
    Names(Vec<String>),
    Everything,
}

impl Egress {
    pub(super) fn allows(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|allowed| allowed == name),
            Self::Everything => true,
        }
    }
}

impl Propagator {
    pub(super) const DEFAULT: Self = Self {
        formats: Cow::Borrowed(&[Format::TraceContext, Format::Baggage]),
        egress: Egress::Names(Vec::new()),
    };

    /// A propagator of these formats, in this order.
    pub fn new(formats: impl IntoIterator<Item = Format>) -> Self {
        let mut each = Vec::new();
        for format in formats {
            if !each.contains(&format) {
                each.push(format);
            }
        }
        Self {
            formats: each.into(),
            egress: Egress::Names(Vec::new()),
        }
    }

    /// A propagator that reads and writes nothing.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            formats: Cow::Borrowed(&[]),
            egress: Egress::Names(Vec::new()),
        }
    }

    /// Reads the value of `OTEL_PROPAGATORS`: names with commas between them, or `none`.
    ///
    /// The other result is a warning to print, if the value is not entirely understood: what is, is used. An empty
    /// value means the default.
    ///
    /// ```
    /// use throughline_core::propagate::{Format, Propagator};
    ///
    /// let (propagator, warning) = Propagator::from_env_value("b3, ottrace");
    /// assert_eq!(propagator.formats(), [Format::B3]);
    /// assert_eq!(
    ///     warning.as_deref(),
    ///     Some("OTEL_PROPAGATORS=\"b3, ottrace\": `ottrace` is not a propagator; using `b3`"),
    /// );
    /// ```
    #[must_use]
    pub fn from_env_value(value: &str) -> (Self, Option<String>) {
        let (mut formats, mut unknown, mut none) = (Vec::new(), Vec::new(), false);
        for name in value.split(',').map(str::trim) {
            match Format::of(name) {
                Some(format) => formats.push(format),
                None if name.eq_ignore_ascii_case("none") => none = true,
                None if name.is_empty() => {}
                None => unknown.push(name),
            }
        }
        let propagator = match (formats.is_empty(), none) {
            (true, true) => Self::none(),
            (true, false) => Self::default(),
            (false, _) => Self::new(formats),
        };
        let mut problem = String::new();
        for name in unknown {
            let comma = if problem.is_empty() { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(
                problem,
                "{comma}`{}` is not a propagator",
                name.escape_debug()
            );
        }
        if problem.is_empty() && none && !propagator.formats.is_empty() {
            problem.push_str("`none` stands beside others");
        }
        let warning = (!problem.is_empty()).then(|| {
            let used: Vec<_> = propagator
                .formats
                .iter()
                .map(|format| format.name())
                .collect();
            let used = if used.is_empty() {
                "none".to_owned()
            } else {
                used.join(",")
            };
            format!("OTEL_PROPAGATORS={value:?}: {problem}; using `{used}`")
        });
        (propagator, warning)
    }

    /// Lets these names of baggage leave, beside those that may already.
    #[must_use]
    pub fn allow_baggage<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        if let Egress::Names(allowed) = &mut self.egress {
            allowed.extend(names.into_iter().map(Into::into));
        }
        self
    }

    /// Lets all baggage leave: for calls that stay inside one system.
    #[must_use]
    pub fn allow_all_baggage(mut self) -> Self {
        self.egress = Egress::Everything;
        self
    }

    /// The formats, in order.
    #[must_use]
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// The headers that it writes, apart from those whose names it makes up.
    pub fn fields(&self) -> impl Iterator<Item = &'static str> {
        self.formats
            .iter()
            .flat_map(|format| format.fields().iter().copied())
    }

    /// The context that the carrier has; an [empty one](Context::default) if it has none.
    pub fn extract(&self, carrier: &(impl Extract + ?Sized)) -> Context {
        self.extract_onto(Context::default(), carrier)
    }

    /// The given context with what the carrier has. What cannot be read leaves it as it is.
    pub fn extract_onto(&self, context: Context, carrier: &(impl Extract + ?Sized)) -> Context {
        let carrier: &dyn Extract = &Reading(carrier);
        self.formats
            .iter()
            .fold(context, |context, format| match format {
                Format::TraceContext => w3c::extract(context, carrier),
                Format::Baggage => w3c::extract_baggage(context, carrier),
                Format::B3 | Format::B3Multi => b3::extract(context, carrier),
                Format::Jaeger => jaeger::extract(context, carrier),
                Format::XRay => xray::extract(context, carrier),
                Format::Datadog => datadog::extract(context, carrier),
                Format::Sentry => sentry::extract(context, carrier),
            })
    }

    /// What a request came with, as the span that handles it needs it.
    pub fn incoming(&self, carrier: &(impl Extract + ?Sized), trust: Trust) -> Incoming {
        let context = self.extract(carrier);
        match trust {
            Trust::Trusted => Incoming {
                parent: (context != Context::default()).then_some(context),
                link: None,
            },
            Trust::Public => Incoming {
                parent: None,
                link: Some(context.span_context()).filter(SpanContext::is_valid),
            },
        }
    }

    /// Writes the context to the carrier.
    pub fn inject(&self, context: &Context, carrier: &mut (impl Inject + ?Sized)) {
        let carrier: &mut dyn Inject = &mut Writing(carrier);
        for format in &*self.formats {
            match format {
                Format::TraceContext => w3c::inject(context, carrier),
                Format::Baggage => w3c::inject_baggage(context, &self.egress, carrier),
                Format::B3 => b3::inject_single(context, carrier),
                Format::B3Multi => b3::inject_multi(context, carrier),
                Format::Jaeger => jaeger::inject(context, &self.egress, carrier),
                Format::XRay => xray::inject(context, carrier),
                Format::Datadog => datadog::inject(context, carrier),
                Format::Sentry => sentry::inject(context, carrier),
            }
        }
    }
}

impl Default for Propagator {
    /// `tracecontext,baggage`, the default of OpenTelemetry.
    fn default() -> Self {
        Self::DEFAULT
    }
}
