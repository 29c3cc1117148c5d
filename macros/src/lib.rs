//! The attribute macros of Throughline, re-exported by the `throughline` crate: [`macro@traced`], [`macro@skip`],
//! [`macro@actor`], [`macro@consumer`], [`macro@producer`], [`macro@projection`], [`macro@main`], [`macro@test`], [`span!`]
//! and [`enter!`].
//!
//! What they write names `::throughline::__private` only, or `__private` of the path that `crate = …` gives. Signatures
//! are streamed through whole, bodies stay the tokens they are and appear once; nothing is parsed that an expansion does
//! not need. A mistake leaves the item as it is and adds one message that says what to write instead.
#![forbid(unsafe_code)]

mod attributes;
mod boxed;
mod entry;
mod function;
mod header;
mod helper;
mod item;
mod mistakes;
mod options;
mod receive;
mod role;
mod shape;
mod span;
mod spawns;
mod start;
#[cfg(test)]
mod tests;
mod tokens;
mod traced;
mod vocabulary;

use proc_macro::TokenStream;

/// Runs a function in a span of its own: each call is one.
///
/// ```
/// use throughline::traced;
/// # struct OrderId(u64);
/// # impl std::fmt::Display for OrderId {
/// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
/// # }
/// # struct Receipt;
///
/// #[traced(attrs(order.id = %id), err)]
/// async fn place_order(id: OrderId) -> Result<Receipt, std::io::Error> {
///     Ok(Receipt)
/// }
/// ```
///
/// The signature stays the same. Arguments are recorded only when `attrs` names them. While the callsite is off, by its
/// level or because nothing records, the span costs one relaxed load and no expression is evaluated, except those of
/// `parent`.
///
/// # Where it goes
///
/// | on | means |
/// |---|---|
/// | a function or method | this one |
/// | an impl block | every method with a body; the spans are called `Type::method` |
/// | a trait definition | every method with a default body; the spans are called `Trait::method` |
/// | an inline module | every function, impl block, trait and inline module inside |
///
/// In a block, `const fn`s and methods without a body are passed over, [`#[skip]`](macro@skip) leaves a member out, and
/// an inner `#[traced(…)]` overrides the arguments of the block or adds to its `attrs`. Of the block's arguments, `err`
/// applies to the methods that return something whose name ends in `Result`, `ret` to those that return a value, and
/// attributes that mention `self` to those that have one. `name` cannot stand on a block.
///
/// ```
/// use throughline::traced;
///
/// struct Account { owner: String, balance: i64 }
///
/// #[traced(attrs(account.owner = self.owner), err)]
/// impl Account {
///     #[traced(attrs(amount = amount), level = debug)]
///     async fn withdraw(&mut self, amount: i64) -> Result<(), String> {
///         self.balance = self.balance.checked_sub(amount).ok_or("overdrawn")?;
///         Ok(())
///     }
///
///     #[skip]
///     fn balance(&self) -> i64 {
///         self.balance
///     }
/// }
/// ```
///
/// # Arguments
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "…"` | the span's name, a constant expression | the function's name |
/// | `kind = client` | `internal`, `server`, `client`, `producer` or `consumer` | `internal` |
/// | `level = debug` | `trace`, `debug`, `info`, `warn` or `error` | `info` |
/// | `target = "…"` | what filters match, a constant expression | the module's path |
/// | `attrs(a.b = x, c = %x, d = ?x)` | attributes: the value itself, its `Display` form, its `Debug` form; a key of other characters is a string | none |
/// | `err`, `err(Debug)` | records the error of a `Result` and sets the status | `Display` |
/// | `ret`, `ret(Display)` | records the returned value; beside `err`, the value of `Ok` | `Debug` |
/// | `parent = x` | the parent: a `Context`, a `SpanContext` or a `Parent` | the current span |
/// | `links = x` | links to every `SpanContext` that the iterable expression yields | none |
/// | `spawns = leave` | leaves the spawn calls of the body as they are, see [below](#spawn-calls) | `carry` |
/// | `crate = path` | where to find `throughline` | `::throughline` |
///
/// Expressions see the function's arguments, and are evaluated before the body. A text, an integer or a truth value that is
/// written out, as in `attrs(channel = "web")`, is no expression to evaluate: it is encoded at compile time, with the name,
/// and costs the recording thread nothing.
///
/// # Which functions are async
///
/// It goes by what is written, in this order:
///
/// 1. an `async fn`; its span starts with the first poll;
/// 2. a function whose return type is `impl Future`: the span starts with the call and ends with the future;
/// 3. a body that ends in `Box::pin(…)` or `async { … }.boxed()`: likewise. This is what `#[async_trait]` makes of a
///    method; `#[traced]` works on either side of it, and above is better, since it then sees the `async fn` with its
///    argument patterns;
/// 4. a boxed future that is made in another way cannot be reached, and is an error;
/// 5. every other function is sync.
///
/// An async function's future is dropped in its span, and a span whose future is dropped before it is ready counts as
/// cancelled.
///
/// # Spawn calls
///
/// What a traced body spawns has the span for its parent, if the call is written out: `tokio::spawn(…)`,
/// `tokio::task::spawn(…)`, `tokio::task::spawn_blocking(…)`, `tokio::task::spawn_local(…)` and `std::thread::spawn(…)`.
/// Their argument is wrapped, `tokio::spawn(P::carry(…))`, and nothing else is changed; a task carries the context and
/// does not hold the span open.
///
/// ```
/// # use throughline::traced;
/// # async fn send() {}
/// #[traced]
/// async fn place_order() {
///     tokio::spawn(send()); // a child of `place_order`
/// }
///
/// #[traced(spawns = leave)]
/// async fn start_of_a_pool() {
///     tokio::spawn(send()); // starts a trace of its own
/// }
/// ```
///
/// An imported `spawn(…)` is not seen, nor are methods (`handle.spawn(…)`) and calls in the arguments of macros other than
/// `select!`, `join!`, `try_join!`, `pin!` and `vec!`: `throughline::task` has functions and types of the same names, and
/// the `clippy-fragment.toml` that comes with the `throughline` crate makes Clippy find such calls.
///
/// # Expansion
///
/// The function above becomes, with `P` for `::throughline::__private`:
///
/// ```text
/// async fn place_order(id: OrderId) -> Result<Receipt, std::io::Error> {
///     P::in_span_inspect(
///         P::start(
///             {
///                 static __CALLSITE: P::Callsite = P::callsite! {
///                     name: "place_order", function: "place_order", kind: Internal, level: Info,
///                     target: P::module_path!()
///                 };
///                 &__CALLSITE
///             },
///             |__live| {
///                 P::LiveSpan::attribute(__live, const { &P::wire::key!("order.id") }, P::display(&id));
///             },
///         ),
///         async move {
///             // Never taken; says what the block yields.
///             if let P::Option::Some(__ret) = P::Option::None::<Result<Receipt, std::io::Error>> {
///                 return __ret;
///             }
///             { Ok(Receipt) }
///         },
///         |__out, __of| { P::inspect_err_display(__out, __of); },
///     )
///     .await
/// }
/// ```
///
/// Without `err` and `ret` it is `P::in_span(span, async move { … }).await`. A sync function has a guard on its stack and
/// no closure, so that `?`, `return` and borrowed locals are what they were:
///
/// ```text
/// fn total(items: &[Item]) -> u64 {
///     let __guard = P::enter({ static … }, |_| ());
///     { items.iter().map(|item| item.price).sum() }
/// }
/// ```
///
/// and with `err` or `ret`:
///
/// ```text
/// fn parse(text: &str) -> Result<u64, ParseIntError> {
///     let __guard = P::enter({ static … }, |_| ());
///     let __result = P::call(|| -> Result<u64, ParseIntError> { text.parse() });
///     let mut __span = P::SpanGuard::exit(__guard);
///     P::inspect_err_display(&__result, &mut __span);
///     P::Span::end(__span);
///     __result
/// }
/// ```
///
/// A function that returns `impl Future` becomes `let __span = P::Span::start(…); P::in_span(__span, { … })`, and one that
/// boxes its future has `Box::pin(P::in_span(__span, …))` for its last expression. An async function with several
/// arguments that are no references names them once at the front of its block, `let _ = (&last, &first);`, so that they
/// are dropped in the same order as without the annotation.
#[proc_macro_attribute]
pub fn traced(args: TokenStream, item: TokenStream) -> TokenStream {
    traced::expand(args.into(), item.into()).into()
}

/// Runs the handler of an actor's messages in a span `{actor type} {message type}`.
///
/// It stands on a method or function, or on an impl block, inherent or of a host's trait: there on every method that is
/// called `handle` or `handle_…` and takes `self` and a message. The signature stays the same, and no type changes.
///
/// ```
/// use throughline::actor;
///
/// struct Cart { items: u32 }
/// struct Add { items: u32 }
///
/// #[actor]
/// impl Cart {
///     // The span is called `Cart Add`.
///     async fn handle(&mut self, message: Add) -> Result<u32, String> {
///         self.items = self.items.checked_add(message.items).ok_or("full")?;
///         Ok(self.items)
///     }
/// }
/// ```
///
/// Where a channel of `throughline::channel` or an integration hands the message out and observes its handler, there is
/// one span for both: theirs, with the wait and the relation to the sender, which takes over this name, this place in the
/// source and these attributes. Anywhere else the span is a child of the current one.
///
/// An `Err` that the handler returns is recorded as the span's error, by its `Display` form, else by its `Debug` form,
/// else by its type.
///
/// # Arguments
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `message = "…"`, `message = %x` | what the message is: the attribute `actor.message.type`, and in the name | the type of the first argument |
/// | `loop` | the function [receives messages](#receive-loops), whatever its arguments are | if it is given no message |
/// | `name`, `kind`, `level`, `target`, `attrs(…)`, `parent`, `links`, `spawns`, `crate` | as in [`#[traced]`](macro@traced) | |
///
/// The type is that of the first argument without references, and that of what is inside of `Delivery<T>`,
/// `Envelope<T>`, `Vec<T>`, `Box<T>`, `Arc<T>` and `Option<T>`. Of an enum, `message = %message.kind()` says which variant
/// it is.
///
/// # Receive loops
///
/// A function may receive its messages by itself. Then each message has the span, from its receipt to the end of the
/// loop's body, and the function has none: nothing lives as long as the loop.
///
/// ```
/// use throughline::actor;
/// # mod mpsc { pub struct Receiver<T>(pub Vec<T>); impl<T> Receiver<T> { pub async fn recv(&mut self) -> Option<T> { self.0.pop() } } }
/// # struct Add { items: u32 }
///
/// struct Cart { inbox: mpsc::Receiver<Add>, items: u32 }
///
/// #[actor]
/// impl Cart {
///     async fn run(mut self) -> Result<u32, String> {
///         while let Some(message) = self.inbox.recv().await {
///             if message.items == 0 {
///                 continue;
///             }
///             self.handle(message)?;
///         }
///         Ok(self.items)
///     }
///
///     fn handle(&mut self, message: Add) -> Result<(), String> {
///         self.items = self.items.checked_add(message.items).ok_or("full")?;
///         Ok(())
///     }
/// }
/// ```
///
/// A loop receives in one of these ways; the methods that it calls are `recv`, `recv_async`, `next` and `try_next` where they
/// are awaited, and `recv`, `blocking_recv`, `recv_blocking`, `recv_timeout`, `recv_deadline` and `try_recv` where not:
///
/// | written | handled by |
/// |---|---|
/// | `while let … = ….recv().await { … }`, with any pattern, and with conditions beside | the body |
/// | in a loop, `let … = ….recv().await else { … };`, `let … = ….recv().await?;`, `let … = match ….recv().await { … };` | the rest of the loop's body |
/// | in a loop, `match ….recv().await { … }` | the arms, except those of `None`, `Err(…)` and `_` |
/// | in a loop, `if let … = ….recv().await { … } else { … }` | the first block |
/// | in a loop, an arm of `select!` | the arm |
/// | `for … in receiver`, `in &receiver` and `in receiver.iter()`, of an argument whose type is called `…Receiver` | the body |
///
/// A `?` may stand behind each receive. `break`, `continue`, `return` and `?` do what they do without the annotation; an
/// error that is returned while a message is handled is that of the message. In a function that is not async, which blocks
/// its thread until a message comes, the span is entered on that thread.
///
/// ```
/// use std::sync::mpsc::Receiver;
/// use throughline::actor;
///
/// #[actor]
/// fn total(prices: Receiver<u32>) -> u32 {
///     let mut total = 0;
///     for price in prices {
///         total += price; // in the span `total u32`
///     }
///     total
/// }
/// # let (tx, rx) = std::sync::mpsc::channel();
/// # tx.send(3).unwrap();
/// # drop(tx);
/// # assert_eq!(total(rx), 3);
/// ```
///
/// What is received from a channel of `throughline::channel` has a sender, and its span waits and relates to that as the
/// receiver's policy says; what comes out of any other has none, and its span is a child of the current one. A handler in the body that is annotated, too, has
/// the span of the loop. `Delivery::handle` makes a span by itself: a loop that calls it needs no annotation.
///
/// In a block, the loops are in the methods that are called `run` or `run_…`; where the block has handlers, `message`
/// and `attrs(…)` are said of these. On a function, it is one that is given no message: without arguments, or whose first
/// argument is of a type called `…Receiver`, `…Consumer`, `…Subscriber` or `…Stream`; others say `loop`. The arguments of the
/// annotation see the message by the names that the pattern gives, which in a `match` each arm has to give.
///
/// # Expansion
///
/// The method above becomes, with `P` for `::throughline::__private`:
///
/// ```text
/// async fn handle(&mut self, message: Add) -> Result<u32, String> {
///     P::in_span(
///         P::start_constant_handler(
///             {
///                 static __CALLSITE: P::Callsite = P::callsite! {
///                     name: "Cart Add", …,
///                     attributes: { "actor.type" = ("Cart"), "actor.message.type" = ("Add"), }
///                 };
///                 &__CALLSITE
///             },
///         ),
///         P::told(
///             async move { … },
///             |__out| {
///                 use P::{ToldDebug as _, ToldDisplay as _, ToldFailure as _, ToldNothing as _};
///                 (&&&&P::Told(__out, P::handler_failed)).tell();
///             },
///         ),
///     )
///     .await
/// }
/// ```
#[proc_macro_attribute]
pub fn actor(args: TokenStream, item: TokenStream) -> TokenStream {
    role::expand(role::Role::Actor, args.into(), item.into()).into()
}

/// Runs the handler of a queue's records in a span `process {destination}` of kind consumer.
///
/// It stands where [`#[actor]`](macro@actor) does, shares the span of an integration as that does, and has the attributes
/// of OpenTelemetry's messaging conventions (v1.44).
///
/// ```
/// use throughline::consumer;
///
/// struct Order { id: u64 }
///
/// #[consumer(system = "kafka", destination = %topic, batch, attrs(first = orders[0].id))]
/// async fn store(orders: Vec<Order>, topic: &str) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// ```
///
/// | argument | meaning |
/// |---|---|
/// | `system = "kafka"` | `messaging.system`; required |
/// | `destination = "orders"`, `destination = %topic` | `messaging.destination.name`, and in the name; required |
/// | `batch` | the first argument is several records: `messaging.batch.message_count` is its `len()` |
/// | `loop` | the function receives the records, in a [loop](macro@actor#receive-loops) |
/// | `name`, `kind`, `level`, `target`, `attrs(…)`, `parent`, `links`, `spawns`, `crate` | as in [`#[traced]`](macro@traced) |
#[proc_macro_attribute]
pub fn consumer(args: TokenStream, item: TokenStream) -> TokenStream {
    role::expand(role::Role::Consumer, args.into(), item.into()).into()
}

/// Runs a function that sends a record in a span `send {destination}` of kind producer.
///
/// The span is a child of the current one, and current while the function runs, so that the headers which the function
/// writes are those of the send. Where metrics are on, it counts as one message sent, sampled or not, and its time and
/// its error are those of the operation.
///
/// It is for clients that make no spans. A producer that does, as those of `throughline-rdkafka` do, tells more, makes one
/// per record however many a function sends, and needs no attribute: with one there are two spans, the inner of them
/// the one that travels, and two messages in the metrics.
///
/// ```
/// use throughline::{Context, producer, propagate};
///
/// #[producer(system = "kafka", destination = "orders")]
/// async fn publish(order: &str) -> Result<(), std::io::Error> {
///     let mut headers = std::collections::HashMap::<String, String>::new();
///     propagate::inject(&Context::current(), &mut headers);
///     // …
///     Ok(())
/// }
/// ```
///
/// The arguments are those of [`#[consumer]`](macro@consumer) but `batch` and `loop`.
#[proc_macro_attribute]
pub fn producer(args: TokenStream, item: TokenStream) -> TokenStream {
    role::expand(role::Role::Producer, args.into(), item.into()).into()
}

/// Runs a projection's handler of events in a span `project {projection} {event type}`.
///
/// It stands where [`#[actor]`](macro@actor) does and shares the span of an integration as that does. The span ends when
/// the future of the handler does, and fails when that returns an error.
///
/// ```
/// use throughline::projection;
///
/// struct GoalAdded { stream_id: String, sequence: u64 }
///
/// #[projection(name = "goal_summary", stream = %event.stream_id, sequence = event.sequence)]
/// async fn on_added(event: &GoalAdded) -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// ```
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "goal_summary"` | the projection: `projection.name`, and in the name; required, written out | |
/// | `event = "…"`, `event = %x` | `projection.event.type`, and in the name | the type of the first argument |
/// | `stream = %x` | `projection.stream.id` | none |
/// | `sequence = x` | `projection.sequence` | none |
/// | `loop` | the function receives the events, in a [loop](macro@actor#receive-loops) | if it is given no event |
/// | `kind`, `level`, `target`, `attrs(…)`, `parent`, `links`, `spawns`, `crate` | as in [`#[traced]`](macro@traced) | |
#[proc_macro_attribute]
pub fn projection(args: TokenStream, item: TokenStream) -> TokenStream {
    role::expand(role::Role::Projection, args.into(), item.into()).into()
}

/// Leaves a member of an impl block, trait or module out that is annotated with [`#[traced]`](macro@traced).
///
/// It is a mark that `#[traced]` takes off, so it needs no import; written as `#[throughline::skip]` it means the same.
/// Anywhere else it is an error.
///
/// ```
/// #[throughline::traced]
/// mod orders {
///     pub fn traced() {}
///
///     #[skip]
///     pub fn not_traced() {}
/// }
/// ```
///
/// ```compile_fail
/// #[throughline::skip]
/// fn outside() {}
/// ```
#[proc_macro_attribute]
pub fn skip(_args: TokenStream, item: TokenStream) -> TokenStream {
    traced::misplaced_skip(item.into()).into()
}

/// Starts the pipeline as the environment describes it, runs `main`, and flushes at its end.
///
/// An `async fn main` gets a Tokio runtime; a plain `fn main` gets none and may start its own.
///
/// | argument | default |
/// |---|---|
/// | `flavor = "multi_thread"` or `"current_thread"` | `"multi_thread"` |
/// | `worker_threads = 4`, with `"multi_thread"` only | one per processor |
/// | `crate = path` | `::throughline` |
///
/// ```no_run
/// #[throughline::main(worker_threads = 2)]
/// async fn main() -> Result<(), std::io::Error> {
///     Ok(())
/// }
/// ```
///
/// becomes, with `P` for `::throughline::__private`:
///
/// ```text
/// fn main() -> Result<(), std::io::Error> {
///     P::block_on_main(
///         P::Runtime { multi_thread: true, worker_threads: P::Option::Some(2) },
///         async move {
///             // Never taken; says what the block yields.
///             if let P::Option::Some(__ret) = P::Option::None::<Result<(), std::io::Error>> {
///                 return __ret;
///             }
///             { Ok(()) }
///         },
///     )
/// }
/// ```
///
/// and a plain `fn main` becomes `fn main() { P::run_main(|| -> () { … }) }`.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::main(args.into(), item.into()).into()
}

/// A test that may be async, and that may look at the spans it made.
///
/// The arguments are those of [`#[main]`](macro@main); the default flavor is `"current_thread"`. A test with an argument
/// gets a capture in which everything is recorded that the test does, and nothing of the tests beside it; this needs the
/// feature `testing`.
///
/// ```
/// #[throughline::test]
/// async fn adds() {
///     assert_eq!(1 + 1, 2);
/// }
/// ```
///
/// becomes, with `P` for `::throughline::__private`:
///
/// ```text
/// #[::core::prelude::v1::test]
/// fn adds() {
///     P::block_on_test(
///         P::Runtime { multi_thread: false, worker_threads: P::Option::None },
///         async move { … },
///     )
/// }
/// ```
///
/// With an argument it is `P::block_on_test_with(P::Runtime { … }, |capture| async move { … })`, and a plain `fn` becomes
/// `P::run_test(|| -> () { … })` or `P::run_test_with(|capture| -> () { … })`.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::test(args.into(), item.into()).into()
}

/// Makes a span for a block: an expression of type `Span`, started and not entered.
///
/// Options come first and are written `key: value`; then the name, a constant expression; then the attributes as
/// `key = value`, `key = %value` or `key = ?value`, as in [`#[traced(attrs(…))]`](macro@traced). Values that are written out
/// cost the recording thread nothing, there as here.
///
/// ```
/// use throughline::span;
///
/// let (card, amount) = ("visa", 12);
/// {
///     let _guard = span!("charge card", channel = "web", card.brand = card, amount = amount).enter();
///     // …
/// }
/// span!(kind: client, level: debug, target: "shop", "look up").in_scope(|| { /* … */ });
/// ```
///
/// The options are `kind`, `level`, `target`, `parent`, `links` and `crate`, with the values that they have in
/// `#[traced]`. The first span above is, with `P` for `::throughline::__private`:
///
/// ```text
/// P::start(
///     {
///         static __CALLSITE: P::Callsite = P::callsite! {
///             name: "charge card", kind: Internal, level: Info, target: P::module_path!(),
///             attributes: { "channel" = ("web"), }
///         };
///         &__CALLSITE
///     },
///     |__live| {
///         P::LiveSpan::attribute(__live, const { &P::wire::key!("card.brand") }, &card);
///         P::LiveSpan::attribute(__live, const { &P::wire::key!("amount") }, &amount);
///     },
/// )
/// ```
#[proc_macro]
pub fn span(input: TokenStream) -> TokenStream {
    span::expand(input.into(), span::Form::Span).into()
}

/// Enters a span for the rest of a block: an expression of type `SpanGuard`, whose end is that of the span.
///
/// It takes what [`span!`] takes and is `span!(…).enter()`, at half the cost where the trace is not sampled: such a span
/// is never made, only entered.
///
/// ```
/// use throughline::enter;
///
/// fn charge(card: &str, amount: i64) {
///     let _guard = enter!("charge card", card.brand = card, amount = amount);
///     // …
/// }
/// ```
///
/// The expansion differs from that of `span!` in the function that it calls, `P::enter`.
#[proc_macro]
pub fn enter(input: TokenStream) -> TokenStream {
    span::expand(input.into(), span::Form::Guard).into()
}
