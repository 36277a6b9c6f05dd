//! The life of one connection: requests in, answers out, until one of the two has enough.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
use std::ops::Range;
use std::time::Instant;

use annulus::buf::IoBuf;
use annulus::fs::File;
use annulus::net::TcpStream;
use annulus::time::{now, timeout, timeout_at};

use crate::files::{Content, Lookup};
use crate::listing::encoded;
use crate::request::{Method, Parsed, Request, parse};
use crate::response;
use crate::server::Server;

/// What an idle connection holds for its next request, in bytes. Most requests fit.
const ROOM: usize = 1024;
/// A request's head may not be longer, in bytes.
const HEAD_MAX: usize = 16 * 1024;
/// How much of a large file is read and sent at once, in bytes.
const CHUNK: usize = 256 * 1024;
/// Answers to pipelined requests are gathered up to this length, in bytes.
const GATHER_MAX: usize = 64 * 1024;
/// How many buffers for answers are kept for later.
const SPARE_MAX: usize = 64;

/// Serves a connection to its end, and gives what is left to say before it is closed, if it is not just closed.
/// An error means that the peer broke it off.
pub async fn serve(server: &Server, stream: &TcpStream, waits: &Cell<bool>) -> io::Result<Option<Vec<u8>>> {
    stream.set_nodelay(true)?;
    let mut asked = Vec::with_capacity(ROOM);
    // Since when a request has been there in part.
    let mut begun = None;
    loop {
        // Once the server ends, those who begin to wait have a time of their own for that.
        waits.set(asked.is_empty() && !server.ending.get());
        let more = receive(server, stream, &mut asked, begun).await;
        waits.set(false);
        let received = asked.len();
        match more? {
            More::Came => {}
            More::Ended => return Ok(None),
            More::TooSlow => return Ok(Some(response::refusal(408))),
        }
        let mut out = server.buffers.borrow_mut().pop().unwrap_or_default();
        let go_on = answer_all(server, stream, &mut asked, &mut out).await;
        out.clear();
        // A buffer that a large answer has blown up is not kept, nor are those of one busy moment.
        let mut spare = server.buffers.borrow_mut();
        if out.capacity() <= 2 * GATHER_MAX && spare.len() < SPARE_MAX {
            spare.push(out);
        }
        drop(spare);
        match go_on? {
            Next::Request => {}
            Next::Close => {
                // Closing with bytes unread resets the connection, and that may overtake the answer.
                let more_may_come = !asked.is_empty() || received == asked.capacity() || server.ending.get();
                return Ok(more_may_come.then(Vec::new));
            }
            Next::Refuse(status) => return Ok(Some(response::refusal(status))),
        }
        // The time for a head is the time for all of it, however often a little of it comes.
        begun = match asked.len() {
            0 => None,
            left if left < received => Some(now()),
            _ => begun.or_else(|| Some(now())),
        };
        if asked.is_empty() && asked.capacity() > ROOM {
            asked = Vec::with_capacity(ROOM);
        }
    }
}

enum More {
    Came,
    Ended,
    TooSlow,
}

/// Waits for bytes: for long while nothing of a request is there, and not so long for the rest of one.
async fn receive(
    server: &Server,
    stream: &TcpStream,
    asked: &mut Vec<u8>,
    begun: Option<Instant>,
) -> io::Result<More> {
    let limits = &server.limits;
    if asked.len() == asked.capacity() {
        asked.reserve_exact(asked.capacity().max(ROOM));
    }
    let deadline = match begun {
        Some(begun) => begun + limits.header_timeout,
        None if server.ending.get() => now() + limits.last_request_timeout.min(limits.idle_timeout),
        None => now() + limits.idle_timeout,
    };
    let mut done = asked.len();
    loop {
        let read = stream.read(std::mem::take(asked).slice(done..));
        let Ok((result, slice)) = timeout_at(deadline, read).await else {
            return Ok(if begun.is_some() { More::TooSlow } else { More::Ended });
        };
        *asked = slice.into_inner();
        return match result {
            Ok(0) => Ok(More::Ended),
            Ok(_) => Ok(More::Came),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                done = asked.len();
                continue;
            }
            Err(error) => Err(error),
        };
    }
}

enum Next {
    Request,
    Close,
    Refuse(u16),
}

/// Answers all requests that are whole, and leaves the rest in `asked`.
async fn answer_all(
    server: &Server,
    stream: &TcpStream,
    asked: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> io::Result<Next> {
    let mut used = 0;
    let next = loop {
        match parse(&asked[used..]) {
            Parsed::Whole(request, length) => {
                used += length;
                // When the server ends, the last of the requests that have come is the last one.
                let ends = server.ending.get() && !matches!(parse(&asked[used..]), Parsed::Whole(..));
                let closes = !request.keep_alive || ends;
                server.status.requests.add(1);
                answer(server, stream, &request, closes, out).await?;
                if closes {
                    break Next::Close;
                }
                if out.len() > GATHER_MAX {
                    send(server, stream, out).await?;
                }
            }
            Parsed::Partial if asked.len() - used >= HEAD_MAX => break Next::Refuse(431),
            Parsed::Partial => break Next::Request,
            Parsed::Refused(status) => break Next::Refuse(status),
        }
    };
    asked.drain(..used);
    send(server, stream, out).await?;
    Ok(next)
}

/// Answers one request. What is small is left in `out`, to be sent together with the next.
async fn answer(
    server: &Server,
    stream: &TcpStream,
    request: &Request,
    closes: bool,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    if request.method == Method::Other {
        response::write_status(out, 405, "Allow: GET, HEAD\r\n", Method::Get, closes);
        return Ok(());
    }
    let lookup = match server.files.remembered(&request.path) {
        Some(found) => Lookup::File(found),
        // Boxed, as is all that is rare and large: a connection is as big as the largest thing it may do.
        None => Box::pin(server.files.look_up(&request.path)).await,
    };
    match lookup {
        Lookup::File(found) => {
            let answer = response::plan(request, &found);
            response::write_head(out, &answer, &found, closes);
            if request.method == Method::Get && !answer.range.is_empty() {
                match &found.content {
                    Content::Bytes(bytes) => {
                        out.extend_from_slice(&bytes[answer.range.start as usize..answer.range.end as usize]);
                    }
                    Content::File(file) => {
                        Box::pin(send_file(server, stream, file, answer.range, out)).await?
                    }
                }
            }
        }
        Lookup::Page(page) => response::write_page(out, &page, request.method, closes),
        Lookup::AddSlash => {
            let path: Vec<String> = request.path.split('/').map(encoded).collect();
            let location = format!("Location: {}/\r\n", path.join("/"));
            response::write_status(out, 308, &location, request.method, closes);
        }
        Lookup::Refused(status) => response::write_status(out, status, "", request.method, closes),
    }
    Ok(())
}

/// Sends a range of a large file: the head first, then one chunk while the next is read.
async fn send_file(
    server: &Server,
    stream: &TcpStream,
    file: &File,
    mut range: Range<u64>,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    send(server, stream, out).await?;
    let mut ready = Vec::new();
    let mut spare = Vec::with_capacity(CHUNK);
    loop {
        let wanted = (range.end - range.start).min(CHUNK as u64) as usize;
        let read = async {
            match wanted {
                0 => (Ok(()), spare.slice(..0)),
                _ => file.read_exact_at(spare.slice(..wanted), range.start).await,
            }
        };
        let ((result, read), written) = futures_util::join!(read, write(server, stream, ready));
        // A file that has shrunk cannot be sent as announced: the connection is broken off, nothing is made up.
        result?;
        range.start += wanted as u64;
        spare = written?;
        spare.clear();
        spare.reserve_exact(CHUNK);
        ready = read.into_inner();
        if ready.is_empty() {
            return Ok(());
        }
    }
}

/// Sends what is in the buffer, and empties it.
async fn send(server: &Server, stream: &TcpStream, out: &mut Vec<u8>) -> io::Result<()> {
    if !out.is_empty() {
        *out = write(server, stream, std::mem::take(out)).await?;
        out.clear();
    }
    Ok(())
}

/// Writes a whole buffer, as long as the peer takes some of it now and then.
async fn write(server: &Server, stream: &TcpStream, buffer: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut buffer = buffer;
    let mut done = 0;
    while done < buffer.len() {
        let (result, slice) =
            timeout(server.limits.write_timeout, stream.write(buffer.slice(done..))).await?;
        buffer = slice.into_inner();
        match result {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    server.status.bytes.add(buffer.len() as u64);
    Ok(buffer)
}

/// Sends the rest of an answer, if any, and reads what the peer still sends, for a while.
pub async fn last_words(stream: &TcpStream, words: Vec<u8>) -> io::Result<()> {
    stream.write_all(words).await.0?;
    stream.shutdown(Shutdown::Write).await?;
    let mut unread = Vec::with_capacity(4096);
    for _ in 0..256 {
        let (result, buffer) = stream.read(unread).await;
        unread = buffer;
        if result? == 0 {
            break;
        }
    }
    Ok(())
}
