use throughline::traced;

#[traced(kind = worker)]
fn unknown() {}

#[traced(kind = "rpc")]
fn unknown_string() {}

#[traced(kind = SpanKind::Client)]
fn path() {}

#[traced(kind = Client)]
fn upper_case() {}

fn main() {
    unknown();
    unknown_string();
    path();
    upper_case();
}
