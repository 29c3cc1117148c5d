//! Processes that are killed at random moments.
//!
//! A child exports numbered batches through a spool, writes a line for each number
//! that the spool or the destination has accepted, and one for each that reaches the
//! destination. What it has written stays in the pipe when it is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use throughline_export::{Batch, Receipt, SpoolExporter};

use crate::directory::size_of_directory;
use crate::support::{LONG, Told, batches, empty, export, unavailable};

/// Where the spool of a child is. Without it, the child does nothing.
const DIRECTORY: &str = "THROUGHLINE_TEST_SPOOL";
/// The first number of a child; it decides what the child does, too.
const FIRST: &str = "THROUGHLINE_TEST_FIRST";

const MAX_BYTES: u64 = 32 << 20;

/// A child is killed before it has said so many lines; each has an empty one before it.
const MOST_LINES: u64 = 600;

/// Batches of a child.
const BATCHES: u64 = 40;

fn say(word: char, number: u64) {
    let line = format!("\n{word} {number}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
}

/// The number of a batch: the time of its span tells it from all others.
fn number_of(batch: &Batch) -> u64 {
    let sum = batch
        .request()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, &byte| {
            (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
        });
    sum ^ batch.request().len() as u64
}

#[test]
fn child_that_is_killed() {
    let Some(directory) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let mut chance = fastrand::Rng::with_seed(first);
    let patience = [Duration::ZERO, LONG][chance.usize(..2)];
    let unsynced = [0, 20_000, u64::MAX][chance.usize(..3)];
    let outage = [0.0, 0.3, 0.7, 1.0][chance.usize(..4)];
    let mut moods = chance.fork();
    let batches = batches(BATCHES, chance.usize(..4000));
    let destination = Told(move |batch: &Batch| {
        if moods.f64() < outage {
            return Err(unavailable());
        }
        say('d', number_of(batch));
        Ok(Receipt::complete())
    });
    say('s', 0);
    let mut exporter = SpoolExporter::wrap(destination, directory)
        .max_bytes(MAX_BYTES)
        .max_unsynced_bytes(unsynced)
        .write_after(patience)
        .open()
        .unwrap();
    say('o', 0);
    for batch in batches.iter().cycle() {
        // A later round issues the same numbers again, which changes nothing.
        if export(&mut exporter, batch).is_ok() {
            say('a', number_of(batch));
        }
        if chance.u8(..8) == 0 {
            let _ = crate::support::runtime()
                .block_on(throughline_export::SpanExporter::flush(&mut exporter));
        }
    }
}

/// What the children said, by number: accepted, and how often it arrived.
#[derive(Default)]
struct Said {
    accepted: u64,
    numbers: BTreeMap<u64, (bool, u64)>,
    opened: u64,
}

impl Said {
    fn hear(&mut self, line: &str) {
        let Some((word, number)) = line.split_once(' ') else {
            return;
        };
        // The harness writes lines of its own.
        let Ok(number) = number.parse() else { return };
        match word {
            "a" => {
                let entry = self.numbers.entry(number).or_default();
                self.accepted += u64::from(!entry.0);
                entry.0 = true;
            }
            "d" => self.numbers.entry(number).or_default().1 += 1,
            "o" => self.opened += 1,
            _ => {}
        }
    }
}

fn run_and_kill(directory: &Path, first: u64, chance: &mut fastrand::Rng, said: &mut Said) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (lines, heard) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in stdout.lines().map_while(Result::ok) {
            let _ = lines.send(line);
        }
    });
    let mut next = || {
        let line = heard.recv_timeout(LONG).expect("a child goes on");
        said.hear(&line);
        line
    };
    // It is about to open its spool; from here on, any moment will do.
    while next() != "s 0" {}
    // Often early, when much is new.
    let most = chance.u64(..MOST_LINES);
    for _ in 0..chance.u64(..=most) {
        next();
    }
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.signal(),
        Some(9),
        "it ended by itself: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    reader.join().unwrap();
    heard.iter().for_each(|line| said.hear(&line));
}

#[test]
fn what_was_accepted_is_delivered_however_often_the_process_is_killed() {
    let long = std::env::var("TORTURE").is_ok_and(|value| value == "long");
    let kills: u64 = if long { 10_000 } else { 100 };
    let directory = tempfile::tempdir().unwrap();
    let mut chance = fastrand::Rng::with_seed(30);
    let (mut said, mut corrupt, mut most) = (Said::default(), 0, 0);
    for kill in 0..kills {
        run_and_kill(directory.path(), kill, &mut chance, &mut said);
        let on_disk = size_of_directory(directory.path());
        assert!(on_disk <= MAX_BYTES, "{on_disk}");
        most = most.max(on_disk);
        // Now and then everything is taken out, so that it does not pile up.
        if kill % 10 == 9 || kill + 1 == kills {
            corrupt += drain(directory.path(), &mut said);
        }
    }
    let missing = said
        .numbers
        .values()
        .filter(|(accepted, arrived)| *accepted && *arrived == 0);
    let missing = missing.count();
    let arrived: u64 = said.numbers.values().map(|(_, arrived)| arrived).sum();
    println!(
        "row 30, SIGKILL: {kills} kills, {} starts, {} batches accepted, {missing} of them lost, \
         {arrived} deliveries, {corrupt} torn records skipped, at most {most} of {MAX_BYTES} bytes",
        said.opened, said.accepted
    );
    assert_eq!(missing, 0);
    assert!(said.accepted > kills, "the children get to work");
}

/// Takes out what the children have left.
fn drain(directory: &Path, said: &mut Said) -> u64 {
    let (arrived, numbers) = mpsc::channel();
    let destination = Told(move |batch: &Batch| {
        arrived.send(number_of(batch)).unwrap();
        Ok(Receipt::complete())
    });
    let mut exporter = SpoolExporter::wrap(destination, directory)
        .max_bytes(MAX_BYTES)
        .open()
        .unwrap();
    empty(&mut exporter);
    let stats = exporter.handle().stats();
    assert_eq!(stats.earlier.dropped.get("spool_full"), 0);
    assert_eq!(stats.file_bytes, 0);
    drop(exporter);
    numbers
        .iter()
        .for_each(|number| said.hear(&format!("d {number}")));
    stats.corrupt_records
}

#[test]
fn the_lock_of_a_process_ends_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_is_killed", "--nocapture"])
        .env(DIRECTORY, directory.path())
        .env(FIRST, "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line != "o 0\n" {
        line.clear();
        assert!(
            stdout.read_line(&mut line).unwrap() > 0,
            "the child opens its spool"
        );
    }
    // Its output is not read on, so it stops at some time, but not its lock.
    let open =
        || SpoolExporter::wrap(Told(|_: &Batch| Err(unavailable())), directory.path()).open();
    assert!(open().unwrap_err().is_in_use());
    child.kill().unwrap();
    child.wait().unwrap();
    open().unwrap();
}

#[test]
fn a_lock_is_gone_with_its_exporter_whatever_other_threads_spawn() {
    // A process that is being spawned has all files open for a moment.
    let directory = tempfile::tempdir().unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                Command::new("true").status().unwrap();
            }
        });
        let opened = (0..200).all(|_| {
            let exporter =
                SpoolExporter::wrap(Told(|_: &Batch| Err(unavailable())), directory.path());
            exporter.open().is_ok()
        });
        done.store(true, Ordering::Relaxed);
        assert!(opened);
    });
}
