//! What is between two ends of one connection goes no further, and the upstream is told who has asked.

use std::net::SocketAddr;

use annulus::http::{HeaderMap, HeaderName, HeaderValue, header};
use hyper::http::request::Parts;

/// RFC 9110, section 7.6.1, and what is obsolete and still sent.
const OF_ONE_CONNECTION: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_ONE_CONNECTION) {
        headers.remove(name);
    }
}

pub(super) fn for_the_client(headers: &mut HeaderMap) {
    strip(headers);
}

pub(super) fn for_the_upstream(head: &mut Parts, peer: Option<SocketAddr>) {
    let headers = &mut head.headers;
    strip(headers);
    headers.remove(header::EXPECT);
    // HTTP/2 has the host in its URL, and may have several cookies.
    let authority = head.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = authority {
        headers.entry(header::HOST).or_insert(host);
    }
    join(headers, &header::COOKIE, "; ");
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert("x-forwarded-host", host);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    if let Some(peer) = peer {
        let name = HeaderName::from_static("x-forwarded-for");
        headers.append(&name, HeaderValue::from_str(&peer.ip().to_string()).expect("an address is text"));
        join(headers, &name, ", ");
    }
    headers.append(header::VIA, HeaderValue::from_static("1.1 annulus"));
}

/// Makes one of several.
fn join(headers: &mut HeaderMap, name: &HeaderName, between: &str) {
    let values: Vec<_> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    if values.len() > 1 {
        let joined = values.join(between.as_bytes());
        headers.insert(name, HeaderValue::from_bytes(&joined).expect("its parts were values"));
    }
}
