use throughline::actor;
use throughline::channel::mpsc;

struct Cart {
    inbox: mpsc::Receiver<u32>,
}

impl Cart {
    #[actor]
    fn start(mut self) {
        tokio::spawn(async move {
            while let Some(items) = self.inbox.recv().await {
                let _ = items;
            }
        });
    }
}

fn main() {}
