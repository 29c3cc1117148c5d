//! The command line.
//!
//! Owns the options, their defaults and the help text.

use lexopt::prelude::{Long, Short, ValueExt};

/// What the command line asks for.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) requests: usize,
    pub(crate) serve: bool,
    pub(crate) json: bool,
}

impl Options {
    /// Reads the arguments of the process; `None` if they ask for [`HELP`].
    pub(crate) fn parse() -> Result<Option<Self>, lexopt::Error> {
        let mut options = Self {
            requests: 100,
            serve: false,
            json: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Long("requests") => options.requests = parser.value()?.parse()?,
                Long("serve") => options.serve = true,
                Long("json") => options.json = true,
                Long("help") | Short('h') => return Ok(None),
                _ => return Err(argument.unexpected()),
            }
        }
        Ok(Some(options))
    }
}

pub(crate) const HELP: &str = "\
A service that takes goals, traced from the request to the notification of the owner.

Usage: goals [--requests N] [--serve] [--json]

  --requests N  how many requests to send to the service (default: 100)
  --serve       keep serving, and print the log lines as they come, until ctrl-c
  --json        print the result as one line of JSON, the last of the output
  -h, --help    print this

The spans go to an OTLP receiver in this process, which checks them, unless one of
OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_TRACES_EXPORTER
says where else; then all OTEL_* variables are obeyed, and `spans_received` and
`orphan_spans` in the JSON are null, since only the other side can tell.

Kafka is a cluster of librdkafka's in this process, unless KAFKA_BROKERS says where brokers are.

The exit status is 1 if anything is wrong with the spans, their links or the log lines.
";
