//! Each argument of `#[traced]`, and when its expressions are evaluated.

use std::cell::Cell;
use std::fmt;

use futures::executor::block_on;
use throughline::core::{Parent, SpanContext};
use throughline::testing::{Capture, TreeOptions, Value};
use throughline::{Context, span, traced};

#[derive(Clone, Copy, Debug)]
struct OrderId(u64);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "order-{}", self.0)
    }
}

#[derive(Debug)]
enum OrderError {
    OutOfStock,
}

impl fmt::Display for OrderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("out of stock")
    }
}

#[traced(attrs(order.id = %id, "order id" = ?id, order.number = id.0, coupon = None::<&str>), err)]
async fn place_order(id: OrderId, left: u32) -> Result<OrderId, OrderError> {
    charge(id.0).await;
    if left == 0 {
        return Err(OrderError::OutOfStock);
    }
    reserve(left);
    Ok(id)
}

#[traced(kind = client, name = "charge card", attrs(amount = amount))]
async fn charge(amount: u64) {}

#[traced(level = debug)]
fn reserve(left: u32) {
    let _ = left;
}

#[test]
fn attributes_names_and_kinds() {
    let capture = Capture::start();
    let _here = capture.attach();
    assert_eq!(block_on(place_order(OrderId(7), 1)).expect("in stock").0, 7);
    insta::assert_snapshot!(capture.tree(), @r#"
    place_order {order.id="order-7", order id="OrderId(7)", order.number=7}
    ├─ charge card [client] {amount=7}
    └─ reserve
    "#);
}

#[test]
fn an_error_is_recorded_and_sets_the_status() {
    let capture = Capture::start();
    let _here = capture.attach();
    assert!(block_on(place_order(OrderId(7), 0)).is_err());
    insta::assert_snapshot!(capture.tree(), @r#"
    place_order {order.id="order-7", order id="OrderId(7)", order.number=7, error.type="it::macros::arguments::OrderError"} error: out of stock
    │  • exception {exception.type="it::macros::arguments::OrderError", exception.message="out of stock"}
    └─ charge card [client] {amount=7}
    "#);
}

#[test]
fn outcomes_in_all_forms() {
    #[traced(err(Debug))]
    fn debug_error() -> Result<(), OrderError> {
        Err(OrderError::OutOfStock)
    }

    #[traced(ret)]
    fn value(n: u32) -> Option<u32> {
        let less = n.checked_sub(1)?;
        Some(less)
    }

    #[traced(ret(Display), err)]
    fn both(fail: bool) -> Result<OrderId, OrderError> {
        let left = if fail { 0 } else { 1 };
        if left == 0 {
            Err(OrderError::OutOfStock)
        } else {
            Ok(OrderId(1))
        }
    }

    #[traced(ret, err(Debug))]
    async fn both_async(fail: bool) -> Result<OrderId, OrderError> {
        both(fail)
    }

    #[traced(ret(Display))]
    async fn value_async() -> OrderId {
        OrderId(2)
    }

    let capture = Capture::start();
    let _here = capture.attach();
    assert!(debug_error().is_err());
    assert_eq!((value(0), value(2)), (None, Some(1)));
    let _ = (
        block_on(both_async(false)),
        block_on(both_async(true)),
        block_on(value_async()),
    );
    insta::assert_snapshot!(capture.tree(), @r#"
    debug_error {error.type="it::macros::arguments::OrderError"} error: OutOfStock
       • exception {exception.type="it::macros::arguments::OrderError", exception.message="OutOfStock"}
    value {return="None"}
    value {return="Some(1)"}
    both_async {return="OrderId(1)"}
    └─ both {return="order-1"}
    both_async {error.type="it::macros::arguments::OrderError"} error: OutOfStock
    │  • exception {exception.type="it::macros::arguments::OrderError", exception.message="OutOfStock"}
    └─ both {error.type="it::macros::arguments::OrderError"} error: out of stock
          • exception {exception.type="it::macros::arguments::OrderError", exception.message="out of stock"}
    value_async {return="order-2"}
    "#);
}

#[test]
fn parents_and_links() {
    #[traced(parent = Parent::Root)]
    fn root() {}

    #[traced(parent = parent)]
    async fn child_of(parent: &Context) {}

    #[traced(parent = remote, links = links.iter().copied(), attrs(batch.size = links.len()))]
    fn received(remote: SpanContext, links: Vec<SpanContext>) -> usize {
        links.len()
    }

    let capture = Capture::start();
    let _here = capture.attach();
    let outer = span!("outer");
    let outer_context = outer.context();
    let linked = span!("linked").in_scope(Context::current);
    outer.in_scope(|| {
        root();
        span!("in between").in_scope(|| block_on(child_of(&outer_context)));
    });
    let remote: SpanContext = (&outer_context).into();
    assert_eq!(received(remote, vec![(&linked).into()]), 1);
    insta::assert_snapshot!(capture.tree(), @r"
    outer
    ├─ in between
    ├─ child_of
    └─ received {batch.size=1}
          → linked (another trace)
    linked
    root
    ");
}

#[test]
fn expressions_are_evaluated_only_for_a_recorded_span() {
    thread_local!(static EVALUATED: Cell<u32> = const { Cell::new(0) });

    fn evaluate() -> u32 {
        EVALUATED.set(EVALUATED.get() + 1);
        EVALUATED.get()
    }

    #[traced(attrs(n = evaluate()), links = { evaluate(); None::<SpanContext> })]
    fn sync() {}

    #[traced(attrs(n = evaluate()))]
    async fn not_sync() {}

    sync();
    block_on(not_sync());
    drop(span!("block", n = evaluate()));
    assert_eq!(EVALUATED.get(), 0);

    let capture = Capture::start();
    let _here = capture.attach();
    sync();
    // An async function begins with its first poll.
    drop(not_sync());
    assert_eq!(EVALUATED.get(), 2);
    assert_eq!(capture.spans().len(), 1);
}

#[test]
fn the_code_is_known() {
    struct Type;

    #[traced]
    impl Type {
        fn method(&self) {}
    }

    let capture = Capture::start();
    let _here = capture.attach();
    Type.method();
    reserve(1);
    drop(span!("block"));
    let options = TreeOptions::new()
        .hide("*")
        .show("code.function.name")
        .show("code.file.path");
    insta::assert_snapshot!(capture.tree_with(&options), @r#"
    Type::method {code.function.name="it::macros::arguments::Type::method", code.file.path="tests/it/macros/arguments.rs"}
    reserve {code.function.name="it::macros::arguments::reserve", code.file.path="tests/it/macros/arguments.rs"}
    block {code.file.path="tests/it/macros/arguments.rs"}
    "#);
    let spans = capture.spans();
    assert_eq!(spans[0].scope.name, "throughline-tests");
    assert_eq!(spans[0].scope.version, env!("CARGO_PKG_VERSION"));
    assert!(matches!(
        spans[1].attribute("code.line.number"),
        Some(Value::Int(1..))
    ));
}
