//! OTLP in lines of JSON, in files and on standard output.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use throughline_export::{OtlpFileExporter, Pipeline};

use crate::process::{is_child, run};
use crate::support::{LONG, assert_settled, record, record_in};

/// A path that nobody else has.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("throughline-{}-{name}", std::process::id()));
    // Of an earlier process with the same number.
    let _ = std::fs::remove_file(&path);
    path
}

/// How often each id stands in these lines, all of which have to be whole.
fn ids(lines: impl IntoIterator<Item = String>) -> BTreeMap<u64, u32> {
    let mut ids = BTreeMap::new();
    for line in lines {
        let data: serde_json::Value = serde_json::from_str(&line).unwrap();
        let resource_spans = data["resourceSpans"].as_array().unwrap();
        assert_eq!(resource_spans.len(), 1);
        for scope_spans in resource_spans[0]["scopeSpans"].as_array().unwrap() {
            for span in scope_spans["spans"].as_array().unwrap() {
                let attributes = span["attributes"].as_array().unwrap();
                let id = attributes.iter().find(|attribute| attribute["key"] == "id");
                let id = id.unwrap()["value"]["intValue"].as_str().unwrap();
                *ids.entry(id.parse().unwrap()).or_default() += 1;
            }
        }
    }
    ids
}

fn once_each(ids: impl IntoIterator<Item = u64>) -> BTreeMap<u64, u32> {
    ids.into_iter().map(|id| (id, 1)).collect()
}

#[test]
fn a_file_has_a_line_per_batch() {
    let path = path("batches.jsonl");
    for start in [0, 30] {
        let pipeline = Pipeline::builder()
            .exporter(OtlpFileExporter::file(&path).unwrap())
            .max_batch_spans(10)
            .start()
            .unwrap();
        record_in(&pipeline, start..start + 30);
        assert!(pipeline.shutdown(LONG).is_complete());
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'));
    assert_eq!(text.lines().count(), 6);
    assert_eq!(ids(text.lines().map(str::to_owned)), once_each(0..60));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_full_disk_is_counted_after_the_retries() {
    let pipeline = Pipeline::builder()
        .exporter(OtlpFileExporter::file("/dev/full").unwrap())
        .export_timeout(Duration::from_millis(50))
        .start()
        .unwrap();
    record_in(&pipeline, 0..10);
    let report = pipeline.flush(LONG);
    assert_eq!((report.failed, report.exported), (10, 0), "{report}");
    let stats = pipeline.stats();
    assert_settled(&stats);
    assert_eq!(stats.failed.to_string(), "10 (storage_full: 10)");
}

#[test]
fn a_reader_that_stops_holds_up_nobody_and_gets_every_line_once() {
    let path = path("pipe.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    // Being its writer as well, this end neither waits for one nor sees the end.
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let pipeline = Pipeline::builder()
        .exporter(OtlpFileExporter::file(&path).unwrap())
        .max_batch_spans(500)
        .timeout(Duration::from_millis(20))
        .start()
        .unwrap();
    // Far more than a pipe holds.
    record_in(&pipeline, 0..2_000);
    assert!(!pipeline.flush(Duration::from_millis(100)).is_complete());
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        ids(lines.take(4))
    });
    assert!(pipeline.shutdown(LONG).is_complete());
    assert_eq!(reading.join().unwrap(), once_each(0..2_000));
    assert_eq!(pipeline.stats().exported, 2_000);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_shutdown_does_not_wait_for_a_reader_that_never_reads() {
    let path = path("stalled.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    let reader: File = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let pipeline = Pipeline::builder()
        .exporter(OtlpFileExporter::file(&path).unwrap())
        .start()
        .unwrap();
    record_in(&pipeline, 0..2_000);
    let report = pipeline.shutdown(Duration::from_millis(50));
    assert_eq!(report.failed, 2_000, "{report}");
    drop(pipeline);
    drop(reader);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn standard_output_has_lines_between_those_of_the_program() {
    let stdout = run(
        "files::child_that_prints",
        "",
        &[("OTEL_TRACES_EXPORTER", "otlp/stdout")],
    );
    let json: Vec<String> = stdout
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(str::to_owned)
        .collect();
    assert_eq!(json.len(), 1, "{stdout}");
    assert_eq!(ids(json), once_each([7, 8]));
    let before = stdout.find("before the export\n").unwrap();
    let after = stdout.find("after the export\n").unwrap();
    let line = stdout.find("{\"resourceSpans\"").unwrap();
    assert!(before < line && line < after, "{stdout}");
}

#[test]
fn child_that_prints() {
    if is_child() {
        let pipeline = Pipeline::builder().env().start_global().unwrap();
        println!("\nbefore the export");
        record([7, 8]);
        assert!(pipeline.shutdown(LONG).is_complete());
        println!("after the export");
    }
}
