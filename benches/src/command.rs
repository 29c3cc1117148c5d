//! What the program does with its arguments.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use crate::options::{self, Comparison, HELP, Request};
use crate::{coordinator, micro, receiver, report, worker};

/// Runs the program with its arguments, the program's name first, and returns how it ended.
///
/// # Errors
///
/// None are returned: an argument that is not understood, or a process that cannot be started, is one
/// line on standard error and a failing exit code.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let request = match options::parse(arguments) {
        Ok(request) => request,
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match carry_out(request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error.as_ref());
            ExitCode::FAILURE
        }
    }
}

fn carry_out(request: Request) -> Result<(), Box<dyn Error>> {
    match request {
        Request::Help => print(HELP)?,
        Request::Compare(comparison) => compare(&comparison)?,
        Request::Micro(paths) => print(&micro::compare(&paths)?)?,
        Request::Receive => receiver::serve()?,
        Request::Work(task) => {
            let measured = worker::run(&serde_json::from_str(&task)?)?;
            print(&serde_json::to_string(&measured)?)?;
        }
        Request::WorkMicro(task) => {
            let measured = micro::run(&serde_json::from_str(&task)?)?;
            print(&serde_json::to_string(&measured)?)?;
        }
    }
    Ok(())
}

fn compare(comparison: &Comparison) -> Result<(), Box<dyn Error>> {
    // Opened first: a long comparison must not end with a file that cannot be written.
    let json = comparison.json.as_ref().map(File::create).transpose()?;
    print(&report::heading(comparison))?;
    let rows = coordinator::compare(comparison)?;
    print(&report::tables(&rows))?;
    if let Some(file) = json {
        let mut file = BufWriter::new(file);
        serde_json::to_writer_pretty(&mut file, &rows)?;
        file.write_all(b"\n")?;
        file.flush()?;
    }
    Ok(())
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn complain(error: &dyn Error) {
    // Without a standard error there is nobody to tell.
    let _ = writeln!(io::stderr(), "compare: {error}");
}
