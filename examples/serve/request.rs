//! What a client asks, from bytes.

/// A request's head, as far as this server minds it.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// The path, percent-decoded, beginning with a slash; without the query.
    pub path: String,
    pub keep_alive: bool,
    pub range: Option<String>,
    pub if_range: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Other,
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request, and how many bytes its head took.
    Whole(Request, usize),
    /// Not a whole head yet.
    Partial,
    /// Nothing that can be answered but by this status; the connection ends.
    Refused(u16),
}

/// How many header lines a request may have.
const HEADERS_MAX: usize = 64;

/// Reads one request's head from the front of `bytes`.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(httparse::Error::TooManyHeaders) => return Parsed::Refused(431),
        Err(_) => return Parsed::Refused(400),
    };
    match understood(&head) {
        Ok(request) => Parsed::Whole(request, length),
        Err(status) => Parsed::Refused(status),
    }
}

fn understood(head: &httparse::Request<'_, '_>) -> Result<Request, u16> {
    let mut request = Request {
        method: match head.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        },
        path: path_of(head.path.unwrap_or_default()).ok_or(400_u16)?,
        // HTTP/1.1 keeps a connection unless told otherwise, HTTP/1.0 closes it.
        keep_alive: head.version == Some(1),
        range: None,
        if_range: None,
        if_none_match: None,
        if_modified_since: None,
    };
    let (mut hosts, mut length, mut chunked, mut closes) = (0, None, false, false);
    for header in head.headers.iter() {
        let text =
            || std::str::from_utf8(header.value).map(|text| text.trim().to_owned()).map_err(|_| 400_u16);
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("host") {
            hosts += 1;
        } else if is("connection") {
            let text = text()?.to_ascii_lowercase();
            for word in text.split(',').map(str::trim) {
                closes |= word == "close";
                request.keep_alive |= word == "keep-alive";
            }
        } else if is("content-length") {
            let this = number(&text()?).ok_or(400_u16)?;
            // Two lengths that differ are how requests are smuggled.
            if length.replace(this).is_some_and(|other| other != this) {
                return Err(400);
            }
        } else if is("transfer-encoding") {
            chunked = true;
        } else if is("range") {
            request.range = Some(text()?);
        } else if is("if-range") {
            request.if_range = Some(text()?);
        } else if is("if-none-match") {
            request.if_none_match = Some(text()?);
        } else if is("if-modified-since") {
            request.if_modified_since = Some(text()?);
        }
    }
    match (chunked, length) {
        // Which of the two says where the next request begins? Nobody shall need to know.
        (true, Some(_)) => return Err(400),
        // A body is never read, so it is never taken for a request either: the connection ends.
        (true, None) | (false, Some(1..)) => return Err(413),
        (false, _) => {}
    }
    // Whoever says both is let go.
    request.keep_alive &= !closes;
    if hosts > 1 || (head.version == Some(1) && hosts == 0) {
        return Err(400);
    }
    Ok(request)
}

/// Digits and nothing else: what `parse` takes besides, a plus sign, some other server reads differently.
pub fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The path of a request's target, decoded. None if it is none.
fn path_of(target: &str) -> Option<String> {
    // An absolute target names the host as well, as to a proxy.
    let target = match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    };
    let path = target.split(['?', '#']).next()?;
    if !path.starts_with('/') {
        return None;
    }
    // One slash at the front: with two, a redirection to it would lead to another host.
    Some(format!("/{}", decode(path)?.trim_start_matches('/')))
}

/// Undoes percent-encoding, once. None if it is broken, not UTF-8, or has a NUL.
fn decode(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => byte,
        };
        if byte == 0 {
            return None;
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> u16 {
        match parse(text.as_bytes()) {
            Parsed::Refused(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Parsed::Whole(request, length) => {
                assert_eq!(length, text.len());
                request
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost: a\r\n"), Parsed::Partial);
        let request = whole("GET /a%20b?c HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((request.path.as_str(), request.keep_alive), ("/a b", true));
        assert!(!whole("GET / HTTP/1.0\r\n\r\n").keep_alive);
        assert!(whole("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive);
        assert!(!whole("GET / HTTP/1.1\r\nHost: a\r\nConnection: close, keep-alive\r\n\r\n").keep_alive);
        assert_eq!(whole("HEAD http://h/x HTTP/1.1\r\nHost: a\r\n\r\n").path, "/x");
        assert_eq!(whole("GET //%2fh/x HTTP/1.1\r\nHost: a\r\n\r\n").path, "/h/x");
    }

    #[test]
    fn what_could_smuggle_a_request_is_refused() {
        let with = |headers: &str| refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n"));
        assert_eq!(with("Content-Length: 5\r\nTransfer-Encoding: chunked"), 400);
        assert_eq!(with("Content-Length: 5\r\nContent-Length: 6"), 400);
        assert_eq!(with("Content-Length: 5"), 413);
        for nonsense in ["x", "+0", "-1", "0x1", "", "1, 1", "99999999999999999999"] {
            assert_eq!(with(&format!("Content-Length: {nonsense}")), 400, "{nonsense}");
        }
        assert_eq!(with("Transfer-Encoding: chunked"), 413);
        assert_eq!(with("Host: b"), 400);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for target in ["*", "a", "/%", "/%4", "/%zz", "/%00", "/%ff"] {
            assert_eq!(refused(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")), 400, "{target}");
        }
    }
}
