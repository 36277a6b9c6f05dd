//! The borrowed room of other crates, as a [`ReadBuf`]: filled in place, never zeroed before.
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
    let mut ours = ReadBuf::uninit(unsafe { theirs.unfilled_mut() });
    let (answer, count) = (read(&mut ours), ours.filled_len());
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
    let mut ours = ReadBuf::uninit(unsafe { theirs.as_mut() });
    let (answer, count) = (read(&mut ours), ours.filled_len());
    // SAFETY: as above.
    unsafe { theirs.advance(count) };
    answer
}
