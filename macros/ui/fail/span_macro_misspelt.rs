use throughline::span;

fn main() {
    let id = 1;
    let _span = span!();
    let _span = span!(id = id);
    let _span = span!("name", level: debug, id = id);
    let _span = span!("name", id: id);
    let _span = span!(colour: red, "name");
    let _span = span!(level: debug, level: info, "name");
    let _span = span!("name", id, id = id, id = id);
    let name = "runtime";
    let _span = span!(name);
}
