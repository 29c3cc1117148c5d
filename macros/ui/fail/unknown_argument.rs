//! Arguments that do not exist, among them the names of tracing and fastrace. All are reported at once.

use throughline::traced;

#[traced(fields(id = id), skip(password), target = "shop")]
fn of_tracing(id: u32, password: &str) {}

#[traced(skip_all, follows_from = [])]
fn more_of_tracing() {}

#[traced(properties = { "id": "{id}" }, short_name = true)]
async fn of_fastrace(id: u32) {}

#[traced(nmae = "typo")]
fn typo() {}

#[traced("a name")]
fn bare_name() {}

#[traced(order.id = %id)]
fn attributes_outside_of_attrs(id: u32) {}

fn main() {
    of_tracing(1, "");
    more_of_tracing();
    let _ = of_fastrace(1);
    typo();
    bare_name();
    attributes_outside_of_attrs(1);
}
