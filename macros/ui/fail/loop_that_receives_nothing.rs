use throughline::{actor, consumer};

#[actor(loop)]
async fn run(names: Vec<String>) {
    for name in names {
        drop(name);
    }
}

#[consumer(system = "kafka", destination = "orders", loop)]
fn iterator(mut orders: std::vec::IntoIter<String>) {
    while let Some(order) = orders.next() {
        drop(order);
    }
}

struct Cart {
    inbox: std::sync::mpsc::Receiver<u32>,
}

impl Cart {
    // Of a field, no type is known.
    #[actor]
    fn run(self) {
        for items in self.inbox {
            drop(items);
        }
    }
}

#[actor]
async fn nothing() {}

fn main() {}
