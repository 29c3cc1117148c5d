//! Processes of this program that answer: a line of JSON when they are ready, and one for each line they are asked.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The conversation with another process of this program, which ends with it.
#[derive(Debug)]
pub struct Companion {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Companion {
    /// Starts this program with other arguments, and returns what it says when it is ready.
    ///
    /// # Errors
    ///
    /// The process cannot be started, ends, or says something else.
    pub fn start<A: DeserializeOwned>(arguments: &[&str]) -> io::Result<(Self, A)> {
        let mut process = this_program()?
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().ok_or_else(no_pipe)?);
        let mut companion = Self {
            process,
            questions,
            answers,
        };
        let ready = companion.answer()?;
        Ok((companion, ready))
    }

    /// Asks one line and waits for the answer.
    ///
    /// # Errors
    ///
    /// The process has ended, or answers something else.
    pub fn ask<A: DeserializeOwned>(&mut self, question: &str) -> io::Result<A> {
        let questions = self.questions.as_mut().ok_or_else(no_pipe)?;
        writeln!(questions, "{question}")?;
        questions.flush()?;
        self.answer()
    }

    fn answer<A: DeserializeOwned>(&mut self) -> io::Result<A> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        // The end of its input ends the process; there is nobody left to tell if it does not.
        self.questions = None;
        let _ = self.process.wait();
    }
}

/// Says a line to the process that started this one.
///
/// # Errors
///
/// That process has ended.
pub fn say(answer: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A command for this program, without the user's own OpenTelemetry settings: they would change some libraries and not
/// others.
pub(crate) fn this_program() -> io::Result<Command> {
    // The link still leads to the program when a build has replaced the file during a long run.
    let link = Path::new("/proc/self/exe");
    let mut command = if link.exists() {
        Command::new(link)
    } else {
        Command::new(env::current_exe()?)
    };
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn no_pipe() -> io::Error {
    io::Error::other("a process has no pipe")
}
