use throughline::traced;

#[traced(err)]
fn nothing() {}

#[traced(err)]
async fn option() -> Option<u32> {
    None
}

#[traced(ret)]
async fn no_value() {}

// The names say nothing here; the types do.
type Number = u32;

#[traced(err)]
async fn number() -> Number {
    1
}

fn main() {
    nothing();
    let _ = (option(), no_value(), number());
}
