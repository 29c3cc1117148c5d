//! The message points at the user's `async`, at the value, and at the await.

use std::rc::Rc;

use throughline::traced;

#[traced]
async fn not_send() {
    let counter = Rc::new(1);
    std::future::ready(()).await;
    drop(counter);
}

fn spawn<T: Send>(_: T) {}

fn main() {
    spawn(not_send());
}
