//! The buffers one thread writes to: one lane for each recorder it ever recorded into, the latest first.

use std::sync::Arc;

use throughline_ring::Writer;

use crate::recorder::RecorderState;

pub(crate) struct Lane {
    pub(crate) recorder: Arc<RecorderState>,
    pub(crate) writer: Writer,
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
    lanes.insert(0, Lane { recorder, writer });
    Some(())
}
