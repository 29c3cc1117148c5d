//! House rules that no compiler checks.

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines that a source file may have, its tests not counted.
const MOST_LINES: usize = 600;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package has a parent folder");
    let mut folders: Vec<PathBuf> = ["crates", "macros", "examples", "benches", "tests"]
        .iter()
        .map(|folder| root.join(folder))
        .collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            // The cases of the user-interface tests are what users write.
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("macros/ui") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                sources.push((
                    path.strip_prefix(root).expect("below the root").to_owned(),
                    text,
                ));
            }
        }
    }
    assert!(sources.len() > 50, "the walk found the workspace");
    sources
}

fn offenders(is_one: impl Fn(&Path, &str) -> bool) -> Vec<PathBuf> {
    sources()
        .into_iter()
        .filter(|(path, text)| is_one(path, text))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn a_file_holds_one_idea() {
    let long = offenders(|_, text| {
        text.lines()
            .take_while(|line| !line.starts_with("#[cfg(test)]"))
            .count()
            > MOST_LINES
    });
    assert_eq!(
        long,
        Vec::<PathBuf>::new(),
        "files of more than {MOST_LINES} lines"
    );
}

#[test]
fn a_file_says_what_it_owns() {
    let silent = offenders(|path, text| {
        // The modules of a test binary are described where they are listed.
        let is_test = path.components().any(|part| part.as_os_str() == "tests");
        !is_test && !text.starts_with("//!")
    });
    assert_eq!(
        silent,
        Vec::<PathBuf>::new(),
        "files that do not open with `//!`"
    );
}

#[test]
fn unsafe_code_lives_in_one_crate() {
    let open = offenders(|path, text| {
        is_root(path)
            && !path.starts_with("crates/throughline-ring")
            && !text.contains("#![forbid(unsafe_code)]")
    });
    assert_eq!(
        open,
        Vec::<PathBuf>::new(),
        "libraries and programs that do not forbid unsafe code"
    );
}

/// Whether a library or a program begins in this file. Tests are held to the lints of the workspace, which deny unsafe
/// code where no reason is given.
fn is_root(path: &Path) -> bool {
    let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
    matches!(
        parts[..],
        [.., "src", "lib.rs" | "main.rs"]
            | [.., "src", "bin", _]
            | [.., "src", "bin", _, "main.rs"]
    )
}
