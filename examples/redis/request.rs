//! Commands, from bytes: parsed where they lie, and never twice.
//!
//! An argument is a range of the command's bytes. Between two reads the parser remembers how far it came, so a command of
//! many pieces costs no more than its length.

use std::fmt;

use crate::inline;

/// A line may not be longer, in bytes: one that a person types, or the head of an array or a bulk.
const LINE_MAX: usize = 64 * 1024;
/// A command may not be longer as a whole, in bytes.
const COMMAND_MAX: usize = 1 << 30;
/// How many places for arguments are kept for the next command.
const KEPT_MAX: usize = 1024;

/// What is wrong with the bytes, in the words that Redis has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// The head of an array is no number, or one that is too large.
    ArrayLength,
    /// The head of a bulk is no number, or one that is too large.
    BulkLength,
    /// Something else than a bulk stands in an array.
    NoBulk(u8),
    /// A typed line is too long.
    LongLine,
    /// The head of an array is.
    LongArrayLength,
    /// The head of a bulk is.
    LongBulkLength,
    /// A quote is not closed.
    Quotes,
    /// The command as a whole is too long.
    LongCommand,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::ArrayLength => f.write_str("invalid multibulk length"),
            Malformed::BulkLength => f.write_str("invalid bulk length"),
            Malformed::NoBulk(byte) => write!(f, "expected '$', got '{}'", byte.escape_ascii()),
            Malformed::LongLine => f.write_str("too big inline request"),
            Malformed::LongArrayLength => f.write_str("too big mbulk count string"),
            Malformed::LongBulkLength => f.write_str("too big bulk count string"),
            Malformed::Quotes => f.write_str("unbalanced quotes in request"),
            Malformed::LongCommand => f.write_str("too big request"),
        }
    }
}

/// Finds commands in what a client sends.
pub struct Parser {
    bulk_max: usize,
    arguments_max: usize,
    /// Where each argument begins and ends, from the beginning of the command.
    ranges: Vec<(usize, usize)>,
    /// How many bytes of the command are parsed.
    at: usize,
    /// How many bytes of a line are known to have no end.
    seen: usize,
    /// How many arguments are still to come; None before the head of the array.
    left: Option<usize>,
    /// The length of the argument that comes now, if its head was there.
    bulk: Option<usize>,
    /// The command is found, and the next call begins with another.
    is_done: bool,
}

/// The arguments of a command; the first is its name.
pub struct Arguments<'a> {
    bytes: &'a [u8],
    ranges: &'a [(usize, usize)],
}

impl<'a> Arguments<'a> {
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    #[inline]
    pub fn get(&self, place: usize) -> &'a [u8] {
        let (begin, end) = self.ranges[place];
        &self.bytes[begin..end]
    }

    /// Those from a place on.
    pub fn from(&self, place: usize) -> impl Iterator<Item = &'a [u8]> {
        (place..self.len()).map(|place| self.get(place))
    }
}

impl Parser {
    pub fn new(bulk_max: usize, arguments_max: usize) -> Parser {
        let ranges = Vec::new();
        Parser { bulk_max, arguments_max, ranges, at: 0, seen: 0, left: None, bulk: None, is_done: false }
    }

    /// How many bytes the argument needs that is coming, as far as that is known.
    pub fn wanted(&self) -> usize {
        self.bulk.map_or(1, |length| length + 2)
    }

    /// The arguments of the command that was found last; None if it is empty.
    pub fn arguments<'a>(&'a self, command: &'a [u8]) -> Option<Arguments<'a>> {
        (!self.ranges.is_empty()).then_some(Arguments { bytes: command, ranges: &self.ranges })
    }

    /// How long the command is that `bytes` begin with; None if it has not come as a whole. Then the next call is to
    /// have the same bytes, and more behind them. What is quoted in a typed line is written over.
    pub fn next(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, Malformed> {
        if self.is_done {
            self.ranges.clear();
            self.ranges.shrink_to(KEPT_MAX);
            (self.at, self.seen, self.left, self.bulk, self.is_done) = (0, 0, None, None, false);
        }
        let found = match bytes.first() {
            None => None,
            Some(b'*') => self.array(bytes)?,
            Some(_) => self.typed(bytes)?,
        };
        if found.is_none() && bytes.len() > COMMAND_MAX.max(self.bulk_max) {
            return Err(Malformed::LongCommand);
        }
        self.is_done = found.is_some();
        Ok(found)
    }

    fn array(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let mut left = match self.left {
            Some(left) => left,
            None => {
                let Some(count) = self.head(bytes, Malformed::ArrayLength, Malformed::LongArrayLength)?
                else {
                    return Ok(None);
                };
                // An array of nothing, or of less, is no command and no error.
                let count = usize::try_from(count).unwrap_or(0);
                if count > self.arguments_max {
                    return Err(Malformed::ArrayLength);
                }
                self.left = Some(count);
                count
            }
        };
        while left > 0 {
            let length = match self.bulk {
                Some(length) => length,
                None => {
                    match bytes.get(self.at) {
                        None => return Ok(None),
                        Some(b'$') => {}
                        Some(other) => return Err(Malformed::NoBulk(*other)),
                    }
                    let Some(length) = self.head(bytes, Malformed::BulkLength, Malformed::LongBulkLength)?
                    else {
                        return Ok(None);
                    };
                    let length = usize::try_from(length).map_err(|_| Malformed::BulkLength)?;
                    if length > self.bulk_max {
                        return Err(Malformed::BulkLength);
                    }
                    self.bulk = Some(length);
                    length
                }
            };
            // As Redis does: what stands where the line should end is not looked at.
            if bytes.len() < self.at + length + 2 {
                return Ok(None);
            }
            self.ranges.push((self.at, self.at + length));
            self.at += length + 2;
            self.bulk = None;
            left -= 1;
            self.left = Some(left);
        }
        Ok(Some(self.at))
    }

    /// The number behind a kind's letter, and past the line's end; None if the line is not there as a whole.
    fn head(&mut self, bytes: &[u8], wrong: Malformed, long: Malformed) -> Result<Option<i64>, Malformed> {
        let line = &bytes[self.at + 1..];
        let Some(end) = self.line_end(line, long)? else { return Ok(None) };
        let Some(number) = line[..end].strip_suffix(b"\r").and_then(number) else { return Err(wrong) };
        self.at += 1 + end + 1;
        Ok(Some(number))
    }

    fn typed(&mut self, bytes: &mut [u8]) -> Result<Option<usize>, Malformed> {
        let Some(end) = self.line_end(bytes, Malformed::LongLine)? else { return Ok(None) };
        inline::split(&mut bytes[..end], &mut self.ranges).map_err(|_| Malformed::Quotes)?;
        Ok(Some(end + 1))
    }

    /// Where a line ends; None if it has not come as a whole.
    fn line_end(&mut self, line: &[u8], long: Malformed) -> Result<Option<usize>, Malformed> {
        let end = line[self.seen..].iter().position(|byte| *byte == b'\n').map(|place| self.seen + place);
        self.seen = if end.is_some() { 0 } else { line.len() };
        match end.unwrap_or(line.len()) > LINE_MAX {
            true => Err(long),
            false => Ok(end),
        }
    }
}

/// A number in decimal digits and nothing else, as Redis takes them: no plus, no zeroes in front, no space.
pub fn number(digits: &[u8]) -> Option<i64> {
    let (minus, figures) = match digits.strip_prefix(b"-") {
        Some(figures) => (true, figures),
        None => (false, digits),
    };
    if figures == b"0" && !minus {
        return Some(0);
    }
    if figures.is_empty() || figures.len() > 19 || figures[0] == b'0' {
        return None;
    }
    let mut number: i64 = 0;
    for figure in figures {
        let figure = figure.wrapping_sub(b'0');
        if figure > 9 {
            return None;
        }
        // Downwards, for there is one more number below zero than above.
        number = number.checked_mul(10)?.checked_sub(figure.into())?;
    }
    if minus { Some(number) } else { number.checked_neg() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parser() -> Parser {
        Parser::new(100, 10)
    }

    /// All commands of the bytes, given so many at a time.
    fn all(bytes: &[u8], step: usize) -> Result<Vec<Vec<String>>, Malformed> {
        let (mut parser, mut held, mut commands) = (parser(), Vec::new(), Vec::new());
        for piece in bytes.chunks(step) {
            held.extend_from_slice(piece);
            while let Some(length) = parser.next(&mut held)? {
                if let Some(arguments) = parser.arguments(&held[..length]) {
                    commands.push(arguments.from(0).map(|one| one.escape_ascii().to_string()).collect());
                }
                held.drain(..length);
            }
        }
        Ok(commands)
    }

    #[test]
    fn commands_are_the_same_in_whatever_pieces_they_come() {
        let bytes = b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n*0\r\nPING\r\n\r\n*1\r\n$0\r\n\r\nset 'a b' \"\\x00\\n\"\n*-1\r\n*1\r\n$4\r\nPING\r\n";
        let wanted = [&["GET", "a\\r\\n"][..], &["PING"], &[""], &["set", "a b", "\\x00\\n"], &["PING"]];
        for step in 1..=bytes.len() {
            assert_eq!(all(bytes, step).unwrap(), wanted, "{step} bytes at a time");
        }
    }

    #[test]
    fn what_is_malformed_is_told_in_any_pieces() {
        for (bytes, wrong) in [
            (&b"*x\r\n"[..], Malformed::ArrayLength),
            (b"*11\r\n", Malformed::ArrayLength),
            (b"*99999999999999999999\r\n", Malformed::ArrayLength),
            (b"*1\n", Malformed::ArrayLength),
            (b"*1\r\n$101\r\n", Malformed::BulkLength),
            (b"*1\r\n$-1\r\n", Malformed::BulkLength),
            (b"*1\r\n$\r\n", Malformed::BulkLength),
            (b"*1\r\n:5\r\n", Malformed::NoBulk(b':')),
            (b"set 'a\r\n", Malformed::Quotes),
        ] {
            for step in 1..=bytes.len() {
                assert_eq!(all(bytes, step), Err(wrong), "{}", bytes.escape_ascii());
            }
        }
        assert_eq!(all(&vec![b'x'; LINE_MAX + 1], 1000), Err(Malformed::LongLine));
    }

    #[test]
    fn numbers_are_taken_as_redis_takes_them() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"-17"), Some(-17));
        assert_eq!(number(i64::MAX.to_string().as_bytes()), Some(i64::MAX));
        assert_eq!(number(i64::MIN.to_string().as_bytes()), Some(i64::MIN));
        for text in
            ["", "-", "+1", "01", "-0", " 1", "1 ", "1.0", "9223372036854775808", "-9223372036854775809"]
        {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
    }
}
