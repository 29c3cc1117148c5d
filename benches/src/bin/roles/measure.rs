//! How a row is measured: its columns in rounds that alternate, the median of each, and the recorders they run under.

use std::error::Error;
use std::ops::ControlFlow;

use serde::Serialize;
use throughline::Context;
use throughline::core::{Recorder, RecorderConfig, Sampler};
use throughline_benches::{median, thread_cpu};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One row of the table, and of the file.
#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) host: &'static str,
    pub(crate) untraced_ns: f64,
    pub(crate) unsampled_ns: f64,
    pub(crate) traced_ns: f64,
    /// What the figures are, for the table.
    #[serde(skip)]
    pub(crate) measure: &'static str,
    /// What else is printed beneath the row.
    #[serde(skip)]
    pub(crate) beside: Vec<Beside>,
}

/// A figure of the table that is no column.
pub(crate) struct Beside {
    pub(crate) what: &'static str,
    /// What it is compared with.
    pub(crate) untraced_ns: f64,
    pub(crate) ns: f64,
}

/// The figures of the program while metrics are on.
pub(crate) fn with_metrics(untraced_ns: f64, unsampled_ns: f64, traced_ns: f64) -> Vec<Beside> {
    let figures = [
        ("unsampled, metrics on", unsampled_ns),
        ("traced, metrics on", traced_ns),
    ];
    let figures = figures.map(|(what, ns)| Beside {
        what,
        untraced_ns,
        ns,
    });
    figures.into()
}

impl Row {
    pub(crate) fn print_head() {
        println!(
            "{:<15} {:<24} {:>9} {:>10} {:>9} {:>15} {:>12} {:>12}",
            "ns per message",
            "measure",
            "untraced",
            "unsampled",
            "traced",
            "more unsampled",
            "more traced",
            "throughput",
        );
    }

    pub(crate) fn print(&self) {
        let Self {
            host,
            untraced_ns,
            unsampled_ns,
            traced_ns,
            measure,
            beside,
        } = self;
        println!(
            "{host:<15} {measure:<24} {untraced_ns:>9.1} {unsampled_ns:>10.1} {traced_ns:>9.1} {:>+15.1} {:>+12.1} \
             {:>10.3} ×",
            unsampled_ns - untraced_ns,
            traced_ns - untraced_ns,
            untraced_ns / traced_ns,
        );
        for Beside {
            what,
            untraced_ns,
            ns,
        } in beside
        {
            println!(
                "  {what:<38} {untraced_ns:>9.1} {ns:>20.1} {:>+28.1} {:>10.3} ×",
                ns - untraced_ns,
                untraced_ns / ns
            );
        }
    }
}

/// One column: each call is a round of the program, and says how many nanoseconds a message took.
pub(crate) type Column<'a> = &'a mut dyn FnMut() -> Result<f64>;

/// The median of each column's rounds. The rounds alternate, after one of each that only warms up.
pub(crate) fn medians<const COLUMNS: usize>(
    rounds: usize,
    mut columns: [Column<'_>; COLUMNS],
) -> Result<[f64; COLUMNS]> {
    let mut samples = [const { Vec::new() }; COLUMNS];
    for column in &mut columns {
        column()?;
    }
    for _ in 0..rounds {
        for (column, samples) in columns.iter_mut().zip(&mut samples) {
            samples.push(column()?);
        }
    }
    Ok(samples.map(median))
}

/// A recorder that is emptied between rounds: whoever exports is another thread.
pub(crate) struct Recording(Recorder);

impl Recording {
    /// One that takes nothing, and one that takes all.
    pub(crate) fn off_and_on() -> [Self; 2] {
        [Sampler::always_off(), Sampler::always_on()].map(|sampler| {
            let mut config = RecorderConfig::default();
            config.sampler = sampler;
            Self(Recorder::start(config))
        })
    }

    /// What the measured program runs under.
    pub(crate) fn context(&self) -> Context {
        self.0.context()
    }

    /// A round of the program that is measured for metrics, too: `messages` of them.
    pub(crate) fn measured(
        &self,
        messages: usize,
        round: impl FnOnce(&Self) -> Result<f64>,
    ) -> Result<f64> {
        let measurements = self.0.measure();
        let nanos = round(self)?;
        let measured = measurements.drain(|_| ());
        if measured != messages as u64 {
            return Err(format!("{measured} of {messages} messages were measured").into());
        }
        Ok(nanos)
    }

    /// Takes what was recorded; an error if there was no room for it, for then the round did less than it should.
    pub(crate) fn empty(&self) -> Result<()> {
        self.0.drain(|_| ControlFlow::Continue(()));
        match self.0.stats().dropped_full {
            0 => Ok(()),
            dropped => Err(format!("{dropped} spans had no room in the recorder").into()),
        }
    }
}

/// CPU time of this thread, shared among messages.
pub(crate) struct Cpu(u64);

impl Cpu {
    pub(crate) fn start() -> Self {
        Self(thread_cpu())
    }

    pub(crate) fn nanos(&self) -> f64 {
        (thread_cpu() - self.0) as f64
    }
}
