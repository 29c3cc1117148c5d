//! What is compared: the axes of the comparison and one point on them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One cell of the comparison: a library recording one shape of spans under one set of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) path: PathName,
    pub(crate) shape: Shape,
    pub(crate) attributes: usize,
    pub(crate) threads: usize,
    pub(crate) sampling: Sampling,
    pub(crate) pace: Pace,
    pub(crate) transport: Transport,
    pub(crate) fault: Fault,
}

/// Where it lies on each axis.
impl fmt::Display for Scenario {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} attributes, {} threads, {}, {}, {}, {}: {}",
            self.shape,
            self.attributes,
            self.threads,
            self.sampling,
            self.pace,
            self.transport,
            self.fault,
            self.path
        )
    }
}

/// An axis whose points have names.
pub(crate) trait Axis: Copy + PartialEq + Sized + 'static {
    const ALL: &'static [Self];
    fn name(self) -> &'static str;
}

macro_rules! axis {
    ($(#[$doc:meta])* $axis:ident { $($(#[$point_doc:meta])* $point:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum $axis {
            $($(#[$point_doc])* #[serde(rename = $name)] $point,)*
        }

        impl Axis for $axis {
            const ALL: &'static [Self] = &[$(Self::$point,)*];

            fn name(self) -> &'static str {
                match self { $(Self::$point => $name,)* }
            }
        }

        impl fmt::Display for $axis {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(self.name())
            }
        }
    };
}

axis! {
    /// The library, and the way into it.
    PathName {
        Throughline = "throughline",
        ThroughlineTracing = "throughline-tracing",
        ThroughlineBridged = "throughline-bridged",
        TracingOpentelemetry = "tracing-opentelemetry",
        Opentelemetry = "opentelemetry",
        Fastrace = "fastrace",
        Emit = "emit",
        Floor = "floor",
    }
}

axis! {
    /// How the spans of one trace relate.
    Shape {
        /// One root with nine children.
        Wide = "wide",
        /// Fifty spans, each the only child of the one before.
        Deep = "deep",
        /// One root with nine concurrent children, each an instrumented future polled four times.
        Async = "async",
    }
}

axis! {
    /// Whether the spans are wanted.
    Sampling {
        /// Every span is recorded and exported.
        Sampled = "sampled",
        /// The head sampler says no at the root of every trace.
        Unsampled = "unsampled",
        /// A level or callsite filter is off, or whatever the library has that comes next to it.
        Disabled = "disabled",
    }
}

axis! {
    /// How fast the spans come.
    Pace {
        /// Bursts with pauses, so that no queue overflows.
        Paced = "paced",
        /// As fast as the recording threads can, for a fixed number of spans.
        Saturation = "saturation",
    }
}

axis! {
    /// How the spans get to the receiver.
    Transport {
        /// OTLP over HTTP, protobuf.
        Http = "http",
        /// The same, compressed.
        Gzip = "http-gzip",
        /// OTLP over gRPC.
        Grpc = "grpc",
    }
}

axis! {
    /// What is wrong with the receiver. All but the first are for HTTP.
    Fault {
        Healthy = "healthy",
        /// Nobody listens.
        Absent = "absent",
        /// It accepts requests and never answers.
        BlackHole = "black-hole",
        /// It answers one request a second.
        Slow = "slow",
        /// It answers each request with this status.
        Unavailable = "503",
    }
}

/// The numbers of attributes that the paths are written for.
pub(crate) const ATTRIBUTES: [usize; 3] = [0, 3, 10];
/// The numbers of recording threads that are compared.
pub(crate) const THREADS: [usize; 2] = [1, 2];
