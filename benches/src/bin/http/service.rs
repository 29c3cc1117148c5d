//! What a request is and does, in the pieces that the variants make spans of.
//!
//! Knows of no spans; it counts them, so that what the receiver misses is known. A piece counts itself when it begins,
//! for a client that goes away leaves requests half done.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// The body of a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Order {
    pub(crate) customer: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    product: String,
    quantity: u32,
}

/// The body of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    total: u64,
    reserved: u64,
    customer: String,
}

/// What all requests share.
#[derive(Clone)]
pub(crate) struct Shop(Arc<Shared>);

struct Shared {
    prices: HashMap<&'static str, u64>,
    store: mpsc::Sender<Reservation>,
    spans: AtomicU64,
}

/// What the task of the store is asked.
struct Reservation {
    pieces: u64,
    reply: oneshot::Sender<u64>,
}

impl Shop {
    /// Opens it, with the task of its store, on the current runtime.
    pub(crate) fn open() -> Self {
        let (store, reservations) = mpsc::channel(WAITING);
        tokio::spawn(keep_store(reservations));
        Self(Arc::new(Shared {
            prices: PRICES.into(),
            store,
            spans: AtomicU64::new(0),
        }))
    }

    /// Spans that requests began.
    pub(crate) fn spans(&self) -> u64 {
        self.0.spans.load(Ordering::Relaxed)
    }

    /// Counts one of them.
    pub(crate) fn begin(&self) {
        self.0.spans.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn validate(&self, order: &Order) -> Result<(), Refusal> {
        self.begin();
        let empty = |line: &Line| line.quantity == 0;
        if order.lines.is_empty() || order.lines.iter().any(empty) {
            return Err(Refusal::Nothing);
        }
        Ok(())
    }

    pub(crate) fn price(&self, order: &Order) -> Result<u64, Refusal> {
        self.begin();
        let price = |line: &Line| {
            let each = self.0.prices.get(line.product.as_str());
            each.map(|each| each * u64::from(line.quantity))
        };
        let total: Option<u64> = order.lines.iter().map(price).sum();
        total.ok_or(Refusal::Unknown)
    }

    /// Asks the store, which is a task, and waits for its answer: how much it has reserved.
    pub(crate) async fn reserve(&self, order: &Order) -> Result<u64, Refusal> {
        self.begin();
        let (reply, reserved) = oneshot::channel();
        let pieces = order.lines.iter().map(|line| u64::from(line.quantity));
        let reservation = Reservation {
            pieces: pieces.sum(),
            reply,
        };
        let sent = self.0.store.send(reservation).await;
        sent.map_err(|_| Refusal::Closed)?;
        reserved.await.map_err(|_| Refusal::Closed)
    }

    /// Writes the receipt, and lets other requests run before.
    pub(crate) async fn confirm(&self, order: Order, total: u64, reserved: u64) -> Receipt {
        self.begin();
        tokio::task::yield_now().await;
        Receipt {
            total,
            reserved,
            customer: order.customer,
        }
    }
}

async fn keep_store(mut reservations: mpsc::Receiver<Reservation>) {
    while let Some(Reservation { pieces, reply }) = reservations.recv().await {
        // A request whose client has gone wants no answer.
        let _ = reply.send(pieces);
    }
}

/// Why an order is not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    Nothing,
    Unknown,
    Closed,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Nothing => "the order has an empty line, or none",
            Self::Unknown => "no such product",
            Self::Closed => "the store is closed",
        })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Nothing | Self::Unknown => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Closed => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, self.to_string()).into_response()
    }
}

/// Spans of a request that is answered.
pub(crate) const SPANS: u64 = 6;
/// Their attributes whose names begin with `order.`.
pub(crate) const ATTRIBUTES: u64 = 4;
pub(crate) const ROUTE: &str = "/orders";

/// Reservations that wait for the store: more than there are connections.
const WAITING: usize = 256;
const PRICES: [(&str, u64); 6] = [
    ("bread", 340),
    ("cheese", 1_290),
    ("coffee", 890),
    ("milk", 129),
    ("salt", 79),
    ("tea", 450),
];
