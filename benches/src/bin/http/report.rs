//! Rounds of load over all variants, what became of them, and the table.

use std::io;

use serde::Serialize;
use throughline_benches::{COUNT_ONLY, Receiver, machine, median};

use crate::server::{Server, Spent, Variant};
use crate::{Effort, Result, load};

/// All figures, as they are written to a file.
#[derive(Serialize)]
pub(crate) struct Table {
    machine: String,
    seconds: u64,
    rows: Vec<Row>,
}

/// A variant.
#[derive(Serialize)]
struct Row {
    variant: Variant,
    /// The medians of the rounds.
    medians: Round,
    /// The medians of the ratios to `untraced` in the same round.
    ratios: Round,
    /// Spans that requests began, those of the warm-up among them.
    offered: u64,
    received: u64,
    rounds: Vec<Round>,
}

/// What was measured in one round.
#[derive(Clone, Copy, Serialize)]
struct Round {
    requests_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time of the service's process per request.
    cpu_us: f64,
}

/// Measures all variants in rounds that alternate.
pub(crate) fn measure(effort: &Effort) -> Result<Table> {
    let machine = machine();
    let mut receiver = Receiver::start()?;
    let mut measured = Vec::new();
    for variant in Variant::ALL {
        let server = Server::start(variant, receiver.target(run_of(variant)))?;
        measured.push(Measured {
            server,
            rounds: Vec::with_capacity(effort.rounds),
        });
    }
    for variant in &measured {
        load::run(variant.server.address, effort.duration)?;
    }
    let variants = measured.len();
    for round in 0..effort.rounds {
        for place in 0..variants {
            measured[(round + place) % variants].round(effort)?;
        }
    }
    let untraced = measured[0].rounds.clone();
    let rows = measured
        .into_iter()
        .map(|measured| measured.row(&untraced, &mut receiver));
    Ok(Table {
        machine,
        seconds: effort.duration.as_secs(),
        rows: rows.collect::<io::Result<_>>()?,
    })
}

/// The receiver has to keep up with what no batch is too slow for.
fn run_of(variant: Variant) -> String {
    format!("{COUNT_ONLY}{variant}")
}

/// A variant while it is measured.
struct Measured {
    server: Server,
    rounds: Vec<Round>,
}

impl Measured {
    fn round(&mut self, effort: &Effort) -> Result<()> {
        // What it spent while others had their turn is not of this round.
        let before = self.server.flush()?;
        let load = load::run(self.server.address, effort.duration)?;
        let after = self.server.flush()?;
        let requests = load.requests as f64;
        self.rounds.push(Round {
            requests_per_second: requests / load.micros as f64 * 1e6,
            p50_us: load.p50_us,
            p99_us: load.p99_us,
            cpu_us: (after.cpu_ns - before.cpu_ns) as f64 / requests / 1e3,
        });
        Ok(())
    }

    fn row(mut self, untraced: &[Round], receiver: &mut Receiver) -> io::Result<Row> {
        let variant = self.server.variant;
        let Spent { spans, .. } = self.server.flush()?;
        let ratios: Vec<_> = self.rounds.iter().zip(untraced).map(ratio).collect();
        Ok(Row {
            variant,
            medians: medians(&self.rounds),
            ratios: medians(&ratios),
            offered: if variant.is_traced() { spans } else { 0 },
            received: receiver.received(&run_of(variant))?.spans,
            rounds: self.rounds,
        })
    }
}

fn medians(rounds: &[Round]) -> Round {
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
    Round {
        requests_per_second: of(|round| round.requests_per_second),
        p50_us: of(|round| round.p50_us),
        p99_us: of(|round| round.p99_us),
        cpu_us: of(|round| round.cpu_us),
    }
}

fn ratio((round, untraced): (&Round, &Round)) -> Round {
    Round {
        requests_per_second: round.requests_per_second / untraced.requests_per_second,
        p50_us: round.p50_us / untraced.p50_us,
        p99_us: round.p99_us / untraced.p99_us,
        cpu_us: round.cpu_us / untraced.cpu_us,
    }
}

impl Table {
    pub(crate) fn print(&self) {
        let rounds = self.rows.first().map_or(0, |row| row.rounds.len());
        println!(
            "{}\nmedians of {rounds} rounds of {} s",
            self.machine, self.seconds
        );
        println!(
            "\n{:<22} {:>10} {:>7} {:>7} {:>7}   × untraced: {:>10} {:>6} {:>6} {:>6}   received of offered",
            "", "requests/s", "p50 µs", "p99 µs", "CPU µs", "requests/s", "p50", "p99", "CPU",
        );
        for row in &self.rows {
            let (medians, ratios) = (row.medians, row.ratios);
            print!(
                "{:<22} {:>10.0} {:>7.0} {:>7.0} {:>7.2}               {:>10.3} {:>6.3} {:>6.3} {:>6.3}",
                row.variant,
                medians.requests_per_second,
                medians.p50_us,
                medians.p99_us,
                medians.cpu_us,
                ratios.requests_per_second,
                ratios.p50_us,
                ratios.p99_us,
                ratios.cpu_us,
            );
            match row.offered {
                0 => println!(),
                offered => println!("   {} of {offered}", row.received),
            }
        }
    }
}
