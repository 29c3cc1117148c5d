//! Delivers what is left when the process is asked to end by a signal.
//!
//! Owns one thread per process that waits for the signals, and the list of pipelines
//! to shut down. The handlers themselves are `signal-hook`'s: they write to a pipe,
//! and everything else happens on that thread.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::say;
use crate::shared::Shared;
use crate::thread::start;

/// What happens at a signal.
struct Watch {
    /// Whether the thread is there.
    running: bool,
    pipelines: Vec<(Weak<Shared>, Duration)>,
}

static WATCH: Mutex<Watch> = Mutex::new(Watch {
    running: false,
    pipelines: Vec::new(),
});

/// Adds a pipeline to those that are shut down, each within its time.
pub(crate) fn watch(shared: &Arc<Shared>, timeout: Duration) -> io::Result<()> {
    let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
    if !watch.running {
        // The handlers come second: without the thread, they would only keep the
        // signals from doing what they do.
        let install = || Signals::new([SIGTERM, SIGINT]);
        start("throughline-signal", install, serve)?;
        watch.running = true;
    }
    let pipelines = &mut watch.pipelines;
    pipelines.retain(|(shared, _)| shared.strong_count() > 0);
    pipelines.push((Arc::downgrade(shared), timeout));
    Ok(())
}

fn serve(mut signals: Signals) {
    let mut ending = false;
    for signal in signals.forever() {
        if ending {
            // Whoever asks twice does not want to wait.
            end_by(signal);
        }
        ending = true;
        let last_words = move || {
            shut_down_all();
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

fn shut_down_all() {
    let mut watch = WATCH.lock().unwrap_or_else(PoisonError::into_inner);
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
