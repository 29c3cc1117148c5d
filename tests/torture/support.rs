//! What the rows share: the table, the sizes, the pipelines.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use throughline::Pipeline;
use throughline::core::diagnostics;
use throughline::export::PipelineBuilder;
use throughline::testing::OtlpReceiver;
pub(crate) use throughline_tests::support::size::{is_long, size};

/// Longer than anything takes that is not broken.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What a machine that does other things adds to a time, at most as a rule.
pub(crate) const SLACK: Duration = Duration::from_millis(100);

/// The seeds of so many runs, or the one that is asked for.
pub(crate) fn seeds(runs: u64) -> Vec<u64> {
    match env::var("TORTURE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
    {
        Some(seed) => vec![seed],
        None => (1..=runs).collect(),
    }
}

/// A line of the table. It says that the row fails unless [`holds`](Self::holds) is reached.
pub(crate) struct Row {
    number: u8,
    fault: &'static str,
    criterion: &'static str,
    measured: Option<String>,
    _place: Place,
}

/// The rows that measure times or memory wait for the others, and the others for them.
static PLACES: RwLock<()> = RwLock::new(());

#[expect(dead_code, reason = "the guards are held, not read")]
enum Place {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Row {
    /// A row that may run beside others.
    pub(crate) fn start(number: u8, fault: &'static str, criterion: &'static str) -> Self {
        let guard = PLACES.read().unwrap_or_else(PoisonError::into_inner);
        Self::at(Place::Shared(guard), number, fault, criterion)
    }

    /// A row that measures what others would disturb.
    pub(crate) fn alone(number: u8, fault: &'static str, criterion: &'static str) -> Self {
        let guard = PLACES.write().unwrap_or_else(PoisonError::into_inner);
        Self::at(Place::Alone(guard), number, fault, criterion)
    }

    fn at(place: Place, number: u8, fault: &'static str, criterion: &'static str) -> Self {
        listen();
        Self {
            number,
            fault,
            criterion,
            measured: None,
            _place: place,
        }
    }

    /// The row holds, and this was measured.
    pub(crate) fn holds(mut self, measured: impl fmt::Display) {
        self.measured = Some(measured.to_string());
    }
}

impl Drop for Row {
    #[expect(
        clippy::print_stdout,
        reason = "a table for whoever asks for the output"
    )]
    fn drop(&mut self) {
        let measured = self.measured.as_deref().unwrap_or("**fails**");
        let line = format!(
            "| {} | {} | {} | {measured} |",
            self.number, self.fault, self.criterion
        );
        println!("{line}");
        write_table((self.number, self.fault), line);
    }
}

/// Writes all lines so far. A table of the same form that is there already keeps its other rows.
fn write_table(key: (u8, &'static str), line: String) {
    static LINES: Mutex<BTreeMap<(u8, String), String>> = Mutex::new(BTreeMap::new());
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("torture.md");
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let form = if is_long() { "long" } else { "short" };
    let head = format!(
        "Torture suite, {form} form, {build} build\n\n\
         | row | fault | criterion | measured |\n|--|--|--|--|\n"
    );
    let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.is_empty()
        && let Ok(old) = fs::read_to_string(&file)
        && let Some(rows) = old.strip_prefix(&head)
    {
        lines.extend(rows.lines().filter_map(|row| {
            let mut cells = row.split(" | ");
            let number = cells.next()?.trim_start_matches("| ").parse().ok()?;
            Some(((number, cells.next()?.to_owned()), row.to_owned()))
        }));
    }
    lines.insert((key.0, key.1.to_owned()), line);
    let mut table = head;
    for line in lines.values() {
        let _ = writeln!(table, "{line}");
    }
    // The table is for readers; a test does not fail for want of it.
    let _ = fs::write(file, table);
}

/// What the pipelines of this process said.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps the lines that the pipelines say, rather than printing them.
fn listen() {
    diagnostics::set_sink(Some(Arc::new(|_, line| {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.to_string());
    })));
}

/// The lines that mention something only one test knows, such as its port.
pub(crate) fn lines_about(subject: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let about = lines.iter().filter(|line| line.contains(subject));
    about.cloned().collect()
}

pub(crate) fn receiver() -> OtlpReceiver {
    OtlpReceiver::start().expect("a receiver starts")
}

/// A pipeline that sends to an address, and batches at a flush or when they are full.
pub(crate) fn to(endpoint: &str) -> PipelineBuilder {
    Pipeline::builder().endpoint(endpoint).schedule_delay(LONG)
}

/// Measures until a time is within its bound, three times at most: on a busy machine a thread may come late, but a
/// defect comes late each time. Returns the best.
#[track_caller]
pub(crate) fn within(
    bound: Duration,
    what: &str,
    mut measure: impl FnMut() -> Duration,
) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        best = best.min(measure());
        if best <= bound {
            return best;
        }
    }
    panic!("{what} took {best:?}, more than {bound:?}");
}

/// How long something takes.
pub(crate) fn time<R>(action: impl FnOnce() -> R) -> (R, Duration) {
    let start = Instant::now();
    let result = action();
    (result, start.elapsed())
}

/// Waits for a condition.
#[track_caller]
pub(crate) fn wait_until(what: &str, timeout: Duration, mut is_met: impl FnMut() -> bool) {
    let deadline = Instant::now() + timeout;
    while !is_met() {
        assert!(Instant::now() < deadline, "{what} within {timeout:?}");
        thread::sleep(Duration::from_millis(1));
    }
}
