use throughline::traced;

#[traced(attrs(id, %id, order.id))]
fn shorthand(id: u32) {}

#[traced(attrs(order-id = id, order.id: id, order.1st = id, "" = id, 7 = id))]
fn keys(id: u32) {}

fn main() {
    shorthand(1);
    keys(1);
}
