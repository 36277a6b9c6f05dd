//! What each command does. Names and words of the answers are those of Redis.

use std::time::{Duration, Instant};

use crate::about;
use crate::glob;
use crate::reply;
use crate::request::{Arguments, number};
use crate::server::Server;
use crate::store::{NotAdded, Store};

/// What the server knows of a client.
pub struct Client {
    pub id: u64,
    pub name: Vec<u8>,
}

impl Client {
    pub fn new(id: u64) -> Client {
        Client { id, name: Vec::new() }
    }
}

/// How it goes on with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// More has to be read.
    Read,
    /// There are more commands, but the answers have to be written first.
    Write,
    /// The answers are written, and that is the end.
    Close,
}

/// An answer that is an error.
pub struct Refusal(String);

impl From<&str> for Refusal {
    fn from(text: &str) -> Refusal {
        Refusal(text.to_owned())
    }
}

impl From<String> for Refusal {
    fn from(text: String) -> Refusal {
        Refusal(text)
    }
}

type Answer = Result<(), Refusal>;

const SYNTAX: &str = "ERR syntax error";
const NO_INTEGER: &str = "ERR value is not an integer or out of range";
const TOO_LONG: &str = "ERR string exceeds maximum allowed size (--bulk-max)";
/// An answer of many values may not be longer, in bytes.
const ANSWER_MAX: usize = 1 << 30;

/// What a command may use.
pub struct Context<'a> {
    pub server: &'a Server,
    pub store: &'a mut Store,
    pub client: &'a mut Client,
    pub out: &'a mut Vec<u8>,
    pub now: Instant,
}

/// Does a command, and puts its answer behind those that are there.
pub fn execute(
    server: &Server,
    store: &mut Store,
    client: &mut Client,
    arguments: &Arguments<'_>,
    out: &mut Vec<u8>,
    now: Instant,
) -> Next {
    let mut upper = [0; 16];
    let name = arguments.get(0);
    let length = name.len().min(upper.len());
    upper[..length].copy_from_slice(&name[..length]);
    upper.make_ascii_uppercase();
    // A name that is longer than any is none of them.
    let known = if name.len() > upper.len() { &[] } else { &upper[..length] };
    let before = out.len();
    let mut context = Context { server, store, client, out, now };
    match context.run(known, arguments) {
        Ok(next) => next,
        Err(Refusal(text)) => {
            out.truncate(before);
            reply::error(out, &text);
            Next::Read
        }
    }
}

impl Context<'_> {
    fn run(&mut self, name: &[u8], arguments: &Arguments<'_>) -> Result<Next, Refusal> {
        // How many arguments a command has at least and at most, its name among them.
        const MANY: usize = usize::MAX;
        let takes = |least: usize, most: usize| match (least..=most).contains(&arguments.len()) {
            true => Ok(()),
            false => Err(Refusal(format!(
                "ERR wrong number of arguments for '{}' command",
                name.to_ascii_lowercase().escape_ascii()
            ))),
        };
        match name {
            b"GET" => takes(2, 2).and_then(|()| self.get(arguments)),
            b"SET" => takes(3, MANY).and_then(|()| self.set(arguments)),
            b"INCR" => takes(2, 2).and_then(|()| self.add(arguments.get(1), 1)),
            b"PING" => takes(1, 2).and_then(|()| self.ping(arguments)),
            b"DECR" => takes(2, 2).and_then(|()| self.add(arguments.get(1), -1)),
            b"INCRBY" => takes(3, 3).and_then(|()| self.add(arguments.get(1), integer(arguments.get(2))?)),
            b"DECRBY" => takes(3, 3).and_then(|()| {
                let less = integer(arguments.get(2))?;
                self.add(arguments.get(1), less.checked_neg().ok_or("ERR decrement would overflow")?)
            }),
            b"MGET" => takes(2, MANY).and_then(|()| self.get_many(arguments)),
            b"MSET" => takes(3, MANY).and_then(|()| self.set_many(arguments)),
            b"SETNX" => takes(3, 3).and_then(|()| self.set_new(arguments)),
            b"SETEX" => takes(4, 4).and_then(|()| self.set_expiring(arguments, 1000, "setex")),
            b"PSETEX" => takes(4, 4).and_then(|()| self.set_expiring(arguments, 1, "psetex")),
            b"DEL" | b"UNLINK" => takes(2, MANY).and_then(|()| self.remove(arguments)),
            b"EXISTS" => takes(2, MANY).and_then(|()| self.exists(arguments)),
            b"APPEND" => takes(3, 3).and_then(|()| self.append(arguments)),
            b"STRLEN" => takes(2, 2).and_then(|()| {
                let length = self.store.get(arguments.get(1), self.now).map_or(0, <[u8]>::len);
                self.say(length as i64)
            }),
            b"EXPIRE" => takes(3, MANY).and_then(|()| self.expire(arguments, 1000, "expire")),
            b"PEXPIRE" => takes(3, MANY).and_then(|()| self.expire(arguments, 1, "pexpire")),
            b"TTL" => takes(2, 2).and_then(|()| self.left(arguments.get(1), 1000)),
            b"PTTL" => takes(2, 2).and_then(|()| self.left(arguments.get(1), 1)),
            b"PERSIST" => takes(2, 2).and_then(|()| {
                let changed = self.store.persist(arguments.get(1), self.now);
                self.say(changed.into())
            }),
            b"TYPE" => takes(2, 2).map(|()| {
                let there = self.store.get(arguments.get(1), self.now).is_some();
                reply::simple(self.out, if there { "string" } else { "none" });
            }),
            b"KEYS" => takes(2, 2).and_then(|()| self.keys(arguments.get(1))),
            b"DBSIZE" => takes(1, 1).and_then(|()| {
                let count = self.store.count(self.now);
                self.say(count as i64)
            }),
            b"FLUSHALL" | b"FLUSHDB" => takes(1, 2).and_then(|()| {
                let how = arguments.from(1).next().unwrap_or(b"SYNC");
                if ![&b"SYNC"[..], b"ASYNC"].iter().any(|known| how.eq_ignore_ascii_case(known)) {
                    return Err(SYNTAX.into());
                }
                self.store.clear();
                self.fine()
            }),
            b"ECHO" => takes(2, 2).map(|()| reply::bulk(self.out, arguments.get(1))),
            b"QUIT" => {
                self.out.extend_from_slice(reply::OK);
                return Ok(Next::Close);
            }
            b"SELECT" => takes(2, 2).and_then(|()| match integer(arguments.get(1))? {
                0 => self.fine(),
                _ => Err("ERR DB index is out of range".into()),
            }),
            b"HELLO" => about::hello(self, arguments),
            b"CLIENT" => takes(2, MANY).and_then(|()| about::client(self, arguments)),
            b"CONFIG" => takes(2, MANY).and_then(|()| about::config(self, arguments)),
            b"COMMAND" => about::command(self, arguments),
            b"INFO" => about::info(self, arguments),
            _ => Err(unknown(arguments)),
        }
        .map(|()| Next::Read)
    }

    pub fn fine(&mut self) -> Answer {
        self.out.extend_from_slice(reply::OK);
        Ok(())
    }

    fn say(&mut self, number: i64) -> Answer {
        reply::integer(self.out, number);
        Ok(())
    }

    fn ping(&mut self, arguments: &Arguments<'_>) -> Answer {
        match arguments.len() {
            1 => reply::simple(self.out, "PONG"),
            _ => reply::bulk(self.out, arguments.get(1)),
        }
        Ok(())
    }

    #[inline]
    fn get(&mut self, arguments: &Arguments<'_>) -> Answer {
        match self.store.get(arguments.get(1), self.now) {
            Some(value) => reply::bulk(self.out, value),
            None => reply::null(self.out),
        }
        Ok(())
    }

    fn set(&mut self, arguments: &Arguments<'_>) -> Answer {
        let (key, value) = (arguments.get(1), arguments.get(2));
        if arguments.len() == 3 {
            self.store.set(key, value, None);
            return self.fine();
        }
        let options = SetOptions::of(arguments, self.now)?;
        let before = self.store.get(key, self.now);
        let permitted = options.only_if_there.is_none_or(|there| before.is_some() == there);
        if options.gives_before {
            match before {
                Some(value) => reply::bulk(self.out, value),
                None => reply::null(self.out),
            }
        } else if permitted {
            self.out.extend_from_slice(reply::OK);
        } else {
            reply::null(self.out);
        }
        if permitted {
            let kept = options.keeps_deadline.then(|| self.store.deadline(key, self.now)).flatten();
            self.store.set(key, value, options.deadline.or(kept));
        }
        Ok(())
    }

    fn set_new(&mut self, arguments: &Arguments<'_>) -> Answer {
        let is_new = self.store.get(arguments.get(1), self.now).is_none();
        if is_new {
            self.store.set(arguments.get(1), arguments.get(2), None);
        }
        self.say(is_new.into())
    }

    fn set_expiring(&mut self, arguments: &Arguments<'_>, unit_ms: i64, name: &str) -> Answer {
        let deadline = deadline(self.now, positive(arguments.get(2), name)?, unit_ms, name)?;
        self.store.set(arguments.get(1), arguments.get(3), Some(deadline));
        self.fine()
    }

    fn add(&mut self, key: &[u8], more: i64) -> Answer {
        match self.store.add(key, more, self.now) {
            Ok(sum) => self.say(sum),
            Err(NotAdded::NoNumber) => Err(NO_INTEGER.into()),
            Err(NotAdded::TooLarge) => Err("ERR increment or decrement would overflow".into()),
        }
    }

    fn get_many(&mut self, arguments: &Arguments<'_>) -> Answer {
        reply::array(self.out, arguments.len() - 1);
        for key in arguments.from(1) {
            match self.store.get(key, self.now) {
                Some(value) => reply::bulk(self.out, value),
                None => reply::null(self.out),
            }
            self.bound_answer()?;
        }
        Ok(())
    }

    fn set_many(&mut self, arguments: &Arguments<'_>) -> Answer {
        if arguments.len() % 2 == 0 {
            return Err("ERR wrong number of arguments for 'mset' command".into());
        }
        for place in (1..arguments.len()).step_by(2) {
            self.store.set(arguments.get(place), arguments.get(place + 1), None);
        }
        self.fine()
    }

    fn remove(&mut self, arguments: &Arguments<'_>) -> Answer {
        let count = arguments.from(1).filter(|key| self.store.remove(key, self.now)).count();
        self.say(count as i64)
    }

    fn exists(&mut self, arguments: &Arguments<'_>) -> Answer {
        let count = arguments.from(1).filter(|key| self.store.get(key, self.now).is_some()).count();
        self.say(count as i64)
    }

    fn append(&mut self, arguments: &Arguments<'_>) -> Answer {
        let (key, more) = (arguments.get(1), arguments.get(2));
        let before = self.store.get(key, self.now).map_or(0, <[u8]>::len);
        if before + more.len() > self.server.limits.bulk_max {
            return Err(TOO_LONG.into());
        }
        let length = self.store.append(key, more, self.now);
        self.say(length as i64)
    }

    fn expire(&mut self, arguments: &Arguments<'_>, unit_ms: i64, name: &str) -> Answer {
        let span = integer(arguments.get(2))?;
        if arguments.len() > 3 {
            return Err(format!("ERR Unsupported option {}", arguments.get(3).escape_ascii()).into());
        }
        let deadline = match span {
            ..=0 => self.now,
            _ => deadline(self.now, span, unit_ms, name)?,
        };
        let there = self.store.expire(arguments.get(1), deadline, self.now);
        self.say(there.into())
    }

    fn left(&mut self, key: &[u8], unit_ms: u128) -> Answer {
        let left = match self.store.left(key, self.now) {
            None => -2,
            Some(None) => -1,
            // To the nearest.
            Some(Some(span)) => ((span.as_millis() + unit_ms / 2) / unit_ms) as i64,
        };
        self.say(left)
    }

    fn keys(&mut self, pattern: &[u8]) -> Answer {
        let found: Vec<_> =
            self.store.keys(self.now).filter(|key| pattern == b"*" || glob::matches(pattern, key)).collect();
        reply::array(self.out, found.len());
        for key in found {
            reply::bulk(self.out, key);
            if self.out.len() > ANSWER_MAX {
                break;
            }
        }
        self.bound_answer()
    }

    /// The answer to one command has a bound, too: the values of a thousand keys may be one long one.
    fn bound_answer(&self) -> Answer {
        match self.out.len() > ANSWER_MAX {
            true => Err("ERR the answer would be longer than 1 GiB: ask for fewer keys at once".into()),
            false => Ok(()),
        }
    }
}

/// How SET is to be done.
#[derive(Default)]
struct SetOptions {
    deadline: Option<Instant>,
    keeps_deadline: bool,
    only_if_there: Option<bool>,
    gives_before: bool,
}

impl SetOptions {
    fn of(arguments: &Arguments<'_>, now: Instant) -> Result<SetOptions, Refusal> {
        let mut options = SetOptions::default();
        let mut rest = arguments.from(3);
        while let Some(option) = rest.next() {
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            if is(b"NX") && options.only_if_there != Some(true) {
                options.only_if_there = Some(false);
            } else if is(b"XX") && options.only_if_there != Some(false) {
                options.only_if_there = Some(true);
            } else if is(b"GET") {
                options.gives_before = true;
            } else if is(b"KEEPTTL") && options.deadline.is_none() {
                options.keeps_deadline = true;
            } else if (is(b"EX") || is(b"PX")) && options.deadline.is_none() && !options.keeps_deadline {
                let span = positive(rest.next().ok_or(SYNTAX)?, "set")?;
                options.deadline = Some(deadline(now, span, if is(b"EX") { 1000 } else { 1 }, "set")?);
            } else {
                return Err(SYNTAX.into());
            }
        }
        Ok(options)
    }
}

fn integer(argument: &[u8]) -> Result<i64, Refusal> {
    number(argument).ok_or(NO_INTEGER.into())
}

/// A span of time, which is more than none.
fn positive(argument: &[u8], name: &str) -> Result<i64, Refusal> {
    match integer(argument)? {
        ..=0 => Err(out_of_time(name)),
        span => Ok(span),
    }
}

fn deadline(now: Instant, span: i64, unit_ms: i64, name: &str) -> Result<Instant, Refusal> {
    // Redis has it as milliseconds since 1970, of which there are no more than these.
    let span_ms = span.checked_mul(unit_ms).and_then(|span| u64::try_from(span).ok());
    let span_ms = span_ms.filter(|span| *span < 1 << 62);
    let deadline = span_ms.and_then(|span| now.checked_add(Duration::from_millis(span)));
    deadline.ok_or_else(|| out_of_time(name))
}

fn out_of_time(name: &str) -> Refusal {
    format!("ERR invalid expire time in '{name}' command").into()
}

fn unknown(arguments: &Arguments<'_>) -> Refusal {
    let shown = |bytes: &[u8]| bytes[..bytes.len().min(128)].escape_ascii().to_string();
    let rest: String = arguments.from(1).take(8).map(|argument| format!("'{}' ", shown(argument))).collect();
    format!("ERR unknown command '{}', with args beginning with: {rest}", shown(arguments.get(0))).into()
}
