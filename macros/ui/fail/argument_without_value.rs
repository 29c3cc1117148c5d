use throughline::traced;

#[traced(name, level(debug), kind, attrs = 1, err = Debug, parent)]
fn values() -> Result<(), String> {
    Ok(())
}

#[traced(err(level = debug), ret(Debug, Display), name = "a" "b")]
fn formats() -> Result<(), String> {
    Ok(())
}

fn main() {
    let _ = values();
    let _ = formats();
}
