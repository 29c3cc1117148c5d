//! Every argument of the attribute, each in each of its forms.
#![deny(warnings)]

use futures::executor::block_on;
use throughline::core::SpanContext;
use throughline::{Context, traced};

const NAME: &str = "from a constant";

mod names {
    pub const TARGET: &str = "shop::orders";
}

#[traced(name = "literal", kind = server, level = trace, target = "shop")]
fn literals() {}

#[traced(name = NAME, kind = "client", level = error, target = names::TARGET,)]
fn constants() {}

#[traced(name = concat!("a", "b"), kind = producer, level = warn)]
fn expressions() {}

#[traced(kind = consumer, level = info, attrs())]
fn empty_list() {}

#[traced(
    kind = internal,
    level = debug,
    attrs(
        number = n,
        sum = n + 1,
        negative = -n,
        reference = &n,
        text = text,
        literal = "x",
        display = %text,
        debug = ?text,
        option = Some(n),
        nothing = None::<i64>,
        closure = { let m = n; m * 2 },
        method = text.len(),
        http.request.method = "GET",
        messaging.r#type = 1,
        self.ref.type.mod = true,
        "key-with-dashes" = 1.5,
        "a key" = ?Some(text),
    )
)]
fn attributes(n: i64, text: &str) {
    let _ = (n, text);
}

#[traced(parent = parent)]
fn parent(parent: &Context) {
    let _ = parent;
}

#[traced(parent = remote)]
async fn remote_parent(remote: SpanContext) -> SpanContext {
    remote
}

#[traced(links = [link])]
fn one_link(link: SpanContext) {
    let _ = link;
}

#[traced(links = links.iter().copied(), attrs(batch.size = links.len()))]
async fn many_links(links: Vec<SpanContext>) -> usize {
    links.len()
}

#[traced(err, ret)]
fn both() -> Result<u8, String> {
    Ok(1)
}

#[traced(err(Display), ret(Display))]
async fn display() -> Result<u8, String> {
    Ok(1)
}

#[traced(err(Debug), ret(Debug))]
async fn debug() -> Result<u8, ()> {
    Ok(1)
}

#[traced(ret(Display))]
async fn only_ret() -> u8 {
    1
}

#[traced(crate = ::throughline, attrs(x = 1))]
fn other_path() {}

mod renamed {
    pub use ::throughline as trace;
}

#[traced(crate = crate::renamed::trace)]
fn renamed_path() {}

fn main() {
    literals();
    constants();
    expressions();
    empty_list();
    attributes(1, "x");
    parent(&Context::current());
    other_path();
    renamed_path();
    let remote = SpanContext::parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
    block_on(remote_parent(remote));
    one_link(remote);
    assert_eq!(block_on(many_links(vec![remote])), 1);
    assert_eq!(both(), Ok(1));
    assert_eq!(block_on(display()), Ok(1));
    assert_eq!(block_on(debug()), Ok(1));
    assert_eq!(block_on(only_ret()), 1);
}
