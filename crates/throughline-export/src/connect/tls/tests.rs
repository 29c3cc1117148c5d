//! Handshakes with certificates of every kind, and what goes over the wire.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use rcgen::{CertificateParams, date_time_ymd};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::connect::testing::certificates::{Guests, acceptor, authority, identity, same};
use crate::connect::testing::{Directory, Received, certificates, read_request};
use crate::exporter::{Batch, ExportError, Receipt, SpanExporter};
use crate::otlp::{OtlpExporter, OtlpExporterBuilder};

/// Everything that a client sent, encrypted or not.
type Tap = Arc<Mutex<Vec<u8>>>;

/// A stream whose incoming bytes are kept.
struct Tapped(TcpStream, Tap);

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        self.1.lock().unwrap().extend(&buf.filled()[before..]);
        result
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A server that takes one connection, and the request that came over it.
async fn server(
    acceptor: Option<TlsAcceptor>,
) -> (SocketAddr, Tap, tokio::task::JoinHandle<Option<Received>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tap = Tap::default();
    let tapped = Arc::clone(&tap);
    let task = tokio::spawn(async move {
        let mut stream = Tapped(listener.accept().await.unwrap().0, tapped);
        const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        let Some(acceptor) = acceptor else {
            // What a server says that expected plain HTTP.
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return read_request(&mut stream).await;
        };
        let mut stream = acceptor.accept(stream).await.ok()?;
        let request = read_request(&mut stream).await?;
        stream.write_all(OK).await.unwrap();
        stream.shutdown().await.unwrap();
        Some(request)
    });
    (address, tap, task)
}

/// Sends to a server, and checks that nothing of it can be read on the way.
async fn send(
    acceptor: Option<TlsAcceptor>,
    configure: impl FnOnce(OtlpExporterBuilder) -> OtlpExporterBuilder,
) -> (Result<Receipt, ExportError>, Option<Received>) {
    let (address, tap, server) = server(acceptor).await;
    let url = format!("https://localhost:{}", address.port());
    let builder = OtlpExporter::builder()
        .endpoint(&url)
        .header("authorization", "c4nary");
    let mut exporter = configure(builder).build().unwrap();
    let batch = Batch::new(Bytes::from_static(b"the request"), 3);
    let result = exporter.export(batch).await;
    drop(exporter);
    let request = server.await.unwrap();
    let sent = tap.lock().unwrap();
    assert_eq!(sent.first(), Some(&0x16), "a handshake comes first");
    for plain in ["POST", "PRI *", "v1/traces", "c4nary", "the request"] {
        assert!(
            !sent
                .windows(plain.len())
                .any(|bytes| bytes == plain.as_bytes()),
            "{plain:?} was sent in plaintext"
        );
    }
    (result, request)
}

#[tokio::test]
async fn a_trusted_server_gets_the_request() {
    let files = Directory::new();
    let authority = authority();
    let root = files.write("root.pem", authority.pem());
    for name in ["localhost", "127.0.0.1"] {
        let server = identity(&authority, "localhost", same);
        let acceptor = acceptor(&server, Guests::Everybody, b"http/1.1");
        let (result, request) = send(Some(acceptor), |builder| builder.certificate(&root)).await;
        assert_eq!(result.unwrap(), Receipt::complete(), "{name}");
        let request = request.unwrap();
        assert!(request.head.starts_with("POST /v1/traces HTTP/1.1\r\n"));
        assert_eq!(request.body, b"the request");
    }
    // The application's choice of cryptography is left to it.
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn a_server_that_is_not_trusted_gets_nothing() {
    let files = Directory::new();
    let (ours, theirs) = (authority(), authority());
    let root = files.write("root.pem", ours.pem());
    let expired: fn(&mut CertificateParams) = |params| {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    };
    for (server, said) in [
        (identity(&theirs, "localhost", same), "BadSignature"),
        (identity(&ours, "localhost", expired), "expired"),
        (identity(&ours, "elsewhere", same), "not valid for name"),
    ] {
        let acceptor = acceptor(&server, Guests::Everybody, b"http/1.1");
        let (result, request) = send(Some(acceptor), |builder| builder.certificate(&root)).await;
        let error = result.unwrap_err();
        assert_eq!(error.error_type(), "tls", "{error}");
        assert!(error.to_string().contains(said), "{error}");
        // Certificates are renewed while processes run.
        assert!(error.is_transient() && error.is_unreachable());
        assert!(request.is_none());
    }
    // Nor is anybody trusted of whom the system knows nothing.
    let server = identity(&ours, "localhost", same);
    let without_root = OtlpExporter::builder()
        .endpoint("https://localhost:1")
        .build();
    if without_root.is_ok() {
        let acceptor = acceptor(&server, Guests::Everybody, b"http/1.1");
        let (result, _) = send(Some(acceptor), |builder| builder).await;
        assert_eq!(result.unwrap_err().error_type(), "tls");
    }
}

#[tokio::test]
async fn a_plaintext_server_gets_nothing() {
    let files = Directory::new();
    let root = files.write("root.pem", authority().pem());
    let (result, request) = send(None, |builder| builder.certificate(root)).await;
    let error = result.unwrap_err();
    assert_eq!(error.error_type(), "tls", "{error}");
    assert!(request.is_none());
}

#[tokio::test]
async fn a_server_that_asks_who_we_are_is_told() {
    let files = Directory::new();
    let authority = authority();
    let stranger = certificates::authority();
    let root = files.write("root.pem", authority.pem());
    let server = identity(&authority, "localhost", same);
    let write = |name: &str, identity: &certificates::Identity| {
        (
            files.write(&format!("{name}.pem"), identity.certificate.pem()),
            files.write(&format!("{name}.key"), identity.key.serialize_pem()),
        )
    };
    let ours = write("ours", &identity(&authority, "client", same));
    let other = write("other", &identity(&stranger, "client", same));
    for (who, accepted) in [(Some(ours), true), (None, false), (Some(other), false)] {
        let acceptor = acceptor(&server, Guests::SignedBy(&authority), b"http/1.1");
        let (result, request) = send(Some(acceptor), |builder| {
            let builder = builder.certificate(&root);
            match who {
                None => builder,
                Some((certificate, key)) => builder.client_certificate(certificate).client_key(key),
            }
        })
        .await;
        assert_eq!(request.is_some(), accepted);
        match result {
            Ok(receipt) => assert!(accepted && receipt == Receipt::complete()),
            Err(error) => {
                assert!(!accepted, "{error}");
                assert_eq!(error.error_type(), "tls", "{error:?}");
                assert!(error.is_transient());
            }
        }
    }
}

#[test]
fn a_bad_file_is_an_error_that_names_it() {
    let files = Directory::new();
    let authority = authority();
    let client = identity(&authority, "client", same);
    let other = identity(&authority, "other", same);
    let good = files.write("good.pem", client.certificate.pem());
    let key = files.write("good.key", client.key.serialize_pem());
    let other_key = files.write("other.key", other.key.serialize_pem());
    let missing = files.path("missing.pem");
    let empty = files.write("empty.pem", "");
    let cut = files.write("cut.pem", "-----BEGIN CERTIFICATE-----\nc4nary\n");
    let garbled = files.write(
        "garbled.key",
        "-----BEGIN PRIVATE KEY-----\nc4nary!\n-----END PRIVATE KEY-----\n",
    );
    let no_certificate = files.write(
        "no.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let builder = || OtlpExporter::builder().endpoint("https://localhost:1");
    for (builder, option, file, what) in [
        (
            builder().certificate(&missing),
            "certificate",
            &missing,
            "cannot be read",
        ),
        (
            builder().certificate(&empty),
            "certificate",
            &empty,
            "holds no certificate",
        ),
        (
            builder().certificate(&cut),
            "certificate",
            &cut,
            "is no pem",
        ),
        (
            builder().certificate(&no_certificate),
            "certificate",
            &no_certificate,
            "holds no usable root",
        ),
        (
            builder().client_certificate(&good),
            "client_certificate",
            &good,
            "comes without a client key",
        ),
        (
            builder().client_key(&key),
            "client_key",
            &key,
            "comes without a client certificate",
        ),
        (
            builder().client_certificate(&good).client_key(&garbled),
            "client_key",
            &garbled,
            "is no pem",
        ),
        (
            builder().client_certificate(&good).client_key(&good),
            "client_key",
            &good,
            "holds no private key",
        ),
        (
            builder().client_certificate(&good).client_key(&other_key),
            "client_key",
            &other_key,
            "does not go with client_certificate",
        ),
    ] {
        let builder = match option {
            "certificate" => builder,
            // The roots come first.
            _ => builder.certificate(&good),
        };
        let error = builder.build().map(drop).unwrap_err();
        assert!(error.is_invalid_option());
        let expected = format!("{option} {:?} {what}", file.display().to_string());
        assert!(
            error.to_string().starts_with(&expected),
            "{error}\n{expected}"
        );
        assert!(!error.to_string().contains("c4nary"), "{error}");
    }
}

#[test]
fn a_bad_file_of_the_environment_is_an_error_too() {
    for name in [
        "OTEL_EXPORTER_OTLP_CERTIFICATE",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    ] {
        let error = crate::Pipeline::builder()
            .endpoint("https://localhost:1")
            .env_from(|asked| (asked == name).then(|| "/nowhere/root.pem".to_owned()))
            .start()
            .map(drop)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("{name} \"/nowhere/root.pem\" cannot be read: entity not found")
        );
    }
}
