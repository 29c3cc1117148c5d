//! The table of variables: each one valid, empty, invalid and out of range, for all
//! signals and for each.

use super::*;

fn read(signal: Signal, variables: &[(&str, &str)]) -> (OtlpOptions, Vec<String>) {
    let lookup = |name: &str| {
        let found = variables.iter().find(|(key, _)| *key == name)?;
        Some(found.1.to_owned())
    };
    let mut env = Env::new(&lookup);
    let options = OtlpOptions::from_env(&mut env, signal);
    (options, env.into_warnings())
}

/// What a value makes of a variable.
enum Effect {
    /// It sets this; the name is that of the variable.
    Sets(fn(&mut OtlpOptions, &str)),
    /// It is warned about, and this holds instead.
    Warns(&'static str),
    /// It is warned about, and sets this all the same.
    Both(&'static str, fn(&mut OtlpOptions, &str)),
    Nothing,
}
use Effect::{Both, Nothing, Sets, Warns};

fn millis(number: u64) -> Option<Duration> {
    Some(Duration::from_millis(number))
}

fn file(path: &str, by: &str) -> Option<Given<PathBuf>> {
    Some(Given::by_variable(by, path.into()))
}

/// The last part of the variable's name, a value, and what it does.
const TABLE: &[(&str, &str, Effect)] = &[
    (
        "ENDPOINT",
        "http://h:1/x",
        Sets(|o, by| {
            let address = match by {
                "OTEL_EXPORTER_OTLP_ENDPOINT" => Address::base("http://h:1/x"),
                _ => Address::exact("http://h:1/x"),
            };
            o.address = Some(Given::by_variable(by, address.unwrap()));
        }),
    ),
    ("ENDPOINT", "", Nothing),
    ("ENDPOINT", "?", Warns("http://localhost:4318")),
    ("ENDPOINT", "ftp://h", Warns("http://localhost:4318")),
    ("ENDPOINT", "http://h:65536", Warns("http://localhost:4318")),
    (
        "ENDPOINT",
        "http://me:c4nary@h",
        Warns("http://localhost:4318"),
    ),
    ("INSECURE", "TRUE", Sets(|o, _| o.insecure = Some(true))),
    ("INSECURE", "false", Sets(|o, _| o.insecure = Some(false))),
    ("INSECURE", "", Nothing),
    (
        "INSECURE",
        "1",
        Both("false", |o, _| o.insecure = Some(false)),
    ),
    (
        "CERTIFICATE",
        "/a b.pem",
        Sets(|o, by| o.tls.certificate = file("/a b.pem", by)),
    ),
    ("CERTIFICATE", "", Nothing),
    (
        "CLIENT_KEY",
        "k.pem",
        Sets(|o, by| o.tls.client_key = file("k.pem", by)),
    ),
    ("CLIENT_KEY", "", Nothing),
    (
        "CLIENT_CERTIFICATE",
        "c.pem",
        Sets(|o, by| o.tls.client_certificate = file("c.pem", by)),
    ),
    ("CLIENT_CERTIFICATE", "", Nothing),
    (
        "HEADERS",
        "a=b%20c,d=e",
        Sets(|o, _| {
            o.set_header("a", "b c").unwrap();
            o.set_header("d", "e").unwrap();
        }),
    ),
    ("HEADERS", "", Nothing),
    ("HEADERS", "c4nary", Warns("leaving that header out")),
    (
        "HEADERS",
        "a=1,b b=c4nary",
        Both("leaving that header out", |o, _| {
            o.set_header("a", "1").unwrap();
        }),
    ),
    (
        "COMPRESSION",
        "None",
        Sets(|o, _| o.compression = Some(Compression::None)),
    ),
    ("COMPRESSION", "", Nothing),
    ("COMPRESSION", "deflate", Warns("none")),
    #[cfg(feature = "gzip")]
    (
        "COMPRESSION",
        "GZIP",
        Sets(|o, _| o.compression = Some(Compression::Gzip)),
    ),
    #[cfg(feature = "zstd")]
    (
        "COMPRESSION",
        "zstd",
        Sets(|o, _| o.compression = Some(Compression::Zstd)),
    ),
    // What was not compiled in is not worth losing the traces for.
    #[cfg(not(feature = "gzip"))]
    ("COMPRESSION", "gzip", Warns("none")),
    ("TIMEOUT", "250", Sets(|o, _| o.timeout = millis(250))),
    ("TIMEOUT", "0", Sets(|o, _| o.timeout = millis(0))),
    (
        "TIMEOUT",
        "2147483647",
        Sets(|o, _| o.timeout = millis(2_147_483_647)),
    ),
    ("TIMEOUT", "", Nothing),
    ("TIMEOUT", "1s", Warns("10000")),
    ("TIMEOUT", "1.5", Warns("10000")),
    ("TIMEOUT", "-1", Warns("10000")),
    ("TIMEOUT", "99999999999", Warns("10000")),
    (
        "PROTOCOL",
        "grpc",
        Sets(|o, _| o.protocol = Some(Protocol::Grpc)),
    ),
    (
        "PROTOCOL",
        "HTTP/Protobuf",
        Sets(|o, _| o.protocol = Some(Protocol::HttpProtobuf)),
    ),
    (
        "PROTOCOL",
        "http/json",
        Sets(|o, _| o.protocol = Some(Protocol::HttpJson)),
    ),
    ("PROTOCOL", "", Nothing),
    ("PROTOCOL", "thrift", Warns("http/protobuf")),
];

const SIGNALS: [(Signal, &str); 3] = [
    (Signal::Traces, "TRACES_"),
    (Signal::Metrics, "METRICS_"),
    (Signal::Logs, "LOGS_"),
];

#[test]
fn every_variable_of_every_signal_valid_empty_invalid_and_out_of_range() {
    for (signal, infix) in SIGNALS {
        for (option, value, effect) in TABLE {
            for infix in ["", infix] {
                let name = format!("OTEL_EXPORTER_OTLP_{infix}{option}");
                let (options, warnings) = read(signal, &[(&name, value)]);
                let mut expected = OtlpOptions::default();
                if let Sets(set) | Both(_, set) = effect {
                    set(&mut expected, &name);
                }
                assert_eq!(options, expected, "{name}={value}");
                let (Warns(default) | Both(default, _)) = effect else {
                    assert!(warnings.is_empty(), "{name}={value}: {warnings:?}");
                    continue;
                };
                assert_eq!(warnings.len(), 1, "{name}={value}: {warnings:?}");
                let warning = &warnings[0];
                assert!(warning.starts_with(&name), "{warning}");
                assert!(warning.ends_with(default), "{warning}");
                assert!(!warning.contains("c4nary"), "{warning}");
            }
        }
    }
}

#[test]
fn the_variable_of_a_signal_wins_for_that_signal_only() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://general:4318"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:1/in"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "general=1"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "metrics=1"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "a"),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "b"),
    ];
    for (signal, address, headers, timeout, certificate) in [
        (
            Signal::Metrics,
            "http://metrics:1/in",
            r#"{"metrics"}"#,
            2,
            "b",
        ),
        (
            Signal::Traces,
            "http://general:4318/",
            r#"{"general"}"#,
            1,
            "a",
        ),
        (
            Signal::Logs,
            "http://general:4318/",
            r#"{"general"}"#,
            1,
            "a",
        ),
    ] {
        let (options, warnings) = read(signal, &variables);
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(format!("{:?}", options.address.unwrap().value), address);
        assert_eq!(format!("{:?}", options.headers), headers);
        assert_eq!(options.timeout, millis(timeout));
        assert_eq!(
            options.tls.certificate.unwrap().value,
            PathBuf::from(certificate)
        );
    }
}

#[test]
fn a_bad_variable_of_the_signal_falls_back_to_the_general_one() {
    let (options, warnings) = read(
        Signal::Logs,
        &[
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "never"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "smoke"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "/nowhere"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "h:1"),
        ],
    );
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(
        warnings[1].ends_with("using the default http://localhost:4317"),
        "{warnings:?}"
    );
    assert_eq!(options.timeout, millis(1));
    assert_eq!(options.protocol, Some(Protocol::Grpc));
    assert_eq!(format!("{:?}", options.address.unwrap().value), "h:1");
}
