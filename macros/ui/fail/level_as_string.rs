use throughline::traced;

#[traced(level = "debug")]
fn string() {}

#[traced(level = Level::DEBUG)]
fn path() {}

#[traced(level = DEBUG)]
fn upper_case() {}

#[traced(level = 2)]
fn number() {}

#[traced(level = verbose)]
fn unknown() {}

fn main() {
    string();
    path();
    upper_case();
    number();
    unknown();
}
