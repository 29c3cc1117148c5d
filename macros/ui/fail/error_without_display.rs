use throughline::traced;

struct Broken;

#[traced(err)]
fn sync() -> Result<(), Broken> {
    Err(Broken)
}

#[traced(err(Debug))]
async fn not_sync() -> Result<(), Broken> {
    Err(Broken)
}

#[traced(ret)]
fn value() -> Broken {
    Broken
}

fn main() {
    let _ = sync();
    let _ = not_sync();
    let _ = value();
}
