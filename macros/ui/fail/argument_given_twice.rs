use throughline::traced;

#[traced(name = "one", level = debug, name = "two", level = info, err, err(Debug))]
fn twice() -> Result<(), String> {
    Ok(())
}

#[traced(attrs(order.id = 1, "order.id" = 2, order.id = 3))]
fn attribute_twice() {}

fn main() {
    let _ = twice();
    attribute_twice();
}
