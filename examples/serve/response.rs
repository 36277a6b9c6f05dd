//! What a client is told, as bytes.

use std::io::Write;
use std::ops::Range;
use std::time::SystemTime;

use httpdate::fmt_http_date;

use crate::files::Found;
use crate::request::{Method, Request, number};

/// An answer but for its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Which bytes of the file are the body.
    pub range: Range<u64>,
}

/// What a status is called; for those that this server gives.
pub fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        304 => "Not Modified",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

/// Which answer a request for a file that was found gets. RFC 9110, sections 13 and 14.
pub fn plan(request: &Request, found: &Found) -> Answer {
    let whole = Answer { status: 200, range: 0..found.length };
    if is_not_modified(request, found) {
        return Answer { status: 304, range: 0..0 };
    }
    // Of the methods that there are, ranges are for GET.
    let Some(range) = request.range.as_ref().filter(|_| request.method == Method::Get) else { return whole };
    // A range of another version than the client has is of no use to it. Only strong tags count here.
    if request.if_range.as_ref().is_some_and(|tag| *tag != found.tag && *tag != fmt_http_date(found.modified))
    {
        return whole;
    }
    match byte_range(range, found.length) {
        Asked::Whole => whole,
        Asked::Part(range) => Answer { status: 206, range },
        Asked::Nothing => Answer { status: 416, range: 0..0 },
    }
}

fn is_not_modified(request: &Request, found: &Found) -> bool {
    if let Some(tags) = &request.if_none_match {
        let tag = |text: &str| text.trim().trim_start_matches("W/") == found.tag;
        return tags.trim() == "*" || tags.split(',').any(tag);
    }
    let since = request.if_modified_since.as_ref().and_then(|text| httpdate::parse_http_date(text).ok());
    // The header knows whole seconds only.
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |span| span.as_secs());
    since.is_some_and(|since| seconds(found.modified) <= seconds(since))
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Nothing,
}

/// What a Range header asks for. One range is served; of several, and of what is no range, the whole.
fn byte_range(text: &str, length: u64) -> Asked {
    let in_bytes = text.split_once('=').filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"));
    let Some((first, last)) = in_bytes.and_then(|(_, range)| range.split_once('-')) else {
        return Asked::Whole;
    };
    let range = match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            Some(0) => return Asked::Nothing,
            Some(count) => length.saturating_sub(count)..length,
            None => return Asked::Whole,
        },
        (first, last) => {
            let Some(first) = number(first) else { return Asked::Whole };
            match last {
                "" => first..length,
                last => match number(last) {
                    Some(last) if last >= first => first..last.saturating_add(1).min(length),
                    _ => return Asked::Whole,
                },
            }
        }
    };
    if range.start >= length { Asked::Nothing } else { Asked::Part(range) }
}

/// Writes the head of an answer for a file.
pub fn write_head(out: &mut Vec<u8>, answer: &Answer, found: &Found, closes: bool) {
    begin(out, answer.status, closes);
    let length = answer.range.end - answer.range.start;
    let done = match answer.status {
        304 => Ok(()),
        416 => write!(out, "Content-Range: bytes */{}\r\nContent-Length: 0\r\n", found.length),
        206 => write!(
            out,
            "Content-Range: bytes {}-{}/{}\r\nContent-Length: {length}\r\nContent-Type: {}\r\n",
            answer.range.start,
            answer.range.end - 1,
            found.length,
            found.content_type
        ),
        _ => write!(out, "Content-Length: {length}\r\nContent-Type: {}\r\n", found.content_type),
    };
    done.expect("writing to a vector does not fail");
    out.extend_from_slice(found.described.as_bytes());
}

/// Writes a page that was made, with its head.
pub fn write_page(out: &mut Vec<u8>, page: &str, method: Method, closes: bool) {
    begin(out, 200, closes);
    write!(out, "Content-Length: {}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n", page.len())
        .expect("writing to a vector does not fail");
    if method != Method::Head {
        out.extend_from_slice(page.as_bytes());
    }
}

/// Writes an answer that says nothing but its status.
pub fn write_status(out: &mut Vec<u8>, status: u16, more: &str, method: Method, closes: bool) {
    begin(out, status, closes);
    let body = format!("{status} {}\n", reason(status));
    write!(out, "{more}Content-Length: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", body.len())
        .expect("writing to a vector does not fail");
    if method != Method::Head {
        out.extend_from_slice(body.as_bytes());
    }
}

/// An error as a whole answer, and the last one.
pub fn refusal(status: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    let more = if status == 503 { "Retry-After: 1\r\n" } else { "" };
    write_status(&mut out, status, more, Method::Get, true);
    out
}

fn begin(out: &mut Vec<u8>, status: u16, closes: bool) {
    let connection = if closes { "close" } else { "keep-alive" };
    write!(out, "HTTP/1.1 {status} {}\r\nConnection: {connection}\r\nDate: ", reason(status))
        .and_then(|()| write!(out, "{}\r\n", httpdate::HttpDate::from(SystemTime::now())))
        .expect("writing to a vector does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        assert_eq!(byte_range("bytes=0-99", 10), Asked::Part(0..10));
        assert_eq!(byte_range("Bytes=2-3", 10), Asked::Part(2..4));
        assert_eq!(byte_range("bytes=4-", 10), Asked::Part(4..10));
        assert_eq!(byte_range("bytes=-3", 10), Asked::Part(7..10));
        assert_eq!(byte_range("bytes=-30", 10), Asked::Part(0..10));
        assert_eq!(byte_range("bytes=10-", 10), Asked::Nothing);
        assert_eq!(byte_range("bytes=-0", 10), Asked::Nothing);
        assert_eq!(byte_range("bytes=0-18446744073709551615", 10), Asked::Part(0..10));
        for nonsense in
            ["bytes=3-2", "bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes=-", "bytes=+1-2", "bytes"]
        {
            assert_eq!(byte_range(nonsense, 10), Asked::Whole, "{nonsense}");
        }
    }
}
