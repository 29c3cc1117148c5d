//! Delivers what is left when the process is asked to end by a signal.
//!
//! Owns one thread per process that waits for the signals, and the list of pipelines
//! to shut down. The handlers themselves are `signal-hook`'s: they write to a pipe,
//! and everything else happens on that thread.
//!
//! A forked child has the handlers without the thread. There the signals do what they
//! would do without handlers, until the child has pipelines and a thread of its own;
//! what it inherits of the list it never touches.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_default;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use throughline_ring::{fork_generation, set_in_children};

use crate::say;
use crate::shared::Shared;
use crate::thread::start;

/// What happens at a signal.
struct Watch {
    /// Whether the thread is there.
    running: bool,
    pipelines: Vec<(Weak<Shared>, Duration)>,
}

impl Watch {
    const NONE: Self = Self {
        running: false,
        pipelines: Vec::new(),
    };
}

/// That of the first process, that of a child, that of a child's child, and so on: each
/// has its own, since the fork may have come while another one was locked.
static WATCHES: [Mutex<Watch>; 8] = [const { Mutex::new(Watch::NONE) }; 8];

/// Whether the handlers are there without the thread.
static ALONE: AtomicBool = AtomicBool::new(false);

/// Adds a pipeline to those that are shut down, each within its time.
pub(crate) fn watch(shared: &Arc<Shared>, timeout: Duration) -> io::Result<()> {
    let generation = usize::try_from(fork_generation()).unwrap_or(usize::MAX);
    let Some(place) = WATCHES.get(generation) else {
        return Err(io::Error::other("too many forks lie behind this process"));
    };
    let mut watch = place.lock().unwrap_or_else(PoisonError::into_inner);
    if !watch.running {
        // The handlers come second: without the thread, they would only keep the
        // signals from doing what they do.
        start("throughline-signal", install, |signals| {
            serve(signals, place);
        })?;
        watch.running = true;
    }
    let pipelines = &mut watch.pipelines;
    pipelines.retain(|(shared, _)| shared.strong_count() > 0);
    pipelines.push((Arc::downgrade(shared), timeout));
    Ok(())
}

fn install() -> io::Result<Signals> {
    const ENDING: [i32; 2] = [SIGTERM, SIGINT];
    let signals = Signals::new(ENDING)?;
    set_in_children(&ALONE);
    for signal in ENDING {
        register_conditional_default(signal, &ALONE)?;
    }
    // Relaxed: what a signal finds in this process, and nothing else depends on it.
    ALONE.store(false, Ordering::Relaxed);
    Ok(signals)
}

fn serve(mut signals: Signals, place: &'static Mutex<Watch>) {
    let mut ending = false;
    for signal in signals.forever() {
        if ending {
            // Whoever asks twice does not want to wait.
            end_by(signal);
        }
        ending = true;
        let last_words = move || {
            shut_down_all(place);
            end_by(signal);
        };
        let spawned = thread::Builder::new()
            .name("throughline-last".to_owned())
            .spawn(last_words);
        if spawned.is_err() {
            last_words();
        }
    }
}

fn shut_down_all(place: &Mutex<Watch>) {
    let mut watch = place.lock().unwrap_or_else(PoisonError::into_inner);
    let pipelines = std::mem::take(&mut watch.pipelines);
    drop(watch);
    for (shared, timeout) in pipelines {
        let Some(shared) = shared.upgrade() else {
            continue;
        };
        let report = shared.shutdown(timeout);
        if !report.is_complete() {
            say::warn(format_args!("some spans are lost at the end: {report}"));
        }
    }
}

/// What the signal would have done without a handler.
fn end_by(signal: i32) {
    if let Err(error) = emulate_default_handler(signal) {
        say::warn(format_args!("the process does not end: {error}"));
    }
}
