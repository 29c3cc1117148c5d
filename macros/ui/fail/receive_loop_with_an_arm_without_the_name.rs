use throughline::actor;
use throughline::channel::mpsc;

// The second arm handles messages, too, and has no `change` to be recorded.
#[actor(attrs(change = change.into_inner()))]
async fn run(mut inbox: mpsc::Receiver<u32>) {
    loop {
        match inbox.recv().await {
            Some(change) if *change > 0 => {
                let _ = change;
            }
            Some(_) => {}
            None => break,
        }
    }
}

fn main() {}
