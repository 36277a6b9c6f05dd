//! Answers, as bytes, behind those that are there.

pub const OK: &[u8] = b"+OK\r\n";

/// A word that needs no length.
pub fn simple(out: &mut Vec<u8>, text: &str) {
    out.push(b'+');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An error: a kind in capitals, and what is wrong. It is one line, whatever a client has put into it.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.push(b'-');
    out.extend(text.bytes().map(|byte| if byte == b'\r' || byte == b'\n' { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

pub fn integer(out: &mut Vec<u8>, number: i64) {
    out.push(b':');
    decimal(out, number);
    out.extend_from_slice(b"\r\n");
}

/// Bytes of any kind.
#[inline]
pub fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    decimal(out, bytes.len() as i64);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Where there is no value.
pub fn null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"$-1\r\n");
}

/// So many answers follow.
pub fn array(out: &mut Vec<u8>, count: usize) {
    out.push(b'*');
    decimal(out, count as i64);
    out.extend_from_slice(b"\r\n");
}

/// A number in decimal digits, without the machinery of formatting.
pub fn decimal(out: &mut Vec<u8>, number: i64) {
    let mut digits = [0; 20];
    let mut place = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        place -= 1;
        digits[place] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[place..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 1, -1, 10, 12_345, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn an_error_stays_on_one_line() {
        let mut out = Vec::new();
        error(&mut out, "ERR a\r\n+OK");
        assert_eq!(out, b"-ERR a  +OK\r\n");
    }
}
