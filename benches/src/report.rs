//! The tables: one for each shape, with the machine and the date above them.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::SystemTime;

use crate::measurement::Row;
use crate::options::Comparison;
use crate::scenario::{Axis, Fault, PathName, Sampling, Shape, Transport};

/// Where and when the figures were measured.
pub(crate) fn heading(comparison: &Comparison) -> String {
    let mut text = format!(
        "{}\nmedians of {} round(s); every row in its own process, the receiver in another\n",
        machine(),
        comparison.rounds,
    );
    if let Some(rate) = comparison.load.rate {
        line(
            &mut text,
            &format!("saturation is limited to {rate} spans per second"),
        );
    }
    text
}

/// Machine, load and date in one line.
pub fn machine() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "figures are kept with the date of their measurement"
    )]
    let now = SystemTime::now();
    let date = httpdate::fmt_http_date(now);
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let model = fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let load = fs::read_to_string("/proc/loadavg").ok();
    let load = load
        .as_deref()
        .and_then(|text| text.split(' ').next())
        .unwrap_or("unknown");
    format!("{model}, {cores} cores, load {load}, {date}")
}

/// One table for each shape that has rows.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = String::new();
    for &shape in Shape::ALL {
        let rows: Vec<&Row> = rows.iter().filter(|row| row.shape == shape).collect();
        if !rows.is_empty() {
            table(&mut text, shape, &rows);
        }
    }
    text.push_str(LEGEND);
    text
}

fn table(text: &mut String, shape: Shape, rows: &[&Row]) {
    let what = match shape {
        Shape::Wide => "1 root + 9 children",
        Shape::Deep => "50 nested spans",
        Shape::Async => "1 root + 9 concurrent children, each polled 4 times",
    };
    line(text, &format!("\n{shape}: {what}\n\n{HEAD}\n{RULE}"));
    let mut previous: Option<&Row> = None;
    for row in rows {
        let conditions = format!(
            "{:>2} attributes, {} thread{}, {}{}{}{}",
            row.attributes,
            row.threads,
            if row.threads == 1 { "" } else { "s" },
            row.sampling,
            match row.sampling {
                Sampling::Sampled => format!(", {}", row.pace),
                Sampling::Unsampled | Sampling::Disabled => String::new(),
            },
            match row.transport {
                Transport::Http => String::new(),
                transport => format!(", {transport}"),
            },
            match row.fault {
                Fault::Healthy => String::new(),
                fault => format!(", receiver {fault}"),
            },
        );
        if !previous.is_some_and(|previous| previous.is_beside(row)) {
            line(text, &format!("{conditions}:"));
        }
        previous = Some(row);
        let beside = |path: PathName| {
            rows.iter()
                .find(|other| other.path == path && other.is_beside(row))
                .copied()
        };
        let native = beside(PathName::Throughline);
        let layer = beside(PathName::ThroughlineTracing);
        let native_row = row.path == PathName::Throughline;
        let layer_row = native_row || row.path == PathName::ThroughlineTracing;
        let ratio = |ours: Option<&Row>, hidden: bool, of: fn(&Row) -> f64| match ours {
            Some(ours) if !hidden && of(row) > 0.0 => format!("{:.3}", of(ours) / of(row)),
            _ => "–".to_owned(),
        };
        line(
            text,
            &format!(
                "  {:<22} {:>8.1} {:>7} {:>7} {:>9.1} {:>7} {:>7} {:>7.2} {:>7.0} {:>9} / {:<9} {:>6}{}",
                row.path.name(),
                row.app_ns,
                ratio(native, native_row, |row| row.app_ns),
                ratio(layer, layer_row, |row| row.app_ns),
                row.cpu_ns,
                ratio(native, native_row, |row| row.cpu_ns),
                ratio(layer, layer_row, |row| row.cpu_ns),
                row.allocations,
                row.bytes,
                row.received,
                row.offered,
                received_share(row),
                beside_healthy(row, rows),
            ),
        );
    }
}

/// What the recording thread spends as a share of what it spends where the receiver is healthy.
fn beside_healthy(row: &Row, rows: &[&Row]) -> String {
    let healthy = rows.iter().find(|other| other.is_healthy_form_of(row));
    match healthy {
        Some(healthy) if row.fault != Fault::Healthy => {
            format!("  {:.2} x healthy", row.app_ns / healthy.app_ns)
        }
        _ => String::new(),
    }
}

fn received_share(row: &Row) -> String {
    if row.sampling != Sampling::Sampled || row.path == PathName::Floor {
        return String::new();
    }
    format!(
        "{:.1} %",
        row.received as f64 / row.offered.max(1) as f64 * 100.0
    )
}

fn line(text: &mut String, content: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{content}");
}

const HEAD: &str = "  path                     app ns       n       t    cpu ns       n       t  allocs   bytes  received / offered";
const RULE: &str = "  ----------------------------------------------------------------------------------------------------------------";

const LEGEND: &str = "
app ns: CPU of the recording thread per span; cpu ns: CPU of the whole process per span, export included;
n and t: throughline ÷ path and throughline-tracing ÷ path; allocs: allocator calls per span on the recording
thread; bytes: HTTP body bytes per span received; gRPC messages without their frames; x healthy: app ns beside the
same path with a healthy receiver.
";
