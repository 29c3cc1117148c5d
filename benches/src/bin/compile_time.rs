//! How long 1 000 annotated async functions take to compile, beside the same with `#[tracing::instrument]` and with no
//! attribute at all.
//!
//! `cargo run --release -p throughline-benches --bin compile_time [-- --functions N --rounds N]` writes three small
//! crates below the target directory, builds their dependencies once, and then compiles the crates in turn. It prints
//! medians and ratios, for `cargo build` with and without optimisation.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lexopt::ValueExt as _;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Name, dependency and attribute of each crate.
const CRATES: [(&str, &str, &str); 3] = [
    ("bare", "", ""),
    (
        "throughline",
        "throughline = { path = \"ROOT/crates/throughline\", default-features = false }",
        "#[throughline::traced(attrs(id = id))]",
    ),
    (
        "instrument",
        "tracing = \"0.1.44\"",
        "#[tracing::instrument(skip_all, fields(id = id))]",
    ),
];

fn main() -> Result<()> {
    let (mut functions, mut rounds) = (1000, 5);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            lexopt::Arg::Long("functions") => functions = arguments.value()?.parse()?,
            lexopt::Arg::Long("rounds") => rounds = arguments.value()?.parse()?,
            other => return Err(other.unexpected().into()),
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .ok_or("the package has a parent folder")?;
    let base = root.join("target").join("compile-time");
    for krate in CRATES {
        write_crate(root, &base, krate, functions)?;
    }
    println!("{functions} async functions, median of {rounds} builds");
    for profile in ["dev", "release"] {
        let mut times = CRATES.map(|_| Vec::new());
        for (name, ..) in CRATES {
            build(&base, name, profile)?;
        }
        for _ in 0..rounds {
            for ((name, ..), times) in CRATES.iter().zip(&mut times) {
                times.push(build(&base, name, profile)?);
            }
        }
        let [bare, ours, theirs] = times.map(median);
        println!(
            "{profile:>8}: bare {bare:.2} s, #[traced] {ours:.2} s, #[instrument] {theirs:.2} s; #[traced] is {:.2} x #[instrument]",
            ours / theirs
        );
    }
    Ok(())
}

fn write_crate(
    root: &Path,
    base: &Path,
    (name, dependency, attribute): (&str, &str, &str),
    functions: usize,
) -> Result<()> {
    let folder = base.join(name);
    fs::create_dir_all(folder.join("src"))?;
    let dependency = dependency.replace("ROOT", &root.display().to_string());
    let manifest = format!(
        "[package]\nname = \"compile-time-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    // The versions that the workspace has resolved are there already.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let mut source = String::from("pub async fn leaf(id: u64) -> Result<u64, String> { Ok(id) }\n");
    for number in 0..functions {
        writeln!(
            source,
            "{attribute}\npub async fn function_{number}(id: u64, text: &str) -> Result<u64, String> {{\n    \
             let first = leaf(id).await?;\n    let second = leaf(first + {number}).await?;\n    \
             if text.is_empty() {{ return Err(String::new()); }}\n    Ok(second)\n}}"
        )?;
    }
    fs::write(folder.join("src/lib.rs"), source)?;
    Ok(())
}

/// Compiles the crate anew, its dependencies being built, and returns how long that took.
fn build(base: &Path, name: &str, profile: &str) -> Result<Duration> {
    let folder = base.join(name);
    let source: PathBuf = folder.join("src/lib.rs");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, text)?;
    let start = Instant::now();
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", base.join("target"))
        .stdin(Stdio::null())
        .status()?;
    let time = start.elapsed();
    if !status.success() {
        return Err(format!("the crate `{name}` does not build").into());
    }
    Ok(time)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}
