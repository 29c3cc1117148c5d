use std::sync::mpsc::Receiver;
use std::thread;

use throughline::actor;

#[actor]
fn start(inbox: Receiver<u32>) {
    thread::spawn(move || {
        while let Ok(items) = inbox.recv() {
            let _ = items;
        }
    });
}

#[actor]
fn start_at_once(inbox: Receiver<u32>) {
    thread::spawn(|| for items in inbox {
        let _ = items;
    });
}

fn main() {}
