//! Streams that take what they like.

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::*;

const ONE: &str = "{\"resourceSpans\":[{\"schemaUrl\":\"1\"}]}";
const TWO: &str = "{\"resourceSpans\":[{\"schemaUrl\":\"2\"}]}";

fn batch(schema_url: u8) -> Batch {
    Batch::new(vec![0x0a, 3, 0x1a, 1, schema_url].into(), 1)
}

/// Takes up to so many bytes at a time, or fails; everything once there are no more
/// instructions.
struct Scripted {
    script: Vec<Result<usize, ErrorKind>>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut count = bytes.len();
        if !self.script.is_empty() {
            count = count.min(self.script.remove(0)?);
        }
        self.written
            .lock()
            .unwrap()
            .extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scripted(script: &[Result<usize, ErrorKind>]) -> (OtlpFileExporter, Arc<Mutex<Vec<u8>>>) {
    let written = Arc::default();
    let stream = Scripted {
        script: script.to_vec(),
        written: Arc::clone(&written),
    };
    (OtlpFileExporter::writer(stream), written)
}

fn text(written: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(written.lock().unwrap().clone()).unwrap()
}

#[tokio::test]
async fn short_and_interrupted_writes_make_whole_lines() {
    let (mut exporter, written) = scripted(&[Ok(1), Err(ErrorKind::Interrupted), Ok(7), Ok(0)]);
    exporter.export(batch(b'1')).await.unwrap_err();
    let (mut exporter, whole) = scripted(&[Ok(1), Err(ErrorKind::Interrupted), Ok(7)]);
    exporter.export(batch(b'1')).await.unwrap();
    exporter.export(batch(b'2')).await.unwrap();
    assert_eq!(text(&whole), format!("{ONE}\n{TWO}\n"));
    assert_eq!(text(&written), ONE[..8]);
}

#[tokio::test]
async fn a_torn_line_is_followed_by_a_new_one() {
    let (mut exporter, written) = scripted(&[
        Ok(5),
        Err(ErrorKind::StorageFull),
        // Nothing of the second attempt but the end of the torn line.
        Ok(1),
        Err(ErrorKind::StorageFull),
        Err(ErrorKind::StorageFull),
    ]);
    for _ in 0..3 {
        let error = exporter.export(batch(b'1')).await.unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.error_type(), "storage_full");
    }
    exporter.export(batch(b'1')).await.unwrap();
    exporter.export(batch(b'2')).await.unwrap();
    assert_eq!(text(&written), format!("{}\n{ONE}\n{TWO}\n", &ONE[..5]));
}

#[tokio::test]
async fn errors_have_types() {
    for (kind, transient, error_type) in [
        (ErrorKind::StorageFull, true, "storage_full"),
        (ErrorKind::QuotaExceeded, true, "storage_full"),
        (ErrorKind::WouldBlock, true, "io"),
        (ErrorKind::BrokenPipe, false, "broken_pipe"),
        (ErrorKind::PermissionDenied, false, "io"),
    ] {
        let (mut exporter, _) = scripted(&[Err(kind)]);
        let error = exporter.export(batch(b'1')).await.unwrap_err();
        assert_eq!(
            (error.is_transient(), error.error_type()),
            (transient, error_type)
        );
    }
    let (mut exporter, written) = scripted(&[]);
    let malformed = Batch::new(vec![0x0a].into(), 1);
    let error = exporter.export(malformed).await.unwrap_err();
    assert_eq!(error.error_type(), "malformed");
    exporter.export(batch(b'1')).await.unwrap();
    assert_eq!(text(&written), format!("{ONE}\n"));
}

/// Waits for the other side before each write.
struct Held {
    begun: Sender<()>,
    go: Receiver<()>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.begun.send(()).map_err(io::Error::other)?;
        self.go.recv().map_err(io::Error::other)?;
        self.written.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins an export and gives it up, as a timeout does.
fn attempt(exporter: &mut OtlpFileExporter, batch: Batch) {
    let mut attempt = exporter.export(batch);
    let poll = attempt
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll, Poll::Pending));
}

#[tokio::test]
async fn a_write_that_outlasts_its_attempts_is_not_repeated() {
    let ((begun, has_begun), (go, may_go)) = (channel(), channel());
    let written = Arc::default();
    let mut exporter = OtlpFileExporter::writer(Held {
        begun,
        go: may_go,
        written: Arc::clone(&written),
    });
    let first = batch(b'1');
    attempt(&mut exporter, first.clone());
    has_begun.recv().unwrap();
    attempt(&mut exporter, first.clone());
    attempt(&mut exporter, first.clone());
    go.send(()).unwrap();
    exporter.export(first).await.unwrap();
    // This one is given up, and its line is there all the same.
    attempt(&mut exporter, batch(b'1'));
    has_begun.recv().unwrap();
    go.send(()).unwrap();
    go.send(()).unwrap();
    exporter.export(batch(b'2')).await.unwrap();
    assert_eq!(text(&written), format!("{ONE}\n{ONE}\n{TWO}\n"));
}

#[tokio::test]
async fn a_stream_that_panics_costs_its_batch() {
    struct Panics(bool);
    impl Write for Panics {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            assert!(std::mem::replace(&mut self.0, true), "as asked for");
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut exporter = OtlpFileExporter::writer(Panics(false));
    let error = exporter.export(batch(b'1')).await.unwrap_err();
    assert_eq!(error.error_type(), "io");
    // Whether the thread is known to be gone already is a matter of time.
    while exporter.export(batch(b'1')).await.is_err() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_file_is_appended_to_on_a_new_line() {
    let path = std::env::temp_dir().join(format!("throughline-{}.jsonl", std::process::id()));
    std::fs::write(&path, "{\"resourceSp").unwrap();
    for (schema_url, expected) in [
        (b'1', format!("{{\"resourceSp\n{ONE}\n")),
        (b'2', format!("{{\"resourceSp\n{ONE}\n{TWO}\n")),
    ] {
        let mut exporter = OtlpFileExporter::file(&path).unwrap();
        assert_eq!(exporter.destination(), path.display().to_string());
        exporter.export(batch(schema_url)).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
    }
    std::fs::remove_file(&path).unwrap();
    let inside_a_file = Path::new("/dev/null/traces.jsonl");
    assert!(OtlpFileExporter::file(inside_a_file).is_err());
}
