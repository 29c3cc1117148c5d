//! Replay with cqrs-es: events from a repository in memory through a query that keeps views in memory.
//!
//! Both are as cheap as they can be, so that what the instrumentation adds is as large a part as it can be.

use std::collections::HashMap;
use std::future::{Future, ready};
use std::sync::{Arc, Mutex, PoisonError};

use cqrs_es::event_sink::EventSink;
use cqrs_es::persist::{
    GenericQuery, PersistedEventRepository, PersistenceError, QueryReplay, ReplayStream,
    SerializedEvent, SerializedSnapshot, ViewContext, ViewRepository,
};
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, Query, View};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use throughline::FutureExt;
use throughline::cqrs_es::{Projection, STORED_AT, TracedQuery, TracedReplay};
use tokio::runtime::{Builder, Runtime};

use crate::measure::{Beside, Cpu, Recording, Result, Row, medians};

pub(crate) fn measure() -> Result<Row> {
    let runtime = Builder::new_current_thread().build()?;
    let [off, on] = Recording::off_and_on();
    let [untraced_ns, unsampled_ns, traced_ns, both_ns] = medians(
        ROUNDS,
        [
            &mut || bare(&runtime),
            &mut || traced(&runtime, &off, |query| query),
            &mut || traced(&runtime, &on, |query| query),
            &mut || {
                let projection = || Projection::new("goal_summary");
                traced(&runtime, &on, |query| TracedQuery::new(projection(), query))
            },
        ],
    )?;
    Ok(Row {
        host: "cqrs-es-replay",
        untraced_ns,
        unsampled_ns,
        traced_ns,
        measure: "CPU of the thread",
        beside: vec![Beside {
            what: "the query traced, too",
            untraced_ns,
            ns: both_ns,
        }],
    })
}

fn bare(runtime: &Runtime) -> Result<f64> {
    let views = Arc::new(Views::default());
    let replay = QueryReplay::new(Events, Summaries::new(Arc::clone(&views)));
    let cpu = Cpu::start();
    runtime.block_on(replay.replay_all())?;
    let nanos = cpu.nanos();
    views.check()?;
    Ok(nanos / EVENTS as f64)
}

fn traced<Q: Query<Goal>>(
    runtime: &Runtime,
    recording: &Recording,
    wrap: impl FnOnce(Summaries) -> Q,
) -> Result<f64> {
    let views = Arc::new(Views::default());
    let query = wrap(Summaries::new(Arc::clone(&views)));
    let replay = TracedReplay::<_, _, Goal>::new(Projection::new("goal_summary"), Events, query);
    let context = recording.context();
    let cpu = Cpu::start();
    runtime.block_on(replay.replay_all().with_context(context))?;
    let nanos = cpu.nanos();
    recording.empty()?;
    views.check()?;
    Ok(nanos / EVENTS as f64)
}

/// What the host's traits return.
type Stored<T> = std::result::Result<T, PersistenceError>;

type Summaries = GenericQuery<Views, Summary, Goal>;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Goal;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Event {
    Added { title: String, target: u32 },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        "GoalAdded".to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

impl Aggregate for Goal {
    const TYPE: &'static str = "goal";
    type Command = ();
    type Event = Event;
    type Error = std::io::Error;
    type Services = ();

    async fn handle(
        &mut self,
        (): (),
        (): &(),
        _: &EventSink<Self>,
    ) -> std::result::Result<(), Self::Error> {
        Ok(())
    }

    fn apply(&mut self, _: Event) {}
}

/// What is known of a goal.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Summary {
    events: usize,
    target: u64,
}

impl View<Goal> for Summary {
    fn update(&mut self, event: &EventEnvelope<Goal>) {
        let Event::Added { target, .. } = &event.payload;
        self.events += 1;
        self.target += u64::from(*target);
    }
}

/// Views in memory.
#[derive(Default)]
struct Views(Mutex<HashMap<String, Summary>>);

impl Views {
    fn find(&self, id: &str) -> Option<Summary> {
        let views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        views.get(id).cloned()
    }

    /// An error if the replay did not bring every event.
    fn check(&self) -> Result<()> {
        let views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match views.values().map(|view| view.events).sum() {
            EVENTS => Ok(()),
            other => Err(format!("{other} events were replayed").into()),
        }
    }
}

impl ViewRepository<Summary, Goal> for Views {
    async fn load(&self, id: &str) -> Stored<Option<Summary>> {
        Ok(self.find(id))
    }

    async fn load_with_context(&self, id: &str) -> Stored<Option<(Summary, ViewContext)>> {
        let version = |view: &Summary| i64::try_from(view.events).unwrap_or(i64::MAX);
        Ok(self.find(id).map(|view| {
            (
                view.clone(),
                ViewContext::new(id.to_owned(), version(&view)),
            )
        }))
    }

    fn update_view(
        &self,
        view: Summary,
        context: ViewContext,
    ) -> impl Future<Output = Stored<()>> + Send {
        let mut views = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        views.insert(context.view_instance_id, view);
        ready(Ok(()))
    }
}

/// A store of events that are made as they are read: all are the same but for the goal and the number.
struct Events;

impl Events {
    fn stream() -> ReplayStream {
        let (mut feed, stream) = ReplayStream::new(CHANNEL);
        let payload = json!({"Added": {"title": "read more books", "target": 12}});
        let metadata = json!({
            "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            STORED_AT: "1700000000000000000",
        });
        tokio::spawn(async move {
            for number in 0..EVENTS {
                let event = SerializedEvent {
                    aggregate_id: format!("goal-{}", number % GOALS),
                    sequence: number / GOALS + 1,
                    aggregate_type: Goal::TYPE.to_owned(),
                    event_type: "GoalAdded".to_owned(),
                    event_version: "1.0".to_owned(),
                    payload: payload.clone(),
                    metadata: metadata.clone(),
                };
                if feed.push(Ok(event)).await.is_err() {
                    return;
                }
            }
        });
        stream
    }
}

impl PersistedEventRepository for Events {
    async fn get_events<A: Aggregate>(&self, _: &str) -> Stored<Vec<SerializedEvent>> {
        Ok(Vec::new())
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        _: &str,
        _: usize,
    ) -> Stored<Vec<SerializedEvent>> {
        Ok(Vec::new())
    }

    async fn get_snapshot<A: Aggregate>(&self, _: &str) -> Stored<Option<SerializedSnapshot>> {
        Ok(None)
    }

    async fn persist<A: Aggregate>(
        &self,
        _: &[SerializedEvent],
        _: Option<(String, Value, usize)>,
    ) -> Stored<()> {
        Ok(())
    }

    async fn stream_events<A: Aggregate>(&self, _: &str) -> Stored<ReplayStream> {
        Ok(Self::stream())
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Stored<ReplayStream> {
        Ok(Self::stream())
    }
}

const ROUNDS: usize = 51;
/// Ten pages of a replay.
const EVENTS: usize = 10_000;
const GOALS: usize = 100;
/// Events that are read ahead: the default of `postgres-es`.
const CHANNEL: usize = 200;
