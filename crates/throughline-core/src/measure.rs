//! Measurements: what metrics need to know of a handled message, whether its trace is sampled or not.
//!
//! Owns whether anybody measures, and the form in which a measurement crosses to whoever drains it, which is that of a
//! record's header. The thread that handled the message writes one entry into its buffer; to count and to add up is for
//! the other side. While nobody measures, that is all there is to know, and it costs one relaxed load.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::callsite::{self, Callsite};
use crate::clock::{self, Ticks};
use crate::handler::Told;
use crate::id::TraceFlags;
use crate::kind::{Outcome, Status};
use crate::labels::Labels;
use crate::record::Header;
use crate::recorder::{Recorder, RecorderState};
use crate::span_context::SpanContext;

/// Takes the measurements of one recorder, from [`Recorder::measure`]. Dropped, it turns measuring off.
///
/// Where a recorder has several, each measurement goes to one of them.
///
/// ```
/// use throughline_core::{Recorder, RecorderConfig};
///
/// let recorder = Recorder::start(RecorderConfig::default());
/// let measurements = recorder.measure();
/// let mut handled = 0;
/// measurements.drain(|measurement| {
///     println!("{} took {:?}", measurement.callsite().name(), measurement.took());
///     handled += 1;
/// });
/// assert_eq!(handled, 0);
/// ```
#[must_use = "measuring is turned off when this is dropped"]
pub struct Measurements {
    recorder: Arc<RecorderState>,
}

impl Measurements {
    pub(crate) fn of(recorder: &Arc<RecorderState>) -> Self {
        // Relaxed, here and below: a message whose handling begins meanwhile is measured or not.
        recorder.measuring.fetch_add(1, Ordering::Relaxed);
        MEASURING.fetch_add(1, Ordering::Relaxed);
        Self {
            recorder: Arc::clone(recorder),
        }
    }

    /// Offers every measurement that was made before the call, thread by thread, in order within a thread. Returns how
    /// many there were.
    ///
    /// Calls from several threads take turns; a call from inside `consume` finds nothing.
    pub fn drain(&self, mut consume: impl FnMut(&Measurement<'_>)) -> u64 {
        let mut callsites = Vec::new();
        let drained = self.recorder.measurements.drain(|bytes| {
            if let Some(measurement) = Measurement::read(bytes, &mut callsites) {
                consume(&measurement);
            }
            std::ops::ControlFlow::Continue(())
        });
        drained.records as u64
    }

    /// Sets what wakes the consumer when there is much to do while it [sleeps](Self::sleep).
    pub fn set_waker(&self, waker: impl Fn() + Send + Sync + 'static) {
        self.recorder.measurements.set_waker(Box::new(waker));
    }

    /// Says that the consumer is about to sleep, so that the waker is called once when there is much to do: a sixteenth of
    /// [`measurement_bytes`](crate::RecorderConfig::measurement_bytes) was taken since it drained. Returns `false` if there
    /// is much to do already: the consumer drains again instead.
    #[must_use]
    pub fn sleep(&self) -> bool {
        let much = self.recorder.config.measurement_bytes / 16;
        self.recorder.measurements.sleep(much)
    }
}

impl Drop for Measurements {
    fn drop(&mut self) {
        self.recorder.measuring.fetch_sub(1, Ordering::Relaxed);
        MEASURING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Measurements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurements")
            .field("recorder", &self.recorder.number)
            .finish_non_exhaustive()
    }
}

impl Recorder {
    /// Turns measuring on: the handling of a message gives one measurement, be its trace sampled or not.
    ///
    /// A handler whose trace is not sampled tells what it returned or was noticed to fail with; a status that the program
    /// sets by hand is known of sampled ones only.
    pub fn measure(&self) -> Measurements {
        Measurements::of(self.state())
    }
}

/// Whether any recorder measures.
#[inline]
pub(crate) fn is_on() -> bool {
    MEASURING.load(Ordering::Relaxed) > 0
}

/// A message that was handled, as [`Measurements::drain`] offers it.
pub struct Measurement<'a> {
    header: Header,
    callsite: &'static Callsite,
    tail: Tail,
    error_type: Option<&'a str>,
}

impl<'a> Measurement<'a> {
    /// Reads a measurement; `None` if it is none or its callsite is unknown, which only a defect could cause.
    fn read(bytes: &'a [u8], callsites: &mut Vec<&'static Callsite>) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk()?;
        let (tail, error_type) = rest.split_first_chunk()?;
        let header = Header::decode(header);
        let number = header.callsite as usize;
        if number >= callsites.len() {
            callsite::refresh(callsites);
        }
        let error_type = std::str::from_utf8(error_type).ok()?;
        Some(Self {
            callsite: callsites.get(number)?,
            tail: Tail::decode(tail),
            error_type: (!error_type.is_empty()).then_some(error_type),
            header,
        })
    }

    /// Where the handler's span is made: of several layers that observed the message, by the innermost.
    pub const fn callsite(&self) -> &'static Callsite {
        self.callsite
    }

    /// The identity of the handler's span, or, where that is not sampled, of its context: what an exemplar names.
    pub fn context(&self) -> SpanContext {
        let Header {
            trace_id, span_id, ..
        } = self.header;
        let flags = self.header.facts.marks.trace_flags();
        let flags = flags.with_sampled(self.tail.flags & SAMPLED != 0);
        SpanContext::new(trace_id, span_id, flags, false)
    }

    /// When the handling began and ended; the end is never before the start.
    pub fn range(&self) -> (Ticks, Ticks) {
        self.header.range()
    }

    /// How long the handling took.
    pub fn took(&self) -> Duration {
        let (start, end) = self.range();
        Duration::from_nanos(clock::nanos_between(start, end))
    }

    /// How long the message waited for its handler, if that is known.
    pub fn wait(&self) -> Option<Duration> {
        let ticks = self.header.parent.number().checked_sub(1)?;
        Some(Duration::from_nanos(clock::ticks_to_nanos(ticks)))
    }

    /// The status.
    pub const fn status(&self) -> Status {
        self.header.facts.status
    }

    /// How the handling ended.
    pub const fn outcome(&self) -> Outcome {
        self.header.facts.outcome
    }

    /// How many messages were handled at once: one, unless it was a batch.
    pub fn messages(&self) -> u32 {
        (self.tail.flags >> 1).max(1)
    }

    /// What is to be told beside the attributes of the callsite.
    pub const fn labels(&self) -> Labels {
        self.tail.labels
    }

    /// The attribute `error.type`, if the status is an error and somebody knows.
    pub const fn error_type(&self) -> Option<&'a str> {
        self.error_type
    }
}

impl fmt::Debug for Measurement<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measurement")
            .field("name", &self.callsite.name())
            .field("outcome", &self.outcome())
            .field("error_type", &self.error_type)
            .finish_non_exhaustive()
    }
}

/// What follows the header of a measurement, before the type of the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    labels: Labels,
    /// How many messages, shifted, and whether the trace is sampled.
    flags: u32,
}

impl Tail {
    const LEN: usize = 8;

    pub(crate) fn new(told: Told, flags: TraceFlags) -> Self {
        Self {
            labels: told.labels,
            flags: told.messages.min(MOST_MESSAGES) << 1 | u32::from(flags.is_sampled()),
        }
    }

    /// All of a measurement but the type of the error. The wait stands where the record of a span has its parent.
    pub(crate) fn encode(self, header: &Header) -> [u8; Header::LEN + Self::LEN] {
        let mut bytes = [0; Header::LEN + Self::LEN];
        let (head, tail) = bytes.split_at_mut(Header::LEN);
        head.copy_from_slice(&header.encode());
        let word = u64::from(self.labels.number()) << 32 | u64::from(self.flags);
        tail.copy_from_slice(&word.to_ne_bytes());
        bytes
    }

    fn decode(bytes: &[u8; Self::LEN]) -> Self {
        let word = u64::from_ne_bytes(*bytes);
        Self {
            labels: Labels::from_number((word >> 32) as u32),
            flags: word as u32,
        }
    }
}

/// The trace is sampled.
const SAMPLED: u32 = 1;
/// More messages at once are counted as so many.
const MOST_MESSAGES: u32 = u32::MAX >> 1;

/// How many consumers of measurements there are in the process.
static MEASURING: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{SpanId, TraceId};
    use crate::record::Facts;

    #[test]
    fn a_tail_round_trips() {
        for flags in [TraceFlags::default(), TraceFlags::SAMPLED] {
            let told = Told {
                labels: Labels::from_number(u32::MAX),
                messages: u32::MAX,
                ..Told::default()
            };
            let tail = Tail::new(told, flags);
            let header = Header {
                trace_id: TraceId::from_bytes([7; 16]),
                span_id: SpanId::from_bytes([8; 8]),
                parent: SpanId::from_number(9),
                start: Ticks::from_raw(1),
                end: Ticks::from_raw(2),
                callsite: 3,
                facts: Facts::default(),
            };
            let encoded = tail.encode(&header);
            let (head, word) = encoded.split_last_chunk().expect("there is a tail");
            assert_eq!(head, header.encode());
            assert_eq!(Tail::decode(word), tail);
            assert_eq!(tail.flags & SAMPLED != 0, flags.is_sampled());
            assert_eq!(tail.flags >> 1, MOST_MESSAGES);
        }
    }

    #[test]
    fn what_is_no_measurement_is_not_read() {
        let mut callsites = Vec::new();
        for length in [0, Header::LEN, Header::LEN + Tail::LEN - 1] {
            assert!(Measurement::read(&vec![0; length], &mut callsites).is_none());
        }
        let mut unknown = vec![0; Header::LEN + Tail::LEN];
        unknown[48..52].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert!(Measurement::read(&unknown, &mut callsites).is_none());
    }
}
