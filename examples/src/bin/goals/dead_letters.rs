//! What becomes of dead letters: somebody is told.

use rdkafka::error::KafkaResult;
use rdkafka::message::{Message, OwnedMessage};
use throughline::channel::Redelivery;
use throughline::consumer;

use crate::kafka::Inbox;

/// Reads dead letters until their topic ends; returns how many there were.
pub(crate) async fn read(mut inbox: Inbox) -> KafkaResult<u64> {
    let mut letters = 0;
    loop {
        let batch = inbox.batch(1).await?;
        let Some(letter) = batch.first() else {
            return Ok(letters);
        };
        // It comes late, so that it has a trace of its own, linked to the send: the first one is over.
        let late = inbox.observer().record(letter);
        let late = late.redelivered(Redelivery::DeadLetter);
        late.process(async {
            tell(letter).await;
            inbox.commit()
        })
        .await?;
        letters += 1;
    }
}

#[consumer(system = "kafka", destination = "goals.dead")]
async fn tell(letter: &OwnedMessage) {
    let stream = String::from_utf8_lossy(letter.key().unwrap_or_default());
    tracing::warn!(logged_by = "tell", %stream, "a dead letter");
}
