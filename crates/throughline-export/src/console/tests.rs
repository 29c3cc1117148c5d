//! Pictures of traces made of encoded requests.

use bytes::Bytes;
use throughline_wire::{
    AttributeField, Buffer, Limits, SpanHead, put_attribute, put_event, put_link, put_request,
    put_scope, put_span, put_status,
};

use super::*;

/// A span from one millisecond to another, with the fields that `fill` adds.
fn span(
    trace: u8,
    id: u8,
    parent: u8,
    name: &str,
    millis: (u64, u64),
    fill: impl FnOnce(&mut Buffer),
) -> Vec<u8> {
    let mut body = Buffer::new();
    fill(&mut body);
    let mut out = Vec::new();
    put_span(
        &mut out,
        &SpanHead {
            trace_id: [trace; 16],
            span_id: [id; 8],
            parent_span_id: [parent; 8],
            flags: if parent == REMOTE { 0x301 } else { 0x101 },
            kind: if parent == REMOTE { 2 } else { 1 },
            start_unix_nano: BASE + millis.0 * 1_000_000,
            end_unix_nano: BASE + millis.1 * 1_000_000,
            name: Some(name),
            body: &body,
            ..SpanHead::default()
        },
    );
    out
}

const BASE: u64 = 1_700_000_000_000_000_000;
/// The id of a span in another process.
const REMOTE: u8 = 0xee;

fn batch(spans: &[Vec<u8>]) -> Batch {
    let (mut scope, mut request) = (Vec::new(), Vec::new());
    put_scope(&mut scope, &throughline_wire::Scope::default());
    let all = spans.concat();
    put_request(&mut request, &[], "", [(&scope[..], &all[..])].into_iter());
    Batch::new(Bytes::from(request), spans.len() as u64)
}

fn text(body: &mut Buffer, key: &str, value: &str) {
    put_attribute(body, AttributeField::Span, &key, Limits::default(), |out| {
        out.str(value);
    });
}

fn number(body: &mut Buffer, key: &str, value: i64) {
    put_attribute(body, AttributeField::Span, &key, Limits::default(), |out| {
        out.i64(value);
    });
}

fn drawn(exporter: &mut ConsoleExporter<Vec<u8>>) -> String {
    String::from_utf8(std::mem::take(&mut exporter.out)).unwrap()
}

fn exporter() -> ConsoleExporter<Vec<u8>> {
    ConsoleExporter::new(Vec::new())
}

#[tokio::test]
async fn a_trace_is_a_tree_with_durations() {
    let mut exporter = exporter();
    let spans = [
        span(1, 3, 2, "insert", (3, 5), |body| {
            text(body, "db.system.name", "sqlite");
            text(body, "code.function.name", "goals::insert");
            number(body, "poll_count", 4);
            number(body, "busy_ns", 1_500_000);
            number(body, "idle_ns", 500_000);
        }),
        span(1, 4, 2, "notify", (5, 6), |body| {
            put_status(body, 2, "mailbox full");
            put_link(body, [9; 16], [9; 8], "", 1, |_| {});
        }),
        span(1, 2, 1, "create", (2, 7), |body| {
            number(body, "goal.id", 42);
            put_event(body, BASE + 2_500_000, "validated", |event| {
                event.attribute(&"ok", Limits::default(), |out| out.bool(true));
            });
        }),
        span(1, 1, REMOTE, "POST /goals", (0, 12), |body| {
            put_event(body, BASE + 1_000_000, "read", |_| {});
        }),
    ];
    exporter.export(batch(&spans)).await.unwrap();
    assert_eq!(
        drawn(&mut exporter),
        "\
trace 01010101010101010101010101010101: 4 spans in 12.0 ms
└─ POST /goals 12.0 ms [server] [remote parent]
   │  • read +1.00 ms
   └─ create 5.00 ms at +2.00 ms goal.id=42
      │  • validated +500 µs ok=true
      ├─ insert 2.00 ms at +3.00 ms [busy 1.50 ms in 4 polls] db.system.name=sqlite
      └─ notify 1.00 ms at +5.00 ms [1 linked] ERROR mailbox full

"
    );
}

#[tokio::test]
async fn a_trace_waits_for_its_beginning() {
    let mut exporter = exporter();
    let child = span(1, 2, 1, "child", (1, 2), |_| {});
    exporter.export(batch(&[child])).await.unwrap();
    assert_eq!(drawn(&mut exporter), "");
    let root = span(1, 1, 0, "root", (0, 3), |_| {});
    exporter.export(batch(&[root])).await.unwrap();
    assert_eq!(
        drawn(&mut exporter),
        "\
trace 01010101010101010101010101010101: 2 spans in 3.00 ms
└─ root 3.00 ms
   └─ child 1.00 ms at +1.00 ms

"
    );
    // A child that outlived the beginning comes with the next flush.
    let late = span(1, 3, 1, "late", (1, 9), |_| {});
    exporter.export(batch(&[late])).await.unwrap();
    assert_eq!(drawn(&mut exporter), "");
    exporter.flush().await.unwrap();
    assert_eq!(
        drawn(&mut exporter),
        "\
trace 01010101010101010101010101010101 (continued): 1 span in 8.00 ms
└─ late 8.00 ms

"
    );
}

#[tokio::test]
async fn traces_do_not_mix() {
    let mut exporter = exporter();
    let spans = [
        span(1, 1, 0, "a", (0, 1), |_| {}),
        span(2, 2, 9, "c", (1, 2), |_| {}),
        span(2, 1, 0, "b", (0, 2), |_| {}),
    ];
    exporter.export(batch(&spans)).await.unwrap();
    assert_eq!(
        drawn(&mut exporter),
        "\
trace 01010101010101010101010101010101: 1 span in 1.00 ms
└─ a 1.00 ms

trace 02020202020202020202020202020202: 2 spans in 2.00 ms
├─ b 2.00 ms
└─ c 1.00 ms at +1.00 ms

"
    );
}

#[tokio::test]
async fn control_characters_do_not_reach_the_terminal() {
    let mut exporter = exporter();
    let hostile = span(1, 1, 0, "a\u{1b}[2J\nforged", (0, 1), |body| {
        text(body, "k\r", "v\u{1b}]0;title\u{7}");
        put_status(body, 2, "x\ny");
    });
    exporter.export(batch(&[hostile])).await.unwrap();
    assert_eq!(
        drawn(&mut exporter),
        "\
trace 01010101010101010101010101010101: 1 span in 1.00 ms
└─ a\\u{1b}[2J\\nforged 1.00 ms ERROR x\\ny k\\r=v\\u{1b}]0;title\\u{7}

"
    );
}

#[tokio::test]
async fn every_kind_of_value_is_shown() {
    let mut exporter = exporter();
    let spans = [span(1, 1, 0, "values", (0, 0), |body| {
        put_attribute(body, AttributeField::Span, &"f", Limits::default(), |out| {
            out.f64(0.5);
        });
        put_attribute(body, AttributeField::Span, &"i", Limits::default(), |out| {
            out.i64(-1);
        });
        put_attribute(body, AttributeField::Span, &"b", Limits::default(), |out| {
            out.bytes(b"\x01\xff");
        });
        put_attribute(body, AttributeField::Span, &"a", Limits::default(), |out| {
            out.array(|array| {
                array.value(|out| out.i64(1));
                array.value(|out| out.map(|map| map.entry(&"k", |out| out.str("v"))));
            });
        });
    })];
    exporter.export(batch(&spans)).await.unwrap();
    let picture = drawn(&mut exporter);
    assert!(
        picture.ends_with("└─ values 0 ns f=0.5 i=-1 b=0x01ff a=[1, {k=v}]\n\n"),
        "{picture}"
    );
}

#[tokio::test]
async fn circles_and_endless_nesting_end() {
    let mut exporter = exporter();
    let mut spans = vec![
        span(1, 250, 251, "circle", (0, 1), |_| {}),
        span(1, 251, 250, "circle", (0, 1), |_| {}),
        span(1, 1, 0, "root", (0, 1), |_| {}),
    ];
    spans.extend((2..200).map(|id| span(1, id, id - 1, "nested", (0, 1), |_| {})));
    exporter.export(batch(&spans)).await.unwrap();
    let picture = drawn(&mut exporter);
    assert!(picture.contains("201 spans"), "{picture}");
    assert!(
        picture.ends_with("   … and 101 more, nested too deeply or in a circle\n\n"),
        "{picture}"
    );
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let mut exporter = exporter();
    let orphan = |trace| span(trace, 2, 1, "orphan", (0, 1), |_| {});
    let many = vec![orphan(1); MAX_WAITING_SPANS];
    exporter.export(batch(&many)).await.unwrap();
    assert_eq!(drawn(&mut exporter), "");
    exporter.export(batch(&[orphan(2)])).await.unwrap();
    assert!(drawn(&mut exporter).starts_with("trace 0101"));
    assert_eq!(exporter.waiting.len(), 1);
}

#[tokio::test]
async fn what_is_no_request_and_what_cannot_be_written_is_an_error() {
    let mut exporter = exporter();
    let malformed = Batch::new(Bytes::from_static(b"\x0a\x7f"), 1);
    let error = exporter.export(malformed).await.unwrap_err();
    assert_eq!(error.error_type(), "malformed");

    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let root = span(1, 1, 0, "root", (0, 1), |_| {});
    let mut exporter = ConsoleExporter::new(Closed);
    let error = exporter.export(batch(&[root])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "standard output cannot be written: broken pipe"
    );
}
