//! How far the partitions reach that a consumer reads, as its brokers told last.
//!
//! Owns these numbers and nothing of what follows from them. They come with librdkafka's statistics, on the thread that
//! polls, and are read where a record is handled, which waits for nobody.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rdkafka::Statistics;

/// The high watermarks of partitions: the offset of the record that will be written next.
///
/// librdkafka tells them with its statistics, which are off as long as `statistics.interval.ms` is zero. With the context
/// [`RebalanceEvents`](crate::RebalanceEvents) that is all there is to set. A context of your own keeps one and
/// [updates](Self::update) it; the consumer's [`Observer`](crate::Observer) gets a clone.
///
/// ```
/// use rdkafka::Statistics;
/// use rdkafka::client::ClientContext;
/// use rdkafka::consumer::ConsumerContext;
/// use throughline_rdkafka::{Observer, Watermarks};
///
/// #[derive(Default)]
/// struct Mine(Watermarks);
///
/// impl ClientContext for Mine {
///     fn stats(&self, statistics: Statistics) {
///         self.0.update(&statistics);
///     }
/// }
///
/// impl ConsumerContext for Mine {}
///
/// let mine = Mine::default();
/// let observer = Observer::new().watermarks(mine.0.clone());
/// assert_eq!(mine.0.high("orders", 0), None, "nobody told yet");
/// ```
#[derive(Clone, Default)]
pub struct Watermarks {
    topics: Arc<RwLock<HashMap<String, HashMap<i32, i64>>>>,
}

impl Watermarks {
    /// Takes what the statistics of a consumer say. What they do not know stays as it was.
    pub fn update(&self, statistics: &Statistics) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        for (name, topic) in &statistics.topics {
            let told = topic.partitions.iter();
            // What is not known yet is below zero, and so is the partition that stands for none.
            let told = told.filter(|(partition, told)| **partition >= 0 && told.hi_offset >= 0);
            for (partition, told) in told {
                let known = topics.entry(name.clone()).or_default();
                known.insert(*partition, told.hi_offset);
            }
        }
    }

    /// The offset that the next record of the partition will have, as far as it was told.
    #[must_use]
    pub fn high(&self, topic: &str, partition: i32) -> Option<i64> {
        // Whoever updates holds it for a moment; then it is not known.
        let topics = self.topics.try_read().ok()?;
        topics.get(topic)?.get(&partition).copied()
    }

    /// How many records were behind that one when the brokers told last.
    pub(crate) fn behind(&self, topic: &str, partition: i32, offset: i64) -> Option<u64> {
        let next = self.high(topic, partition)?;
        Some(u64::try_from(next - 1 - offset).unwrap_or_default())
    }
}

impl fmt::Debug for Watermarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("Watermarks").field(&*topics).finish()
    }
}
