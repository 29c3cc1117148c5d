//! A projection that has the attribute as well.

use async_trait::async_trait;
use throughline::projection;

use super::goal::write;
use super::*;

/// Updates by an annotated function.
struct Annotated;

#[projection(name = "summary", event = "Goal", attrs(goal.id = id))]
async fn update(id: &str, events: &[EventEnvelope<Goal>]) -> Result<(), String> {
    write().await;
    match events {
        [event] if event.sequence == 2 => Err("no room".to_owned()),
        _ => Ok(()),
    }
}

#[async_trait]
impl Query<Goal> for Annotated {
    async fn dispatch(&self, id: &str, events: &[EventEnvelope<Goal>]) {
        // The host takes no error, the span has it.
        update(id, events).await.ok();
    }
}

#[tokio::test]
async fn the_attribute_and_the_query_make_one_span() {
    let capture = Capture::start();
    let cqrs = in_memory(Projection::new("summary"), Annotated);
    let commands = async {
        for command in [Command::Set, Command::Rename] {
            let metadata = HashMap::new();
            let executed = cqrs.execute_with_metadata("g-1", command, metadata);
            executed.await.expect("accepted");
        }
    };
    capture.run(commands).await;
    insta::assert_snapshot!(tree(&capture), @r#"
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary Goal {projection.name="summary", projection.event.type="Goal", projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.stream.id="g-1", projection.sequence=1, goal.id="g-1"}
    │  → execute goal (another trace)
    └─ write
    execute goal {projection.stream.type="goal", projection.stream.id="g-1"}
    project summary Goal {projection.name="summary", projection.event.type="Goal", projection.lag=…, trace.relation="link", trace.relation.reason="event", projection.stream.id="g-1", projection.sequence=2, goal.id="g-1", error.type="alloc::string::String"} error: no room
    │  • exception {exception.type="alloc::string::String", exception.message="no room"}
    │  → execute goal (another trace)
    └─ write
    "#);
}
