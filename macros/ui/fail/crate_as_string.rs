use throughline::traced;

#[traced(crate = "throughline")]
fn string() {}

#[traced(crate = no_such_crate)]
fn missing() {}

fn main() {
    string();
    missing();
}
