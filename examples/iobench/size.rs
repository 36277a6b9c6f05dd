//! Numbers as people write them.

/// `4k`, `1g`, `512`: powers of 1024, as fio has them.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix("ib").or(text.strip_suffix('b')).unwrap_or(&text);
    let (number, unit) = match text.char_indices().next_back() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => (&text[..at], Some(letter)),
        _ => (text, None),
    };
    let shift = match unit {
        None => 0,
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some(letter) => return Err(format!("{letter:?} is no unit; k, m, g and t are")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is no number of bytes; 4k, 256m or 1g are"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} is more than there are bytes"))
}

/// With three digits that mean something.
pub fn told(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["B", "KiB", "MiB", "GiB", "TiB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while value >= 1024.0 {
        let Some(next) = units.next() else { break };
        (value, unit) = (value / 1024.0, next);
    }
    match value {
        value if value >= 100.0 || unit == "B" => format!("{value:.0} {unit}"),
        value if value >= 10.0 => format!("{value:.1} {unit}"),
        value => format!("{value:.2} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_told() {
        for (text, bytes) in
            [("512", 512), ("4k", 4096), ("4KiB", 4096), ("1G", 1 << 30), ("0", 0), ("2mb", 2 << 20)]
        {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "4x", "-1", "1.5k", "99999999t"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!([told(0), told(1536), told(300 << 20)], ["0 B", "1.50 KiB", "300 MiB"]);
    }
}
