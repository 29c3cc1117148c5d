//! A guard keeps its span current on the thread, so a task that may move to another one cannot hold it.

use throughline::{span, traced};

#[traced]
async fn holds_a_guard() {
    let _guard = span!("work").enter();
    std::future::ready(()).await;
}

fn spawn<T: Send>(_: T) {}

fn main() {
    spawn(holds_a_guard());
}
