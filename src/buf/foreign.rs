//! The borrowed room of other crates, as a [`ReadBuf`], and a `ReadBuf` as theirs: filled in place, never zeroed before.
//!
//! Who fills it is safe code, which may put another buffer in the place of the one that was lent. The count of that says nothing.
#![allow(unsafe_code)]

use super::ReadBuf;

/// Has the room of a `tokio::io::ReadBuf` filled.
#[cfg(feature = "tokio-io")]
#[inline]
pub(crate) fn in_tokio<T>(
    theirs: &mut tokio::io::ReadBuf<'_>,
    read: impl FnOnce(&mut ReadBuf<'_>) -> T,
) -> T {
    // SAFETY: a `ReadBuf` of ours writes nothing to it that is not initialised.
    let (answer, count) = ReadBuf::lend(unsafe { theirs.unfilled_mut() }, read);
    // SAFETY: so many bytes were written, from the first on.
    unsafe { theirs.assume_init(count) };
    theirs.advance(count);
    answer
}

/// Has the room of a cursor of hyper's filled.
#[cfg(feature = "hyper")]
#[inline]
pub(crate) fn in_hyper<T>(
    mut theirs: ::hyper::rt::ReadBufCursor<'_>,
    read: impl FnOnce(&mut ReadBuf<'_>) -> T,
) -> T {
    // SAFETY: as above.
    let (answer, count) = ReadBuf::lend(unsafe { theirs.as_mut() }, read);
    // SAFETY: as above.
    unsafe { theirs.advance(count) };
    answer
}

/// Has the room of a `ReadBuf` filled by what reads into tokio's.
///
/// # Panics
/// If `read` puts another buffer in the place of the one it is given.
#[cfg(feature = "tokio-io")]
#[inline]
pub(crate) fn lend_to_tokio<T>(
    ours: &mut ReadBuf<'_>,
    read: impl FnOnce(&mut tokio::io::ReadBuf<'_>) -> T,
) -> T {
    let rest = ours.rest();
    let place = (rest.as_ptr().cast::<u8>(), rest.len());
    let mut theirs = tokio::io::ReadBuf::uninit(rest);
    let answer = read(&mut theirs);
    assert_eq!(
        (theirs.filled().as_ptr(), theirs.capacity()),
        place,
        "a read has replaced the buffer that it was given"
    );
    let count = theirs.filled().len();
    // SAFETY: tokio's `ReadBuf` has seen so many bytes of the same room being initialised.
    unsafe { ours.advance(count) };
    answer
}
