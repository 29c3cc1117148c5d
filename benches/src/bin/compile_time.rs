//! How long 1 000 annotated async functions take to compile, beside the same with `#[tracing::instrument]` and with no
//! attribute at all.
//!
//! `cargo run --release -p throughline-benches --bin compile_time [-- --functions N --rounds N]` writes three small
//! crates below the target directory, builds their dependencies once, and then compiles the crates in turn. It prints
//! medians and ratios, for `cargo build` with and without optimisation: of the CPU time of Cargo and of the compilers that
//! it starts, which other programs on the machine change little, and of the elapsed time, which a user waits.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the table is what the program is for")]

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lexopt::ValueExt as _;
use rustix::param::clock_ticks_per_second;
use throughline_benches::median;

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
    println!("{functions} async functions, medians of {rounds} builds");
    for profile in ["dev", "release"] {
        let mut costs = CRATES.map(|_| Vec::new());
        for (name, ..) in CRATES {
            build(&base, name, profile)?;
        }
        for _ in 0..rounds {
            for ((name, ..), costs) in CRATES.iter().zip(&mut costs) {
                costs.push(build(&base, name, profile)?);
            }
        }
        for (what, of) in [("CPU", cpu as fn(&Cost) -> f64), ("elapsed", elapsed)] {
            let figures = |costs: &Vec<Cost>| median(costs.iter().map(of).collect());
            let [bare, ours, theirs] = costs.each_ref().map(figures);
            println!(
                "{profile:>8}, {what:>7}: bare {bare:.2} s, #[traced] {ours:.2} s, #[instrument] {theirs:.2} s; #[traced] is {:.2} x #[instrument]",
                ours / theirs
            );
        }
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

/// What a build takes, in seconds.
struct Cost {
    cpu: f64,
    elapsed: f64,
}

fn cpu(cost: &Cost) -> f64 {
    cost.cpu
}

fn elapsed(cost: &Cost) -> f64 {
    cost.elapsed
}

/// Compiles the crate anew, its dependencies being built.
fn build(base: &Path, name: &str, profile: &str) -> Result<Cost> {
    let folder = base.join(name);
    let source: PathBuf = folder.join("src/lib.rs");
    let text = fs::read_to_string(&source)?;
    fs::write(&source, text)?;
    let (cpu, start) = (children_cpu()?, Instant::now());
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", profile])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", base.join("target"))
        .stdin(Stdio::null())
        .status()?;
    let elapsed = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("the crate `{name}` does not build").into());
    }
    Ok(Cost {
        cpu: children_cpu()? - cpu,
        elapsed,
    })
}

/// CPU time, user and system, of the processes that ended beneath this one, in seconds.
fn children_cpu() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The fields are counted from behind the name, which stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(CHILDREN_USER).take(2);
    let ticks: u64 = ticks
        .map(str::parse::<u64>)
        .sum::<std::result::Result<_, _>>()?;
    Ok(ticks as f64 / clock_ticks_per_second() as f64)
}

/// Where the time of ended children stands among those fields: first the user's, then the system's.
const CHILDREN_USER: usize = 13;
