//! What the C library knows about memory. No system calls, but functions of the system's all the same.
#![allow(unsafe_code)]

/// Where a byte is first found. memchr(3), which looks at many bytes at once.
#[inline]
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    // SAFETY: the bytes are there, initialised and borrowed.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), byte.into(), bytes.len()) };
    (!found.is_null()).then(|| found as usize - bytes.as_ptr() as usize)
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn the_first_of_its_kind_is_found() {
        assert_eq!(find(b'\n', b"a\nb\n"), Some(1));
        assert_eq!(find(255, &[0, 255]), Some(1));
        assert_eq!(find(0, b""), None);
        assert_eq!(find(b'x', &b"abcx"[..3]), None);
    }
}
