//! The buffers one thread writes to: one lane for each recorder it ever recorded into, the latest first.
//! A lane has a buffer for spans, and one for measurements once there are some.

use std::sync::Arc;

use throughline_ring::Writer;

use crate::measure::Tail;
use crate::origin::Origin;
use crate::record::Header;
use crate::recorder::{MEASUREMENTS_DROPPED, RecorderState};

pub(crate) struct Lane {
    pub(crate) recorder: Arc<RecorderState>,
    pub(crate) writer: Writer,
    /// Made with the first measurement.
    measurements: Option<Writer>,
}

impl Lane {
    /// Counts a span that started and whose parent does not run here.
    #[inline(always)]
    pub(crate) fn count_origin(&self, origin: Origin, sampled: bool) {
        self.writer.tally(origin.counter(sampled), 1);
    }

    /// Adds a measurement; one that finds no room is counted.
    pub(crate) fn measure(&mut self, header: &Header, tail: Tail, error_type: &str) {
        let recorder = &self.recorder;
        let measurements = self
            .measurements
            .get_or_insert_with(|| recorder.measurements.writer());
        if measurements
            .push(tail.encode(header), error_type.as_bytes())
            .is_err()
        {
            self.writer.tally(MEASUREMENTS_DROPPED, 1);
        }
    }
}

/// The lane of that recorder, which is the first one as a rule.
#[inline(always)]
pub(crate) fn find_lane(lanes: &mut Vec<Lane>, number: u32) -> Option<&mut Lane> {
    if lanes
        .first()
        .is_none_or(|lane| lane.recorder.number != number)
    {
        bring_lane_forward(lanes, number)?;
    }
    lanes.first_mut()
}

/// Puts the lane of that recorder first, making it if there is none yet.
#[cold]
fn bring_lane_forward(lanes: &mut Vec<Lane>, number: u32) -> Option<()> {
    if number == 0 {
        return None;
    }
    if let Some(at) = lanes.iter().position(|lane| lane.recorder.number == number) {
        lanes.swap(0, at);
        return Some(());
    }
    let recorder = RecorderState::find(number)?;
    lanes.retain(|lane| !lane.recorder.is_closed());
    let writer = recorder.hub.writer();
    lanes.insert(
        0,
        Lane {
            recorder,
            writer,
            measurements: None,
        },
    );
    Some(())
}
