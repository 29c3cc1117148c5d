//! The message about what is spawned is about the user's future and the user's call.

use std::rc::Rc;

use throughline::traced;

async fn work(_: Rc<str>) {}

#[traced]
async fn not_send() {
    tokio::spawn(work(Rc::from("shared")));
}

#[traced]
async fn not_a_future() {
    tokio::spawn(7);
}

#[traced(spawns = off)]
async fn no_such_word() {}

fn main() {}
