//! TLS between two ends of this crate, and with OpenSSL: who is who is checked, an end is said, and garbage hurts nobody.

mod support;

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use annulus::io::{AsyncRead, AsyncWrite, PollRead, PollWrite};
use annulus::net::{Inet, TcpListener, TcpStream};
use annulus::task::LocalSend;
use annulus::tls::rustls::{self, HandshakeKind};
use annulus::tls::{
    Certificate, HandshakeError, ReloadableCertificate, Roots, TlsAcceptor, TlsConnector, TlsStream,
};
use futures_util::future::join;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use support::net::pair;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    what_one_side_writes_the_other_reads,
    both_sides_know_each_other_and_what_they_agreed_upon,
    much_arrives_whole_over_a_readiness_view,
    much_arrives_whole_over_a_buffered_view,
    without_a_protocol_in_common_both_are_told,
    a_client_without_the_certificate_that_is_wanted_is_refused,
    a_client_with_a_certificate_is_known,
    a_client_may_be_unknown_where_that_is_permitted,
    the_second_session_resumes_the_first,
    a_connection_that_is_cut_off_is_no_clean_end,
    what_is_no_tls_is_an_error_that_says_so,
    who_goes_away_during_the_handshake_is_an_early_end,
    who_is_silent_is_not_waited_for,
    a_server_that_nobody_vouches_for_is_not_trusted,
    a_certificate_is_for_its_names,
    a_reload_leaves_connections_as_they_are_and_the_next_has_the_new_one,
    a_broken_file_leaves_the_old_certificate,
    what_is_no_certificate_says_what_is_wanted,
    a_stream_that_is_wrapped_goes_where_send_is_asked_for,
}

on_real_drivers! {
    because "OpenSSL is a program of the machine's": openssl_agrees;
}

type Plain = annulus::net::PollStream<Inet>;

/// Who signs in these tests.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // Each by another name: OpenSSL takes a certificate that is signed in its own name for its own root.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("authority {}", COUNT.fetch_add(1, Ordering::Relaxed));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(self.pem.as_bytes()).unwrap()
    }

    /// A certificate of that name, and its key.
    fn signed(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn certificate(&self, name: &str) -> Certificate {
        let (chain, key) = self.signed(name);
        Certificate::from_pem(chain.as_bytes(), key.as_bytes()).unwrap()
    }
}

fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

fn acceptor() -> TlsAcceptor {
    TlsAcceptor::builder(authority().certificate("localhost")).build().unwrap()
}

fn connector() -> TlsConnector {
    TlsConnector::builder().roots(authority().roots()).build().unwrap()
}

/// What a handshake gave the client, and what it gave the server.
async fn shaken(
    connector: &TlsConnector,
    acceptor: &TlsAcceptor,
    name: &str,
) -> (io::Result<TlsStream<Plain>>, io::Result<TlsStream<Plain>>) {
    let (client, server) = pair().await;
    join(connector.connect(name, client.into_poll()), acceptor.accept(server.into_poll())).await
}

async fn connected(connector: &TlsConnector, acceptor: &TlsAcceptor) -> (TlsStream<Plain>, TlsStream<Plain>) {
    let (client, server) = shaken(connector, acceptor, "localhost").await;
    (client.unwrap(), server.unwrap())
}

async fn said<S: PollRead + PollWrite + Unpin>(stream: &mut TlsStream<S>, text: &'static str) {
    stream.write_all(text).await.0.unwrap();
}

async fn heard<S: PollRead + PollWrite + Unpin>(stream: &mut TlsStream<S>, text: &str) {
    let (result, bytes) = stream.read_exact(vec![0; text.len()].into_boxed_slice()).await;
    result.unwrap();
    assert_eq!(&bytes[..], text.as_bytes());
}

#[track_caller]
fn assert_says(error: &io::Error, kind: ErrorKind, text: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

async fn what_one_side_writes_the_other_reads() {
    let (mut client, mut server) = connected(&connector(), &acceptor()).await;
    said(&mut client, "ping").await;
    heard(&mut server, "ping").await;
    said(&mut server, "pong").await;
    server.shutdown().await.unwrap();
    let (result, text) = client.read_to_string(String::new()).await;
    assert_eq!((result.unwrap(), text.as_str()), (4, "pong"));
    // The other direction goes on.
    said(&mut client, "after").await;
    heard(&mut server, "after").await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(Vec::with_capacity(8)).await.0.unwrap(), 0);
}

async fn both_sides_know_each_other_and_what_they_agreed_upon() {
    let certificate = authority().certificate("localhost");
    let acceptor = TlsAcceptor::builder(certificate).alpn(["h2", "http/1.1"]).build().unwrap();
    let connector = TlsConnector::builder().roots(authority().roots()).alpn(["http/1.1"]).build().unwrap();
    let (client, server) = connected(&connector, &acceptor).await;
    for stream in [&client, &server] {
        assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.server_name(), Some("localhost"));
        assert_eq!(stream.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        assert_eq!(stream.handshake_kind(), Some(HandshakeKind::Full));
        assert!(!stream.is_resumed());
    }
    assert_eq!(client.peer_certificates().unwrap().len(), 1);
    assert!(server.peer_certificates().is_none());
    assert_eq!(client.get_ref().peer_addr().unwrap(), server.get_ref().local_addr().unwrap());
}

/// Both write at once, more than all buffers between them hold.
async fn much_arrives_whole<S: PollRead + PollWrite + Unpin + 'static>(view: fn(TcpStream) -> S) {
    const BYTES: usize = 3 << 20;
    fn made(seed: usize) -> Vec<u8> {
        (0..BYTES).map(|place| (place.wrapping_mul(31) ^ (place >> 9) ^ seed) as u8).collect()
    }
    async fn written<S: PollRead + PollWrite + Unpin>(stream: &mut TlsStream<S>, seed: usize) {
        stream.write_all(made(seed)).await.0.unwrap();
    }
    async fn read<S: PollRead + PollWrite + Unpin>(stream: &mut TlsStream<S>, seed: usize) {
        let (result, bytes) = stream.read_exact(vec![0; BYTES].into_boxed_slice()).await;
        result.unwrap();
        assert!(bytes[..] == made(seed)[..]);
    }
    let (client, server) = pair().await;
    let (connector, acceptor) = (connector(), acceptor());
    let shaken = join(connector.connect("localhost", view(client)), acceptor.accept(view(server))).await;
    let (mut client, mut server) = (shaken.0.unwrap(), shaken.1.unwrap());
    join(
        async {
            written(&mut client, 1).await;
            read(&mut client, 2).await;
            client.shutdown().await.unwrap();
        },
        async {
            read(&mut server, 1).await;
            written(&mut server, 2).await;
            assert_eq!(server.read(Vec::with_capacity(8)).await.0.unwrap(), 0);
        },
    )
    .await;
}

async fn much_arrives_whole_over_a_readiness_view() {
    much_arrives_whole(TcpStream::into_poll).await;
}

async fn much_arrives_whole_over_a_buffered_view() {
    much_arrives_whole(TcpStream::into_buffered).await;
}

async fn without_a_protocol_in_common_both_are_told() {
    let certificate = authority().certificate("localhost");
    let acceptor = TlsAcceptor::builder(certificate).alpn(["h2"]).build().unwrap();
    let connector = TlsConnector::builder().roots(authority().roots()).alpn(["spdy/1"]).build().unwrap();
    let (client, server) = shaken(&connector, &acceptor, "localhost").await;
    assert_says(&server.unwrap_err(), ErrorKind::InvalidData, "alpn");
    assert_says(&client.unwrap_err(), ErrorKind::InvalidData, "alpn");
}

fn asking() -> TlsAcceptor {
    let certificate = authority().certificate("localhost");
    TlsAcceptor::builder(certificate).client_certificates_required(authority().roots()).build().unwrap()
}

fn known() -> TlsConnector {
    let certificate = authority().certificate("ada");
    TlsConnector::builder().roots(authority().roots()).certificate(certificate).build().unwrap()
}

async fn a_client_without_the_certificate_that_is_wanted_is_refused() {
    let (client, server) = shaken(&connector(), &asking(), "localhost").await;
    let error = server.unwrap_err();
    assert_says(&error, ErrorKind::InvalidData, "the client is to show a certificate");
    assert!(error.get_ref().unwrap().downcast_ref::<HandshakeError>().is_some());
    // In TLS 1.3 it hears of it when it reads.
    assert!(client.unwrap().read(Vec::with_capacity(8)).await.0.is_err());
    let stranger = Authority::new().certificate("mallory");
    let connector = TlsConnector::builder().roots(authority().roots()).certificate(stranger).build().unwrap();
    let (_client, server) = shaken(&connector, &asking(), "localhost").await;
    assert_says(&server.unwrap_err(), ErrorKind::InvalidData, "nobody who is trusted");
}

async fn a_client_with_a_certificate_is_known() {
    let (_client, server) = connected(&known(), &asking()).await;
    assert_eq!(server.peer_certificates().unwrap().len(), 1);
}

async fn a_client_may_be_unknown_where_that_is_permitted() {
    let certificate = authority().certificate("localhost");
    let acceptor =
        TlsAcceptor::builder(certificate).client_certificates_optional(authority().roots()).build().unwrap();
    let (_client, server) = connected(&connector(), &acceptor).await;
    assert!(server.peer_certificates().is_none());
    let (_client, server) = connected(&known(), &acceptor).await;
    assert!(server.peer_certificates().is_some());
}

async fn the_second_session_resumes_the_first() {
    let (connector, acceptor) = (connector(), acceptor());
    let (mut client, mut server) = connected(&connector, &acceptor).await;
    // The ticket comes before what is read first.
    said(&mut server, "ticket").await;
    heard(&mut client, "ticket").await;
    // By clones as well.
    let (client, server) = connected(&connector.clone(), &acceptor.clone()).await;
    assert!(client.is_resumed() && server.is_resumed(), "{:?}", client.handshake_kind());
}

async fn a_connection_that_is_cut_off_is_no_clean_end() {
    let (mut client, mut server) = connected(&connector(), &acceptor()).await;
    // It has read all that came: closed with something unread, TCP would say so by a reset.
    said(&mut server, "begin").await;
    heard(&mut client, "begin").await;
    said(&mut client, "half").await;
    drop(client);
    heard(&mut server, "half").await;
    let error = server.read(Vec::with_capacity(8)).await.0.unwrap_err();
    assert_says(&error, ErrorKind::UnexpectedEof, "close_notify");
}

async fn what_is_no_tls_is_an_error_that_says_so() {
    let acceptor = acceptor();
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..], &[0xff; 4096], &[0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9]]
    {
        let (client, server) = pair().await;
        client.write_all(garbage.to_vec()).await.0.unwrap();
        let error = acceptor.accept(server.into_poll()).await.unwrap_err();
        assert_says(&error, ErrorKind::InvalidData, "the TLS handshake failed");
        drop(client);
    }
    let (client, server) = pair().await;
    server.write_all("SSH-2.0-OpenSSH_9\r\n").await.0.unwrap();
    let error = connector().connect("localhost", client.into_poll()).await.unwrap_err();
    assert_says(&error, ErrorKind::InvalidData, "not TLS");
    // The next one is served.
    connected(&connector(), &acceptor).await;
}

async fn who_goes_away_during_the_handshake_is_an_early_end() {
    let (client, server) = pair().await;
    client.write_all(vec![0x16, 3, 1]).await.0.unwrap();
    client.close().await.unwrap();
    let error = acceptor().accept(server.into_poll()).await.unwrap_err();
    assert_says(&error, ErrorKind::UnexpectedEof, "during the TLS handshake");
}

async fn who_is_silent_is_not_waited_for() {
    const LIMIT: Duration = Duration::from_millis(20);
    let (client, server) = pair().await;
    let error = acceptor().handshake_limit(LIMIT).accept(server.into_poll()).await.unwrap_err();
    assert_says(&error, ErrorKind::TimedOut, "handshake_limit");
    drop(client);
    let (client, server) = pair().await;
    let error =
        connector().handshake_limit(LIMIT).connect("localhost", client.into_poll()).await.unwrap_err();
    assert_says(&error, ErrorKind::TimedOut, "20ms");
    drop(server);
}

async fn a_server_that_nobody_vouches_for_is_not_trusted() {
    let connector = TlsConnector::builder().roots(Authority::new().roots()).build().unwrap();
    let (client, server) = shaken(&connector, &acceptor(), "localhost").await;
    assert_says(&client.unwrap_err(), ErrorKind::InvalidData, "add the root");
    assert_says(&server.unwrap_err(), ErrorKind::InvalidData, "does not trust our certificate");
    // One root more is enough.
    let both = Authority::new().roots().and(&authority().roots());
    connected(&TlsConnector::builder().roots(both).build().unwrap(), &acceptor()).await;
}

async fn a_certificate_is_for_its_names() {
    let (client, _server) = shaken(&connector(), &acceptor(), "example.org").await;
    assert_says(&client.unwrap_err(), ErrorKind::InvalidData, "another name");
    let (client, _server) = pair().await;
    let error = connector().connect("https://localhost", client.into_poll()).await.unwrap_err();
    assert_says(&error, ErrorKind::InvalidInput, "without a scheme");
}

/// A folder with a certificate and its key, and what they were read as.
fn on_disk() -> (tempfile::TempDir, ReloadableCertificate) {
    let folder = tempfile::tempdir().unwrap();
    renewed(&folder);
    let path = |name| folder.path().join(name);
    let certificate = ReloadableCertificate::from_pem_files(path("chain.pem"), path("key.pem")).unwrap();
    (folder, certificate)
}

fn renewed(folder: &tempfile::TempDir) {
    let (chain, key) = authority().signed("localhost");
    fs::write(folder.path().join("chain.pem"), chain).unwrap();
    fs::write(folder.path().join("key.pem"), key).unwrap();
}

async fn a_reload_leaves_connections_as_they_are_and_the_next_has_the_new_one() {
    let (folder, certificate) = on_disk();
    let acceptor = TlsAcceptor::builder(certificate.clone()).build().unwrap();
    let (mut client, mut server) = connected(&connector(), &acceptor).await;
    renewed(&folder);
    certificate.reload().unwrap();
    said(&mut client, "still here").await;
    heard(&mut server, "still here").await;
    // Not one that resumes: that one shows nothing.
    let (after, _server) = connected(&connector(), &acceptor).await;
    assert_ne!(after.peer_certificates(), client.peer_certificates());
}

async fn a_broken_file_leaves_the_old_certificate() {
    let (folder, certificate) = on_disk();
    let acceptor = TlsAcceptor::builder(certificate.clone()).build().unwrap();
    let (before, _server) = connected(&connector(), &acceptor).await;
    // A new chain and still the old key, then half a file, then none.
    let chain = folder.path().join("chain.pem");
    let (other, _) = authority().signed("localhost");
    fs::write(&chain, &other).unwrap();
    assert_says(&certificate.reload().unwrap_err(), ErrorKind::InvalidInput, "is not the key of");
    fs::write(&chain, &other[..other.len() / 2]).unwrap();
    assert_says(&certificate.reload().unwrap_err(), ErrorKind::InvalidInput, "chain.pem");
    fs::remove_file(&chain).unwrap();
    assert_says(&certificate.reload().unwrap_err(), ErrorKind::NotFound, "chain.pem");
    let (after, _server) = connected(&connector(), &acceptor).await;
    assert_eq!(after.peer_certificates(), before.peer_certificates());
}

async fn what_is_no_certificate_says_what_is_wanted() {
    assert_says(&Roots::from_pem(b"").unwrap_err(), ErrorKind::InvalidInput, "BEGIN CERTIFICATE");
    let (chain, key) = authority().signed("localhost");
    let error = Certificate::from_pem(chain.as_bytes(), b"nothing").unwrap_err();
    assert_says(&error, ErrorKind::InvalidInput, "BEGIN PRIVATE KEY");
    let error = Certificate::from_pem(key.as_bytes(), key.as_bytes()).unwrap_err();
    assert_says(&error, ErrorKind::InvalidInput, "BEGIN CERTIFICATE");
    let made = ReloadableCertificate::from(authority().certificate("localhost"));
    assert_says(&made.reload().unwrap_err(), ErrorKind::InvalidInput, "not made from files");
    let text = format!("{:?}", made.current());
    assert!(!text.contains("KEY") && text.contains("chain: 1"), "{text}");
}

async fn a_stream_that_is_wrapped_goes_where_send_is_asked_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    async fn as_some_ask<S>(mut stream: S) -> String
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
    {
        stream.write_all(b"by tokio's traits").await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
    let (client, mut server) = connected(&connector(), &acceptor()).await;
    let other = annulus::spawn(async move {
        heard(&mut server, "by tokio's traits").await;
        said(&mut server, "and back").await;
        AsyncWrite::shutdown(&mut server).await.unwrap();
        server
    });
    assert_eq!(as_some_ask(LocalSend::new(client)).await, "and back");
    drop(other.await.unwrap());
}

async fn openssl_agrees() {
    if Command::new("openssl").arg("version").output().is_err() {
        return support::skipped("openssl_agrees", "there is no openssl: install the package of that name");
    }
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, &authority().pem).unwrap();
    let certificate = authority().certificate("localhost");
    let acceptor = TlsAcceptor::builder(certificate).alpn(["h2", "http/1.1"]).build().unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut child = Command::new("openssl")
            .args(["s_client", "-ign_eof", "-verify_return_error", "-verify_hostname", "localhost"])
            .args(["-alpn", "h2", "-servername", "localhost", version, "-CAfile"])
            .arg(&roots)
            .arg("-connect")
            .arg(listener.local_addr().unwrap().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(b"ping\n").unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream.into_poll()).await.unwrap();
        heard(&mut stream, "ping\n").await;
        said(&mut stream, "pong\n").await;
        stream.shutdown().await.unwrap();
        let output = annulus::spawn_blocking(|| child.wait_with_output().unwrap());
        // Its close comes first, and the process ends when the connection does.
        let _ = stream.read(Vec::with_capacity(16)).await;
        drop(stream);
        let output = output.await.unwrap();
        let text = support::child::text(&output.stdout) + &support::child::text(&output.stderr);
        for wanted in ["Verify return code: 0 (ok)", "ALPN protocol: h2", "pong"] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
}
