//! HTTPS between `http::Client` and `http::serve`: which protocol is spoken, whom is trusted, and what is said where not.

mod support;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use annulus::http::{Client, ClientBuilder, Response, ServeHandle, Stage};
use annulus::net::TcpListener;
use annulus::tls::{Certificate, Roots, TlsAcceptor, TlsConnector};
use annulus::{http, spawn};
use futures_util::future::join_all;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use support::on_every_driver;

on_every_driver! {
    the_best_protocol_that_both_speak_is_spoken,
    who_is_many_at_once_has_one_connection_as_soon_as_it_is_http2,
    connections_of_http1_are_kept_too,
    a_server_for_another_name_is_not_asked,
    a_server_that_nobody_vouches_for_is_not_asked,
    who_insists_on_http2_is_told_where_it_is_not_spoken,
    a_server_without_tls_is_told_apart,
    a_handshake_that_hangs_is_given_up,
}

/// A root of its own name, and a certificate of its for 127.0.0.1 and here.test.
fn certified() -> (Roots, Certificate) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("{:?}", key.public_key_raw()));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "here.test".to_owned()]).unwrap();
    let chain = params.signed_by(&key, &issuer).unwrap().pem();
    let certificate = Certificate::from_pem(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (Roots::from_pem(root.as_bytes()).unwrap(), certificate)
}

async fn serve(certificate: Certificate, alpn: &[&str]) -> (SocketAddr, ServeHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = http::service_fn(async |request: http::Request<http::Incoming>| {
        Ok::<_, Infallible>(Response::new(http::text(format!("{:?}", request.version()))))
    });
    let acceptor = TlsAcceptor::builder(certificate).alpn(alpn).build().unwrap();
    let serve = http::serve(listener, service).tls(acceptor);
    let handle = serve.handle();
    drop(spawn(serve.into_future()));
    (address, handle)
}

fn trusting(builder: ClientBuilder, roots: Roots) -> Client {
    builder.tls(TlsConnector::builder().roots(roots).build().unwrap()).build()
}

async fn text(client: &Client, url: &str) -> String {
    client.get(url).await.unwrap().into_body().text(100).await.unwrap()
}

async fn the_best_protocol_that_both_speak_is_spoken() {
    let (roots, certificate) = certified();
    let both = &["h2", "http/1.1"][..];
    for (offered, builder, spoken) in [
        (both, Client::builder(), "HTTP/2.0"),
        (both, Client::builder().http1_only(), "HTTP/1.1"),
        (both, Client::builder().http2_only(), "HTTP/2.0"),
        (&["http/1.1"][..], Client::builder(), "HTTP/1.1"),
        (&[][..], Client::builder(), "HTTP/1.1"),
    ] {
        let (address, _) = serve(certificate.clone(), offered).await;
        let client = trusting(builder, roots.clone());
        assert_eq!(text(&client, &format!("https://{address}/")).await, spoken);
    }
}

async fn who_is_many_at_once_has_one_connection_as_soon_as_it_is_http2() {
    let (roots, certificate) = certified();
    let (address, handle) = serve(certificate, &["h2"]).await;
    let client = trusting(Client::builder(), roots);
    let url = format!("https://{address}/");
    let said = join_all((0..10).map(|_| text(&client, &url))).await;
    assert!(said.iter().all(|said| said == "HTTP/2.0"));
    assert_eq!((handle.counts().accepted, client.counts().connections), (1, 1));
}

async fn connections_of_http1_are_kept_too() {
    let (roots, certificate) = certified();
    let (address, handle) = serve(certificate, &["http/1.1"]).await;
    let client = trusting(Client::builder(), roots);
    let url = format!("https://{address}/");
    for _ in 0..3 {
        assert_eq!(text(&client, &url).await, "HTTP/1.1");
    }
    assert_eq!(handle.counts().accepted, 1);
    // What is known to be HTTP/1 is connected to at once, as often as is needed.
    join_all((0..4).map(|_| text(&client, &url))).await;
    assert_eq!(client.counts().connections, 4);
}

async fn refused(client: Client, url: String) -> http::Error {
    // Who waits for another one's connection has its error.
    let errors = join_all((0..2).map(|_| client.get(&*url))).await;
    let texts: Vec<_> = errors.iter().map(|error| error.as_ref().unwrap_err().to_string()).collect();
    assert_eq!(texts[0], texts[1]);
    errors.into_iter().next().unwrap().unwrap_err()
}

async fn a_server_for_another_name_is_not_asked() {
    let (roots, certificate) = certified();
    let (address, handle) = serve(certificate, &["h2"]).await;
    let client = trusting(Client::builder(), roots);
    let error = refused(client, format!("https://localhost:{}/", address.port())).await;
    let text = error.to_string();
    assert_eq!(error.stage(), Stage::Tls, "{text}");
    assert!(text.contains("localhost") && text.contains("it is for another name"), "{text}");
    assert_eq!(handle.counts().requests, 0);
}

async fn a_server_that_nobody_vouches_for_is_not_asked() {
    let ((_, certificate), (strangers, _)) = (certified(), certified());
    let (address, handle) = serve(certificate, &["h2"]).await;
    let error = refused(trusting(Client::builder(), strangers), format!("https://{address}/")).await;
    assert_eq!(error.stage(), Stage::Tls, "{error}");
    assert!(error.to_string().contains("nobody who is trusted"), "{error}");
    // Two requests, and one connection that both have waited for.
    assert_eq!((handle.counts().accepted, handle.counts().requests), (1, 0));
}

async fn who_insists_on_http2_is_told_where_it_is_not_spoken() {
    let (roots, certificate) = certified();
    let (address, _) = serve(certificate, &[]).await;
    let client = trusting(Client::builder().http2_only(), roots);
    let error = refused(client, format!("https://{address}/")).await;
    assert!(error.stage() == Stage::Tls && error.to_string().contains("http2_only"), "{error}");
}

async fn a_server_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(stream.read(Vec::with_capacity(4096)).await);
            drop(stream.write_all("HTTP/1.1 400 Bad Request\r\n\r\n").await);
        }
    }));
    let error = refused(trusting(Client::builder(), certified().0), url).await;
    assert!(error.stage() == Stage::Tls && error.to_string().contains("plain HTTP"), "{error}");
}

async fn a_handshake_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let client = trusting(Client::builder().connect_timeout(Duration::from_millis(50)), certified().0);
    let error = refused(client, url).await;
    assert!(error.stage() == Stage::Tls && error.is_timeout(), "{error}");
    assert!(error.to_string().contains("connect_timeout"), "{error}");
}
