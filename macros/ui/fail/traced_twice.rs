use throughline::traced;

#[traced(level = debug)]
#[traced(err)]
fn function() -> Result<(), String> {
    Ok(())
}

struct Type;

#[traced]
#[throughline::traced(err)]
impl Type {
    #[traced]
    #[traced(level = debug)]
    fn method(&self) {}
}

fn main() {
    let _ = function();
    Type.method();
}
