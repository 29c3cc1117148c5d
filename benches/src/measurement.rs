//! One scenario's figures, and how those of several rounds become one.

use serde::{Deserialize, Serialize};

use crate::scenario::{Fault, Pace, PathName, Sampling, Scenario, Shape, Transport};

/// What a worker measured in its own process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// CPU time of the recording thread per span, median over bursts, in nanoseconds.
    pub(crate) app_ns: f64,
    /// CPU time of the process per span including export, in nanoseconds.
    pub(crate) cpu_ns: f64,
    /// Allocator calls on the recording thread per span, median over bursts.
    pub(crate) allocations: f64,
    /// Spans that the application recorded, warm-up included.
    pub(crate) offered: u64,
}

/// What the receiver decoded for one worker.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Received {
    /// Spans decoded.
    pub spans: u64,
    /// Bytes of all request bodies.
    pub bytes: u64,
    /// Spans without a parent.
    pub roots: u64,
    /// Attributes among the ones that the paths agreed on.
    pub attributes: u64,
}

/// One object of the JSON output, and one line of a table.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) path: PathName,
    pub(crate) shape: Shape,
    pub(crate) attributes: usize,
    pub(crate) threads: usize,
    pub(crate) sampling: Sampling,
    pub(crate) pace: Pace,
    pub(crate) transport: Transport,
    pub(crate) fault: Fault,
    pub(crate) app_ns: f64,
    pub(crate) cpu_ns: f64,
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
    pub(crate) offered: u64,
    pub(crate) received: u64,
}

impl Row {
    /// The medians over the rounds of one scenario; offered and received are the rounds' sums.
    pub(crate) fn new(scenario: Scenario, rounds: &[(Measured, Received)]) -> Self {
        let figure =
            |of: fn(&(Measured, Received)) -> f64| rounded(median(rounds.iter().map(of).collect()));
        Self {
            path: scenario.path,
            shape: scenario.shape,
            attributes: scenario.attributes,
            threads: scenario.threads,
            sampling: scenario.sampling,
            pace: scenario.pace,
            transport: scenario.transport,
            fault: scenario.fault,
            app_ns: figure(|(measured, _)| measured.app_ns),
            cpu_ns: figure(|(measured, _)| measured.cpu_ns),
            allocations: figure(|(measured, _)| measured.allocations),
            bytes: figure(|(_, received)| received.bytes as f64 / received.spans.max(1) as f64),
            offered: rounds.iter().map(|(measured, _)| measured.offered).sum(),
            received: rounds.iter().map(|(_, received)| received.spans).sum(),
        }
    }

    /// Whether two rows differ in nothing but the path.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.shape == other.shape
            && self.attributes == other.attributes
            && self.threads == other.threads
            && self.sampling == other.sampling
            && self.pace == other.pace
            && self.transport == other.transport
            && self.fault == other.fault
    }

    /// Whether this is the other row with a healthy receiver.
    pub(crate) fn is_healthy_form_of(&self, other: &Self) -> bool {
        let healthy = Self {
            fault: Fault::Healthy,
            ..*other
        };
        self.path == other.path && self.is_beside(&healthy)
    }
}

/// The middle value, or the mean of the two in the middle; zero of no values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_values_lies_between_the_middle_two() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(vec![9.0, 1.0, 4.0, 2.0]), 3.0);
    }

    #[test]
    fn a_row_has_medians_of_figures_and_sums_of_spans() {
        let scenario = Scenario {
            path: PathName::Emit,
            shape: Shape::Deep,
            attributes: 3,
            threads: 1,
            sampling: Sampling::Sampled,
            pace: Pace::Saturation,
            transport: Transport::Http,
            fault: Fault::Healthy,
        };
        let round = |app_ns, spans| {
            let measured = Measured {
                app_ns,
                cpu_ns: 2.0 * app_ns,
                allocations: 5.0,
                offered: 100,
            };
            let received = Received {
                spans,
                bytes: spans * 80,
                ..Received::default()
            };
            (measured, received)
        };
        let row = Row::new(
            scenario,
            &[round(10.0, 100), round(30.123, 0), round(20.456, 60)],
        );
        assert_eq!((row.app_ns, row.cpu_ns), (20.46, 40.91));
        assert_eq!((row.offered, row.received), (300, 160));
        assert_eq!(row.bytes, 80.0);
    }
}
