//! A variant of the service in a process of its own, and the conversation with it.
//!
//! It says where it listens, and answers each line of its standard input with what it has spent when all its spans have
//! been flushed. It ends with its input.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use serde::{Deserialize, Serialize};
use throughline_benches::{Companion, Exported, Target, export, process_cpu, say};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::service::Shop;
use crate::{Result, native, through_tracing, untraced};

/// How the service is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Variant {
    Untraced,
    UntracedAgain,
    UntracedMiddleware,
    Throughline,
    ThroughlineTracing,
    TracingOpentelemetry,
}

impl Variant {
    pub(crate) const ALL: [Self; 6] = [
        Self::Untraced,
        Self::UntracedAgain,
        Self::UntracedMiddleware,
        Self::Throughline,
        Self::ThroughlineTracing,
        Self::TracingOpentelemetry,
    ];

    /// What exports its spans, and its routes.
    fn parts(self) -> (Option<Exported>, fn(Shop) -> Router) {
        match self {
            Self::Untraced | Self::UntracedAgain => (None, untraced::routes),
            Self::UntracedMiddleware => (None, untraced::routes_with_middleware),
            Self::Throughline => (Some(Exported::Throughline), native::routes),
            Self::ThroughlineTracing => (
                Some(Exported::ThroughlineTracing),
                through_tracing::routes_of_throughline,
            ),
            Self::TracingOpentelemetry => (
                Some(Exported::TracingOpentelemetry),
                through_tracing::routes_of_opentelemetry,
            ),
        }
    }

    pub(crate) fn is_traced(self) -> bool {
        self.parts().0.is_some()
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Untraced => "untraced",
            Self::UntracedAgain => "untraced-again",
            Self::UntracedMiddleware => "untraced-middleware",
            Self::Throughline => "throughline",
            Self::ThroughlineTracing => "throughline-tracing",
            Self::TracingOpentelemetry => "tracing-opentelemetry",
        })
    }
}

/// What such a process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    variant: Variant,
    target: Target,
}

/// What it answers: all since its start.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) cpu_ns: u64,
    /// Spans that its requests began.
    pub(crate) spans: u64,
}

/// The process, to those who measure it.
pub(crate) struct Server {
    process: Companion,
    pub(crate) variant: Variant,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits until it listens.
    pub(crate) fn start(variant: Variant, target: Target) -> Result<Self> {
        let task = serde_json::to_string(&Task { variant, target })?;
        let (process, address) = Companion::start(&[SERVE, &task])?;
        Ok(Self {
            process,
            variant,
            address,
        })
    }

    /// Waits until its spans have been exported, and says what it has spent.
    pub(crate) fn flush(&mut self) -> io::Result<Spent> {
        self.process.ask("flush")
    }
}

/// Is the process.
pub(crate) fn run(task: Task) -> Result<()> {
    let (library, routes) = task.variant.parts();
    let flush = library.map(|library| export(library, &task.target));
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let shop = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        say(&listener.local_addr()?)?;
        let shop = Shop::open();
        tokio::spawn(axum::serve(listener, routes(shop.clone())).into_future());
        io::Result::Ok(shop)
    })?;
    for line in io::stdin().lines() {
        line?;
        if let Some(flush) = &flush {
            flush();
        }
        say(&Spent {
            cpu_ns: process_cpu(),
            spans: shop.spans(),
        })?;
    }
    Ok(())
}

/// First argument of the process, before its task.
pub(crate) const SERVE: &str = "serve";
