use throughline::traced;

struct Id(u32);

#[traced(attrs(id = id, shown = %id, dumped = ?id))]
fn record(id: Id) -> u32 {
    id.0
}

#[traced(attrs(missing = no_such_variable))]
fn missing() {}

fn main() {
    record(Id(1));
    missing();
}
