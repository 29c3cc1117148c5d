use throughline::{actor, consumer};

#[actor(loop)]
async fn run(names: Vec<String>) {
    for name in names {
        drop(name);
    }
}

#[consumer(system = "kafka", destination = "orders", loop)]
fn blocking(receiver: std::sync::mpsc::Receiver<String>) {
    while let Ok(order) = receiver.recv() {
        drop(order);
    }
}

#[actor]
async fn nothing() {}

fn main() {}
