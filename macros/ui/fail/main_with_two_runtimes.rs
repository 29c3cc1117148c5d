mod tokio {
    pub use throughline::main;
}

#[throughline::main]
#[tokio::main]
async fn main() {}
