//! All parts of the service: in which order they start, and in which they stop.
//!
//! Each part stops when those that it takes from have stopped, and everything they left behind is done. So nothing is
//! lost at the end, and no span is left open.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use throughline::cqrs_es::TracedQuery;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::actor::GoalBookHandle;
use crate::cli::Options;
use crate::drive::{self, Sent};
use crate::feed::Feed;
use crate::kafka::{DEAD, GOALS, Kafka};
use crate::notifier::Notifier;
use crate::store::{Database, Events};
use crate::summary::Summary;
use crate::{Failure, dead_letters, service};

/// What happened, as far as the service itself knows.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) sent: Vec<Sent>,
    /// How long the requests took together.
    pub(crate) took: Duration,
    /// Events that were passed over: by the summary, and by the feed.
    pub(crate) skipped: [u64; 2],
    pub(crate) batches: u64,
    pub(crate) dead_letters: u64,
    /// Whether the replay led to the same summary.
    pub(crate) replay_agrees: bool,
}

/// Runs the service for as long as it is needed; when this returns, all its work is done.
#[expect(
    clippy::print_stdout,
    reason = "who starts the service wants to know where it is"
)]
pub(crate) async fn run(options: &Options) -> Result<Ran, Failure> {
    let kafka = Kafka::start().await?;
    let database = Database::open()?;

    let (dead_letters_end, end) = oneshot::channel();
    let dead_letters = tokio::spawn(dead_letters::read(kafka.inbox(DEAD, end)?));
    let (feed_end, end) = oneshot::channel();
    let notifier = Notifier::new(kafka.inbox(GOALS, end)?, kafka.config().create()?);
    let notifier = tokio::spawn(notifier.run(dead_letters_end));
    let (events, appended) = Events::new(database.clone());
    let feed = Feed::new(database.clone(), kafka.config().create()?);
    let feed = tokio::spawn(feed.run(appended, feed_end));
    let summary = Summary::default();
    let projected = Arc::new(Summary::projection());
    let query = TracedQuery::new(Arc::clone(&projected), summary.clone());
    let (book, actor) = GoalBookHandle::start(events, query);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, "listening");
    let (stop, stopped) = oneshot::channel::<()>();
    let http = axum::serve(listener, service::routes(book))
        .with_graceful_shutdown(async {
            // Nothing is ever sent: the sender is dropped.
            let _ = stopped.await;
        })
        .into_future();
    let http = tokio::spawn(http);
    // From here on ctrl-c stops the service rather than the process, also while the load runs.
    let interrupted = options.serve.then(|| tokio::spawn(tokio::signal::ctrl_c()));
    if options.serve {
        println!("serving http://{address}/goals until ctrl-c");
    }

    let started = Instant::now();
    let sent = drive::drive(address, options.requests).await?;
    let took = started.elapsed();
    if let Some(interrupted) = interrupted {
        interrupted.await??;
    }

    drop(stop);
    http.await??;
    actor.await?;
    let passed_over = feed.await??;
    let batches = notifier.await??;
    let dead_letters = dead_letters.await??;
    let rebuilt = Summary::replay(Events::new(database).0).await?;
    tracing::info!("stopped");
    Ok(Ran {
        sent,
        took,
        skipped: [projected.skipped(), passed_over],
        batches,
        dead_letters,
        replay_agrees: rebuilt.totals() == summary.totals(),
    })
}
