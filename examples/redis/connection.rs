//! The life of one connection: what has come is answered at once and together, and no more is read before that is
//! written. So a peer that does not read its answers is not read from, and holds no more than the buffers here.

use std::cell::Cell;
use std::io;
use std::net::Shutdown;
use std::time::Duration;

use annulus::buf::IoBuf;
use annulus::net::TcpStream;
use annulus::time::{now, timeout};

use crate::commands::{self, Client, Next};
use crate::reply;
use crate::request::Parser;
use crate::server::Server;

/// What a connection holds for what it is sent, in bytes; a longer command makes its own room.
const ROOM: usize = 16 * 1024;
/// Answers are written when they are so long, in bytes, also when there are more commands to be answered.
const ANSWERS_MAX: usize = 256 * 1024;
/// A buffer that was blown up beyond this is not kept, in bytes.
const KEPT_MAX: usize = 64 * 1024;
/// How long a connection that ends is listened to, lest its last answer is lost.
const LINGER: Duration = Duration::from_secs(1);

/// Serves a connection to its end, and gives what is left to say before it is closed, if it is not just closed.
/// An error means that the peer broke it off.
pub async fn serve(
    server: &Server,
    stream: &TcpStream,
    id: u64,
    idle: &Cell<bool>,
) -> io::Result<Option<Vec<u8>>> {
    stream.set_nodelay(true)?;
    let mut client = Client::new(id);
    let mut parser = Parser::new(server.limits.bulk_max, server.limits.arguments_max);
    let mut input = Vec::with_capacity(ROOM);
    let mut out = Vec::new();
    loop {
        idle.set(input.is_empty());
        let count;
        (count, input) = receive(stream, input, &parser).await?;
        idle.set(false);
        if count == 0 {
            return Ok(None);
        }
        // How much of the input is answered.
        let mut done = 0;
        loop {
            let now = now();
            let next = answer(server, &mut client, &mut parser, &mut input, &mut done, &mut out, now);
            match next {
                Next::Close => return Ok(Some(out)),
                Next::Write | Next::Read if !out.is_empty() => {
                    let result;
                    (result, out) = stream.write_all(out).await;
                    result?;
                    out.clear();
                    if out.capacity() > 2 * ANSWERS_MAX {
                        out = Vec::new();
                    }
                }
                _ => {}
            }
            if next == Next::Read {
                break;
            }
        }
        keep_rest(&mut input, done);
        if server.ending.get() && input.is_empty() {
            return Ok(Some(Vec::new()));
        }
    }
}

/// Reads behind what is there; the one place where a connection reads.
async fn receive(stream: &TcpStream, mut input: Vec<u8>, parser: &Parser) -> io::Result<(usize, Vec<u8>)> {
    let held = input.len();
    // Twice as much as is there already, at most: what a peer announces costs nothing before it comes.
    let wanted = parser.wanted().clamp(ROOM / 4, held.max(ROOM));
    if input.capacity() - held < wanted {
        input.reserve_exact(wanted.max(held));
    }
    let (result, room) = stream.read(input.slice(held..)).await;
    Ok((result?, room.into_inner()))
}

/// Answers commands until more has to be read, or there is enough to be written.
fn answer(
    server: &Server,
    client: &mut Client,
    parser: &mut Parser,
    input: &mut [u8],
    done: &mut usize,
    out: &mut Vec<u8>,
    now: std::time::Instant,
) -> Next {
    let mut store = server.store.borrow_mut();
    let mut count = 0;
    let next = loop {
        match parser.next(&mut input[*done..]) {
            Ok(None) => break Next::Read,
            Ok(Some(length)) => {
                let command = &input[*done..*done + length];
                *done += length;
                let Some(arguments) = parser.arguments(command) else { continue };
                count += 1;
                if commands::execute(server, &mut store, client, &arguments, out, now) == Next::Close {
                    break Next::Close;
                }
                if out.len() >= ANSWERS_MAX {
                    break Next::Write;
                }
            }
            Err(error) => {
                reply::error(out, &format!("ERR Protocol error: {error}"));
                break Next::Close;
            }
        }
    };
    server.commands.set(server.commands.get() + count);
    next
}

/// Moves what is not answered to the front.
fn keep_rest(input: &mut Vec<u8>, done: usize) {
    match input.len() == done {
        true => input.clear(),
        false => drop(input.drain(..done)),
    }
    if input.capacity() > KEPT_MAX && input.len() < ROOM {
        let mut smaller = Vec::with_capacity(ROOM);
        smaller.extend_from_slice(input);
        *input = smaller;
    }
}

/// Says the last words to a peer, and reads what it still sends, for a while: closing with bytes unread would reset the
/// connection, and that may overtake the words.
pub async fn last_words(stream: &TcpStream, words: Vec<u8>) {
    let said = async {
        stream.write_all(words).await.0?;
        stream.shutdown(Shutdown::Write).await?;
        let mut unread = Vec::with_capacity(4096);
        for _ in 0..1024 {
            let (result, buffer) = stream.read(unread).await;
            unread = buffer;
            if result? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // What the peer makes of it is not our concern any more.
    let _ = timeout(LINGER, Box::pin(said)).await;
}
