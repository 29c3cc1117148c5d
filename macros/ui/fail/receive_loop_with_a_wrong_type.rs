use throughline::actor;
use throughline::channel::mpsc;

#[actor]
async fn run(mut inbox: mpsc::Receiver<u32>) -> Result<(), String> {
    while let Some(items) = inbox.recv().await {
        let text: String = *items;
        drop(text);
    }
    Ok("done")
}

#[actor(attrs(id = nobody.id))]
async fn named(mut inbox: mpsc::Receiver<u32>) {
    while let Some(items) = inbox.recv().await {
        drop(items);
    }
}

fn main() {}
