//! TLS before a receiver that speaks none, with a certificate that can be changed.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// The first byte of a connection that begins with a handshake.
const HANDSHAKE: u8 = 22;

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let file = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}.pem", std::process::id()));
        fs::write(&file, issuer.pem()).expect("a file for the certificate");
        Self { issuer, file }
    }

    /// The certificate of the authority, as a file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// A server's identity for a name.
    pub(crate) fn acceptor(&self, name: &str, change: fn(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions that the provider has")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            );
        TlsAcceptor::from(Arc::new(config.expect("a key for the certificate")))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // A file that stays is no harm.
        let _ = fs::remove_file(&self.file);
    }
}

pub(crate) struct TlsFront {
    addr: SocketAddr,
    shared: Arc<Shared>,
    /// Dropping it stops the front.
    _stop: oneshot::Sender<()>,
}

struct Shared {
    target: SocketAddr,
    acceptor: Mutex<TlsAcceptor>,
    handshakes: AtomicU64,
    plaintext: AtomicU64,
}

impl TlsFront {
    pub(crate) fn start(target: SocketAddr, acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let addr = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            target,
            acceptor: Mutex::new(acceptor),
            handshakes: AtomicU64::new(0),
            plaintext: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
                let accept = async {
                    while let Ok((client, _)) = listener.accept().await {
                        tokio::spawn(forward(client, Arc::clone(&serving)));
                    }
                };
                tokio::select! {
                    () = accept => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            addr,
            shared,
            _stop: stop,
        }
    }

    /// `https://localhost:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("https://localhost:{}", self.addr.port())
    }

    /// Shows another certificate from the next handshake on.
    pub(crate) fn rotate(&self, acceptor: TlsAcceptor) {
        *self.shared.lock() = acceptor;
    }

    /// How many handshakes succeeded.
    pub(crate) fn handshakes(&self) -> u64 {
        self.shared.handshakes.load(Ordering::Relaxed)
    }

    /// How many connections did not begin with a handshake.
    pub(crate) fn plaintext(&self) -> u64 {
        self.shared.plaintext.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, TlsAcceptor> {
        self.acceptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn forward(client: TcpStream, shared: Arc<Shared>) {
    let mut first = [0];
    if client.peek(&mut first).await.is_ok_and(|read| read > 0) && first[0] != HANDSHAKE {
        shared.plaintext.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let acceptor = shared.lock().clone();
    let Ok(mut client) = acceptor.accept(client).await else {
        return;
    };
    shared.handshakes.fetch_add(1, Ordering::Relaxed);
    if let Ok(mut server) = TcpStream::connect(shared.target).await {
        // Either side may go as it likes.
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
