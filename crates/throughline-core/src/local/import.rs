//! Recording a span that ended elsewhere as one that started and ended here.

use super::{Local, end, find_lane, new_live_span, outside, with};
use crate::clock;
use crate::context::Context;
use crate::import::FinishedSpan;
use crate::kind::Outcome;
use crate::live::LiveSpan;
use crate::origin::Origin;
use crate::recorder;

/// Records a span that ended elsewhere; `false` if nothing records it.
pub(crate) fn import(span: &FinishedSpan, number: u32, fill: impl FnOnce(&mut LiveSpan)) -> bool {
    let taken = with(|local| local.take_in(span, number))
        .unwrap_or_else(|| outside(|local| local.take_in(span, number)));
    let Some(mut live) = taken else {
        return false;
    };
    fill(&mut live);
    live.finish(Outcome::Completed);
    let end_at = live.ended_at();
    end(live, end_at);
    true
}

impl Local {
    /// Makes a span of one that ended elsewhere.
    fn take_in(&mut self, span: &FinishedSpan, number: u32) -> Option<Box<LiveSpan>> {
        if self.suppressed > 0 {
            return None;
        }
        let lane = find_lane(&mut self.lanes, number)?;
        lane.writer.tally(recorder::STARTED, 1);
        if let Some(origin) = Origin::of_child(span.parent) {
            lane.count_origin(origin, true);
        }
        let mut live = self.pool.pop().unwrap_or_else(new_live_span);
        live.set_context(Context::new(span.context, number), true);
        live.settle_unsampled(0);
        let generation = throughline_ring::fork_generation();
        let config = &lane.recorder.config;
        live.begin(span.callsite, span.parent, config, generation, clock::now());
        live.start_at(span.start_unix_nanos);
        live.end_at(span.end_unix_nanos);
        Some(live)
    }
}
