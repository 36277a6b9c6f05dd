//! Patterns of keys: `*`, `?`, `[a-c]`, `[^a]`, and `\` before what is meant as it is.

/// Whether a pattern matches all of a text. It takes no longer than the product of their lengths.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    // Where the last star stands, and where the text went on behind what it took.
    let mut star = None;
    loop {
        let went = match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, place));
                at += 1;
                continue;
            }
            Some(_) => match text.get(place) {
                Some(byte) => one(&pattern[at..], *byte),
                None => return false,
            },
            None if place == text.len() => return true,
            None => None,
        };
        match (went, star) {
            (Some(length), _) => {
                at += length;
                place += 1;
            }
            // The star takes one more.
            (None, Some((of_star, taken))) if taken < text.len() => {
                star = Some((of_star, taken + 1));
                (at, place) = (of_star + 1, taken + 1);
            }
            (None, _) => return false,
        }
    }
}

/// How long the first element of a pattern is, if it matches a byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match (pattern[0], pattern.get(1)) {
        (b'?', _) => Some(1),
        (b'\\', Some(meant)) => (*meant == byte).then_some(2),
        (b'[', Some(_)) => class(pattern, byte),
        (plain, _) => (plain == byte).then_some(1),
    }
}

/// A set in brackets. Without its end it goes to the pattern's.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    while let Some(first) = pattern.get(at) {
        match (first, pattern.get(at + 1), pattern.get(at + 2)) {
            (b']', _, _) => {
                at += 1;
                break;
            }
            (b'\\', Some(meant), _) => {
                found |= *meant == byte;
                at += 2;
            }
            (first, Some(b'-'), Some(last)) => {
                found |= (*first.min(last)..=*first.max(last)).contains(&byte);
                at += 3;
            }
            (first, _, _) => {
                found |= *first == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_in_redis() {
        for (pattern, text) in [
            ("*", ""),
            ("a*c", "abbc"),
            ("*a*b*", "xxaxxbxx"),
            ("h?llo", "hello"),
            ("h[ae]llo", "hallo"),
            ("h[^e]llo", "hallo"),
            ("h[a-b]llo", "hbllo"),
            ("h[b-a]llo", "hallo"),
            (r"\*", "*"),
            (r"[\]]", "]"),
            ("[ab", "a"),
            ("", ""),
        ] {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("a", ""),
            ("a*c", "ab"),
            ("h?llo", "hllo"),
            ("h[ae]llo", "hillo"),
            (r"\*", "a"),
            ("*a", "ab"),
        ] {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        assert!(!matches("*a".repeat(1000).as_bytes(), "a".repeat(999).as_bytes()));
        assert!(!matches("a*".repeat(30).as_bytes(), "b".repeat(10_000).as_bytes()));
    }
}
