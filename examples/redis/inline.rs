//! Commands as a person types them: words, and what is quoted.

/// A quote was not closed, or something stood right behind it.
#[derive(Debug, PartialEq, Eq)]
pub struct Unbalanced;

/// Finds the words of a line. What was escaped is written over its escape, which is never shorter, so that a word
/// is a range of the line.
pub fn split(line: &mut [u8], words: &mut Vec<(usize, usize)>) -> Result<(), Unbalanced> {
    let mut at = 0;
    loop {
        while line.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let begin = at;
        let mut end = at;
        let mut put = |line: &mut [u8], byte: u8| {
            line[end] = byte;
            end += 1;
        };
        while let Some(byte) = line.get(at).copied().filter(|byte| !is_space(*byte)) {
            at += 1;
            match byte {
                b'"' => at = double_quoted(line, at, &mut put)?,
                b'\'' => at = single_quoted(line, at, &mut put)?,
                other => put(line, other),
            }
        }
        words.push((begin, end));
    }
}

fn is_space(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte == 0x0b
}

/// Where it goes on behind the quote, which is followed by a space or the end.
fn closed(line: &[u8], at: usize) -> Result<usize, Unbalanced> {
    match line.get(at) {
        Some(byte) if !is_space(*byte) => Err(Unbalanced),
        _ => Ok(at),
    }
}

fn double_quoted(
    line: &mut [u8],
    mut at: usize,
    put: &mut impl FnMut(&mut [u8], u8),
) -> Result<usize, Unbalanced> {
    loop {
        match (line.get(at).copied().ok_or(Unbalanced)?, line.get(at + 1).copied()) {
            (b'"', _) => return closed(line, at + 1),
            (b'\\', Some(b'x')) if hexadecimal(line, at + 2).is_some() => {
                let byte = hexadecimal(line, at + 2).unwrap_or_default();
                put(line, byte);
                at += 4;
            }
            (b'\\', Some(letter)) => {
                let byte = match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => other,
                };
                put(line, byte);
                at += 2;
            }
            (byte, _) => {
                put(line, byte);
                at += 1;
            }
        }
    }
}

fn single_quoted(
    line: &mut [u8],
    mut at: usize,
    put: &mut impl FnMut(&mut [u8], u8),
) -> Result<usize, Unbalanced> {
    loop {
        match (line.get(at).copied().ok_or(Unbalanced)?, line.get(at + 1)) {
            (b'\'', _) => return closed(line, at + 1),
            (b'\\', Some(b'\'')) => {
                put(line, b'\'');
                at += 2;
            }
            (byte, _) => {
                put(line, byte);
                at += 1;
            }
        }
    }
}

fn hexadecimal(line: &[u8], at: usize) -> Option<u8> {
    let digit = |place: usize| char::from(*line.get(place)?).to_digit(16);
    Some((digit(at)? * 16 + digit(at + 1)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let mut line = line.as_bytes().to_vec();
        let mut found = Vec::new();
        split(&mut line, &mut found)?;
        Ok(found.into_iter().map(|(begin, end)| line[begin..end].to_vec()).collect())
    }

    #[test]
    fn words_are_parted_by_spaces_and_held_together_by_quotes() {
        assert_eq!(words("").unwrap(), [b""; 0]);
        assert_eq!(words(" get\tkey \r").unwrap(), [&b"get"[..], b"key"]);
        assert_eq!(words(r#"a "b c" 'd "e' """#).unwrap(), [&b"a"[..], b"b c", b"d \"e", b""]);
        assert_eq!(words(r#""\x41\n\q" '\'\n'"#).unwrap(), [&b"A\nq"[..], b"'\\n"]);
        assert_eq!(words(r#"a"b c""#).unwrap(), [&b"ab c"[..]]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_told() {
        for line in ["\"", "'", "\"a", "'a\\'", "\"a\"b", "'a'b", "\"a\\"] {
            assert_eq!(words(line), Err(Unbalanced), "{line}");
        }
    }
}
