//! What headers may cost in memory: nothing in the common case, and in a flood no more than twice what one valid
//! header does. The binary counts what its threads allocate.

#![expect(unsafe_code, reason = "a counting allocator cannot be had without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use throughline_core::Context;
use throughline_core::propagate::{Format, Propagator};

thread_local!(static ALLOCATED: Cell<usize> = const { Cell::new(0) });

struct Counting;

// SAFETY: forwards to the system allocator; counting touches a thread-local without a destructor, which does not
// allocate. A reallocation goes through `alloc`, and so counts in full.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get() + layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that `f` allocates on this thread, freed or not.
fn allocated<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATED.get();
    let result = f();
    (ALLOCATED.get() - before, result)
}

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

type Headers = Vec<(&'static str, String)>;

fn request(name: &'static str, values: Vec<String>) -> Headers {
    let mut headers = vec![("traceparent", PARENT.to_owned())];
    headers.extend(values.into_iter().map(|value| (name, value)));
    headers
}

/// One valid header that is as long as a header may be.
fn control(name: &'static str) -> Headers {
    let most = if name == "tracestate" { 32 } else { 64 };
    let mut value: Vec<_> = (0..most)
        .map(|n| format!("key{n:02}=value{n:04}"))
        .collect();
    if name == "baggage" {
        for member in &mut value {
            member.push_str(&"x".repeat(8191 / 64 - member.len()));
        }
    }
    request(name, vec![value.join(",")])
}

fn extraction(headers: &Headers) -> (usize, Context) {
    allocated(|| Propagator::default().extract(headers))
}

#[test]
fn traceparent_alone_allocates_nothing() {
    let headers = request("", Vec::new());
    let (bytes, context) = extraction(&headers);
    assert!(context.span_context().is_sampled());
    let mut sent = [0; 55];
    let (out, ()) = allocated(|| {
        let mut carrier = |name: &str, value: &str| {
            assert_eq!(name, "traceparent");
            sent.copy_from_slice(value.as_bytes());
        };
        Propagator::default().inject(&context, &mut carrier);
    });
    assert_eq!((bytes, out), (0, 0));
    assert_eq!(sent, PARENT.as_bytes());
}

#[test]
fn no_format_allocates_for_ids_and_a_decision() {
    let context = Propagator::default().extract(&request("", Vec::new()));
    for format in Format::ALL {
        let propagator = Propagator::new([format]);
        let mut headers = Vec::<(String, String)>::new();
        propagator.inject(&context, &mut headers);
        let (bytes, received) = allocated(|| propagator.extract(&headers));
        let (out, ()) = allocated(|| propagator.inject(&received, &mut |_: &str, _: &str| ()));
        assert_eq!((bytes, out), (0, 0), "{format:?}");
    }
}

#[test]
fn a_flood_costs_at_most_twice_what_one_valid_header_does() {
    const MIB: usize = 1 << 20;
    for name in ["tracestate", "baggage"] {
        let (valid, context) = extraction(&control(name));
        assert!(valid > 0 && context != Context::default());
        let mut worst = 0;
        let mut check = |what: &str, values: Vec<String>| {
            let headers = request(name, values);
            let (bytes, context) = extraction(&headers);
            assert!(
                bytes <= 2 * valid,
                "{name}: {what}: {bytes} bytes, {valid} for a valid one"
            );
            assert_eq!(context.span_context().to_traceparent().as_str(), PARENT);
            let (out, ()) = allocated(|| {
                let all = Propagator::default().allow_all_baggage();
                all.inject(&context, &mut |_: &str, _: &str| ());
            });
            // A header is written into a string that doubles as it grows.
            assert!(out <= 4 * 8192, "{name}: {what}: {out} bytes to send");
            worst = worst.max(bytes);
        };
        for count in [1, 2, 10, 64, 100, 1000] {
            let members = |n: usize| format!("k{n}=v{n}");
            check("many headers", (0..count).map(members).collect());
            check("many headers of one key", vec!["k=v".to_owned(); count]);
            check("many full headers", vec![control(name)[1].1.clone(); count]);
            check("empty headers", vec![String::new(); count]);
            check("broken headers", vec!["=;,".repeat(100); count]);
        }
        check("a value of 1 MiB", vec![format!("k={}", "v".repeat(MIB))]);
        check("a key of 1 MiB", vec![format!("{}=v", "k".repeat(MIB))]);
        check("commas", vec![",".repeat(MIB)]);
        check("semicolons", vec![format!("k=v{}", ";".repeat(100_000))]);
        check("properties", vec![format!("k=v{}", ";p".repeat(100_000))]);
        check("percent signs", vec![format!("k={}", "%".repeat(MIB))]);
        check("escapes", vec![format!("k={}", "%FF".repeat(2700))]);
        check("members without end", vec!["k=v,".repeat(MIB / 4)]);
        check("a hundred of 1 MiB", vec!["k=v,".repeat(MIB / 4); 100]);
        println!("{name}: {valid} bytes for a valid header, {worst} at worst in a flood");
    }
}

#[test]
fn floods_of_the_other_headers_cost_nothing_or_little() {
    for format in Format::ALL {
        for field in format.fields() {
            for value in [
                "1".repeat(1 << 20),
                "0-".repeat(1 << 19),
                ";=".repeat(1 << 19),
            ] {
                let headers = vec![(*field, value); 10];
                let (bytes, _) = allocated(|| Propagator::new([format]).extract(&headers));
                assert!(bytes <= 64 << 10, "{field}: {bytes} bytes");
            }
        }
    }
}
