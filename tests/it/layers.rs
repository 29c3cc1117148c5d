//! The layers of the architecture: an arrow between two crates of the workspace points downward.

use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace with its layer. A new crate is entered here.
const LAYERS: &[(&str, u8)] = &[
    ("throughline-wire", 0),
    ("throughline-ring", 0),
    ("throughline-core", 1),
    ("throughline-http", 2),
    ("throughline-macros", 2),
    ("throughline-opentelemetry", 2),
    ("throughline-messaging", 2),
    ("throughline-rayon", 2),
    ("throughline-testing", 2),
    ("throughline-tokio", 2),
    ("throughline-tracing", 2),
    ("throughline-cqrs-es", 3),
    ("throughline-export", 3),
    ("throughline-kameo", 3),
    ("throughline-metrics", 3),
    ("throughline-rdkafka", 3),
    ("throughline", 4),
    ("throughline-benches", 5),
    ("throughline-examples", 5),
    ("throughline-tests", 5),
];

fn layer(name: &str) -> Option<u8> {
    LAYERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, layer)| *layer)
}

fn metadata(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

#[test]
fn arrows_point_downward() {
    let metadata = metadata(&["--no-deps"]);
    let mut wrong = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let name = package["name"].as_str().expect("a name");
        let Some(from) = layer(name) else {
            panic!("{name} has no layer: enter it in this test and in ARCHITECTURE.md");
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // A test may look at anything.
            if dependency["kind"] == "dev" {
                continue;
            }
            let to = dependency["name"].as_str().expect("a name");
            if layer(to).is_some_and(|to| to >= from) {
                wrong.push(format!("{name} -> {to}"));
            }
        }
    }
    assert_eq!(
        wrong,
        Vec::<String>::new(),
        "arrows that point upward or sideways"
    );
}

#[test]
fn the_core_has_no_runtime_no_serde_and_no_syn() {
    let metadata = metadata(&["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let id_of = |node: &Value| node["id"].as_str().expect("an id").to_owned();
    let core = nodes
        .iter()
        .map(id_of)
        .find(|id| id.contains("throughline-core"))
        .expect("the core");
    let (mut seen, mut open) = (vec![core.clone()], vec![core]);
    while let Some(id) = open.pop() {
        let node = nodes
            .iter()
            .find(|node| id_of(node) == id)
            .expect("a node of the graph");
        for dependency in node["deps"].as_array().expect("deps") {
            let normal = dependency["dep_kinds"]
                .as_array()
                .expect("kinds")
                .iter()
                .any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str().expect("an id").to_owned();
            if normal && !seen.contains(&id) {
                seen.push(id.clone());
                open.push(id);
            }
        }
    }
    for banned in ["tokio@", "serde@", "syn@", "pin-project@"] {
        let found: Vec<_> = seen
            .iter()
            .filter(|id| id.contains(&format!("#{banned}")))
            .collect();
        assert!(
            found.is_empty(),
            "{banned} is in the tree of the core: {found:?}"
        );
    }
}
