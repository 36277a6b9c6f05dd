//! Whom a request is for: what its URL says, and what of it is shown.

use std::sync::Arc;

use ::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ::http::{HeaderValue, header, request};

use super::error::Error;

/// Requests to the same are sent over the same connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) secure: bool,
    /// As the resolver wants it: without brackets.
    pub(super) host: Box<str>,
    pub(super) port: u16,
}

pub(super) struct Target {
    pub(super) key: Key,
    /// Without credentials and query.
    pub(super) url: Arc<str>,
}

impl Target {
    pub(super) fn of(uri: &Uri) -> Result<Target, Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            let url = Arc::from(uri.path());
            return Err(Error::invalid(
                &url,
                "it is no absolute URL: say http://HOST/PATH or https://HOST/PATH",
            ));
        };
        let host = authority.host();
        let port = authority.port().map_or_else(String::new, |port| format!(":{port}"));
        let url: Arc<str> = format!("{scheme}://{host}{port}{}", uri.path()).into();
        let secure = *scheme == Scheme::HTTPS;
        if !secure && *scheme != Scheme::HTTP {
            return Err(Error::invalid(&url, format!("{scheme} is not spoken here: http and https are")));
        }
        if authority.as_str().contains('@') {
            let text = "credentials in a URL are not sent: take them out, and set the header authorization";
            return Err(Error::invalid(&url, text));
        }
        if cfg!(not(feature = "rustls")) && secure {
            return Err(Error::invalid(&url, "https needs annulus' feature rustls"));
        }
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str().len() > host.len() => {
                return Err(Error::invalid(&url, "its port is no number from 0 to 65535"));
            }
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
        };
        let key = Key { secure, host: bare.to_ascii_lowercase().into(), port };
        Ok(Target { key, url })
    }
}

/// As HTTP/1 has it: the path in the first line, and the host in a header.
pub(super) fn for_first(head: &mut request::Parts) {
    let uri = std::mem::take(&mut head.uri).into_parts();
    if let Some(authority) = uri.authority.filter(|_| !head.headers.contains_key(header::HOST)) {
        let is_default = match authority.port_u16() {
            Some(80) => uri.scheme == Some(Scheme::HTTP),
            Some(443) => uri.scheme == Some(Scheme::HTTPS),
            _ => false,
        };
        let text = if is_default { authority.host() } else { authority.as_str() };
        if let Ok(host) = HeaderValue::from_str(text) {
            head.headers.insert(header::HOST, host);
        }
    }
    head.uri = Uri::from(uri.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/")));
    head.version = ::http::Version::HTTP_11;
}

/// As HTTP/2 has it: all in pseudo-headers. A host that was set says who is meant.
pub(super) fn for_second(head: &mut request::Parts) {
    let named = head.headers.remove(header::HOST);
    let named = named.and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = named {
        let mut parts = std::mem::take(&mut head.uri).into_parts();
        parts.authority = Some(authority);
        if parts.path_and_query.is_none() {
            parts.path_and_query = Some(PathAndQuery::from_static("/"));
        }
        head.uri = Uri::from_parts(parts).unwrap_or_default();
    }
    head.version = ::http::Version::HTTP_2;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Result<Target, Error> {
        Target::of(&text.parse().unwrap())
    }

    #[test]
    fn a_url_says_whom() {
        let key = |text| {
            let key = target(text).unwrap().key;
            format!("{} {}", key.host, key.port)
        };
        assert_eq!(key("http://Example.org/a"), "example.org 80");
        assert_eq!(key("http://[::1]:8080"), "::1 8080");
        #[cfg(feature = "rustls")]
        assert_eq!(key("https://example.org"), "example.org 443");
    }

    #[test]
    fn what_cannot_be_sent_says_why_and_no_secret() {
        for (text, why) in [
            ("/path", "absolute"),
            ("ftp://host/", "ftp"),
            ("http://me:secret@host/", "authorization"),
            ("http://me:secret@host:99999/", ""),
        ] {
            let error = target(text).err().unwrap().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{error}");
        }
        let shown = target("http://host/path?token=secret").unwrap().url;
        assert_eq!(&*shown, "http://host/path");
    }
}
