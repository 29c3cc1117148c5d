//! The comparison as its users run it: what it prints, what it writes, what it refuses.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

#[test]
fn every_path_records_the_same_spans_and_loses_none_when_paced() {
    let (output, rows) = compared(
        "paced.json",
        &[
            "--quick",
            "--shape=wide,async",
            "--attributes=3",
            "--threads=1",
            "--sampling=sampled",
            "--pace=paced",
        ],
    );
    assert_eq!(text(&output.stderr), "", "a path records something else");

    let paths = [
        "throughline",
        "throughline-tracing",
        "throughline-bridged",
        "tracing-opentelemetry",
        "opentelemetry",
        "fastrace",
        "emit",
        "floor",
    ];
    // What the floor writes goes nowhere, by whatever transport.
    let senders = &paths[..paths.len() - 1];
    let blocks = [
        ("wide", "http", &paths[..]),
        ("wide", "http-gzip", senders),
        ("wide", "grpc", senders),
        ("async", "http", &paths[..]),
    ];
    let expected = blocks.iter().flat_map(|&(shape, transport, paths)| {
        let row = move |path| (shape, transport, path);
        paths.iter().map(row)
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(rows.len(), expected.len());
    for (row, (shape, transport, path)) in rows.iter().zip(expected) {
        let keys: Vec<_> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut expected = [
            "path",
            "shape",
            "attributes",
            "threads",
            "sampling",
            "pace",
            "transport",
            "fault",
            "app_ns",
            "cpu_ns",
            "allocations",
            "bytes",
            "offered",
            "received",
        ];
        expected.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(row["path"], *path);
        assert_eq!(
            (&row["shape"], &row["transport"]),
            (&shape.into(), &transport.into())
        );
        assert_eq!(row["fault"], "healthy");
        assert_eq!(row["attributes"], 3);
        assert_eq!(row["sampling"], "sampled");
        assert!(row["app_ns"].as_f64().unwrap() > 0.0, "{row}");
        let sent = *path != "floor";
        let received = if sent {
            &row["offered"]
        } else {
            &Value::from(0)
        };
        assert_eq!(&row["received"], received, "{row}");
        assert_eq!(row["bytes"].as_f64().unwrap() > 0.0, sent, "{row}");
        if *path == "throughline" || *path == "floor" {
            assert_eq!(row["allocations"], 0.0, "{row}");
        }
    }
}

#[test]
fn a_receiver_that_fails_gets_nothing_and_blocks_nobody() {
    let (output, rows) = compared(
        "faults.json",
        &[
            "--quick",
            "--path=throughline",
            "--shape=wide",
            "--attributes=0",
            "--threads=1",
            "--sampling=sampled",
            "--pace=saturation",
            "--fault=healthy,absent,503,slow",
        ],
    );
    let arrived: Vec<_> = rows
        .iter()
        .map(|row| (&row["fault"], row["received"] == row["offered"]))
        .collect();
    let expected = [
        ("healthy", true),
        ("absent", false),
        ("503", false),
        ("slow", true),
    ];
    let expected = expected.map(|(fault, all)| (Value::from(fault), all));
    assert!(
        arrived
            .into_iter()
            .eq(expected.iter().map(|(fault, all)| (fault, *all))),
        "{rows:?}"
    );
    assert!(text(&output.stdout).contains(" x healthy"));
}

#[test]
fn what_is_not_wanted_is_not_sent() {
    let (output, rows) = compared(
        "unwanted.json",
        &[
            "--quick",
            "--shape=deep",
            "--attributes=10",
            "--threads=2",
            "--sampling=unsampled,disabled",
        ],
    );
    assert_eq!(rows.len(), 16);
    for row in rows {
        assert_eq!(row["received"], 0, "{row}");
        assert_eq!(row["pace"], "paced");
        assert!(row["offered"].as_u64().unwrap() > 0);
    }
    assert!(text(&output.stdout).contains("deep: 50 nested spans"));
}

#[test]
fn a_value_that_does_not_exist_is_refused_with_the_ones_that_do() {
    let output = compare(&["--shape=round"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "compare: unknown value \"round\": known are wide, deep, async\n"
    );
}

/// What a successful comparison prints, and the rows that it writes to this file.
fn compared(file: &str, arguments: &[&str]) -> (Output, Vec<Value>) {
    let json = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let written = ["--json", json.to_str().expect("the path is text")];
    let output = compare(&[arguments, &written].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = fs::read(json).expect("the file is written");
    let rows = serde_json::from_slice(&rows).expect("it holds rows");
    (output, rows)
}

fn compare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("the program writes text")
}
