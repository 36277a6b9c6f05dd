//! Descriptors of other libraries, waited for: `AsyncFd`.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use annulus::io::{AsyncFd, Interest};
#[cfg(target_os = "linux")]
use annulus::spawn_blocking;
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn};
use support::data::{assert_same, bytes};
use support::pipe::pipe;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    a_simulated_world_says_that_it_has_no_descriptors,
}

on_real_drivers! {
    because "a simulated world has no descriptors of the operating system's":
        a_pipe_is_waited_for,
        who_waits_to_write_waits_for_room,
        both_can_be_waited_for_at_once,
        many_wait_for_one,
        several_wait_for_the_same_descriptor_and_one_that_goes_leaves_the_others,
        every_byte_goes_through,
        would_block_waits_again,
        an_end_is_ready,
        a_peer_that_goes_is_told,
        a_dropped_wait_is_harmless,
        its_descriptor_is_given_back_open,
        dropping_it_closes_what_it_was_given,
        a_regular_file_is_refused_with_the_remedy;
    because "it is about the numbers of the machine's descriptors":
        a_number_that_is_used_again_is_waited_for_anew,
        a_descriptor_that_its_library_closes_harms_nobody;
}

#[cfg(target_os = "linux")]
mod on_linux {
    use super::*;

    on_real_drivers! {
        because "a simulated world has no descriptors of the operating system's":
            an_eventfd_is_waited_for,
            a_timerfd_is_waited_for;
    }
}

const SHORT: Duration = Duration::from_millis(5);

fn set_nonblocking(descriptor: impl AsFd) {
    socket2::SockRef::from(&descriptor).set_nonblocking(true).unwrap();
}

/// Both ends non-blocking.
fn quick_pipe() -> (File, File) {
    let (reader, writer) = pipe();
    set_nonblocking(&reader);
    set_nonblocking(&writer);
    (reader.into(), writer)
}

/// Fills a pipe, and says with how many bytes.
fn fill(mut writer: &File) -> usize {
    let mut filled = 0;
    while let Ok(count) = writer.write(&[7; 4096]) {
        filled += count;
    }
    filled
}

async fn waits(fd: &AsyncFd<impl AsFd>, interest: Interest) -> bool {
    timeout(SHORT, fd.ready(interest)).await.is_err()
}

async fn a_simulated_world_says_that_it_has_no_descriptors() {
    if is_simulated() {
        let error = AsyncFd::new(pipe().0).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("simulated world"), "{error}");
    }
}

async fn a_pipe_is_waited_for() {
    let (reader, mut writer) = quick_pipe();
    let fd = Rc::new(AsyncFd::new(reader).unwrap());
    assert!(waits(&fd, Interest::READABLE).await);
    let waiting = spawn({
        let fd = Rc::clone(&fd);
        async move {
            let guard = fd.readable().await.unwrap();
            assert!(guard.ready().is_readable() && !guard.ready().is_writable());
            let mut room = [0; 16];
            let count = guard.try_io(|fd| fd.get_ref().read(&mut room)).unwrap().unwrap();
            room[..count].to_vec()
        }
    });
    sleep(SHORT).await;
    writer.write_all(b"hello").unwrap();
    assert_eq!(waiting.await.unwrap(), b"hello");
    assert!(waits(&fd, Interest::READABLE).await, "nothing is remembered");
}

async fn who_waits_to_write_waits_for_room() {
    let (mut reader, writer) = quick_pipe();
    let fd = AsyncFd::new(writer).unwrap();
    assert!(fd.writable().await.unwrap().ready().is_writable());
    let filled = fill(fd.get_ref());
    assert!(waits(&fd, Interest::WRITABLE).await);
    let mut room = vec![0; filled];
    reader.read_exact(&mut room).unwrap();
    fd.writable().await.unwrap();
}

async fn both_can_be_waited_for_at_once() {
    let (mine, mut other) = UnixStream::pair().unwrap();
    mine.set_nonblocking(true).unwrap();
    let fd = AsyncFd::new(mine).unwrap();
    let both = Interest::READABLE | Interest::WRITABLE;
    let ready = fd.ready(both).await.unwrap().ready();
    assert!(ready.is_writable() && !ready.is_readable());
    other.write_all(b"x").unwrap();
    let ready = fd.ready(both).await.unwrap().ready();
    assert!(ready.is_writable() && ready.is_readable());
}

async fn many_wait_for_one() {
    let (reader, mut writer) = quick_pipe();
    let fd = Rc::new(AsyncFd::new(reader).unwrap());
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let fd = Rc::clone(&fd);
            spawn(async move { fd.readable().await.map(drop) })
        })
        .collect();
    sleep(SHORT).await;
    writer.write_all(b"x").unwrap();
    for one in waiting {
        one.await.unwrap().unwrap();
    }
}

async fn several_wait_for_the_same_descriptor_and_one_that_goes_leaves_the_others() {
    let (reader, mut writer) = quick_pipe();
    let reader = Rc::new(reader);
    let one = AsyncFd::new(Rc::clone(&reader)).unwrap();
    let other = AsyncFd::new(Rc::clone(&reader)).unwrap();
    let waiting = spawn(async move { other.readable().await.map(drop) });
    assert!(waits(&one, Interest::READABLE).await);
    drop(one);
    sleep(SHORT).await;
    assert!(!waiting.is_finished());
    writer.write_all(b"x").unwrap();
    waiting.await.unwrap().unwrap();
}

async fn every_byte_goes_through() {
    let (reader, writer) = quick_pipe();
    let (mut reader, writer) = (AsyncFd::new(reader).unwrap(), AsyncFd::new(writer).unwrap());
    let sending = spawn(async move {
        let all = bytes(4, 1 << 20);
        let mut sent = 0;
        while sent < all.len() {
            sent += writer.async_io(Interest::WRITABLE, |mut pipe| pipe.write(&all[sent..])).await.unwrap();
        }
    });
    let mut all = Vec::new();
    let mut room = vec![0; 10_000];
    loop {
        match reader.async_io_mut(Interest::READABLE, |pipe| pipe.read(&mut room)).await.unwrap() {
            0 => break,
            count => all.extend_from_slice(&room[..count]),
        }
    }
    sending.await.unwrap();
    assert_same(&all, &bytes(4, 1 << 20));
}

async fn would_block_waits_again() {
    let (reader, mut writer) = quick_pipe();
    let fd = AsyncFd::new(reader).unwrap();
    writer.write_all(b"ab").unwrap();
    let asked = Cell::new(0);
    let got = fd
        .async_io(Interest::READABLE, |mut pipe| {
            asked.set(asked.get() + 1);
            match asked.get() {
                1..4 => Err(ErrorKind::WouldBlock.into()),
                _ => pipe.read(&mut [0; 8]),
            }
        })
        .await;
    assert_eq!((got.unwrap(), asked.get()), (2, 4));
    let error = fd.async_io(Interest::READABLE, |_| Err::<(), _>(ErrorKind::Other.into()));
    writer.write_all(b"c").unwrap();
    assert_eq!(error.await.unwrap_err().kind(), ErrorKind::Other);
    let guard = fd.readable().await.unwrap();
    assert!(guard.try_io(|_| Err::<(), _>(ErrorKind::WouldBlock.into())).is_err());
    assert_eq!(guard.get_inner().as_raw_fd(), guard.get_ref().as_raw_fd());
}

async fn an_end_is_ready() {
    let (reader, writer) = quick_pipe();
    let fd = AsyncFd::new(reader).unwrap();
    drop(writer);
    let guard = fd.readable().await.unwrap();
    assert!(guard.ready().is_readable() && guard.ready().is_read_closed());
    assert_eq!(guard.try_io(|fd| fd.get_ref().read(&mut [0; 8])).unwrap().unwrap(), 0);
}

async fn a_peer_that_goes_is_told() {
    let (reader, writer) = quick_pipe();
    let fd = AsyncFd::new(writer).unwrap();
    fill(fd.get_ref());
    let gone = spawn(async move { fd.writable().await.map(|guard| guard.ready()) });
    sleep(SHORT).await;
    drop(reader);
    let ready = gone.await.unwrap().unwrap();
    assert!(ready.is_error() && ready.is_writable(), "{ready:?}");
}

async fn a_dropped_wait_is_harmless() {
    let (reader, mut writer) = quick_pipe();
    let fd = AsyncFd::new(reader).unwrap();
    for round in 0..50 {
        let _ = timeout(Duration::from_micros(round % 3 * 10), fd.readable()).await;
    }
    writer.write_all(b"x").unwrap();
    fd.readable().await.unwrap();
    assert_eq!(fd.get_ref().read(&mut [0; 8]).unwrap(), 1);
}

/// Where no other test uses numbers.
fn alone<F: Future<Output = ()>>(builder: Builder, body: impl FnOnce() -> F) {
    support::child::alone(|| builder.build().unwrap().run(body()).unwrap());
}

fn a_number_that_is_used_again_is_waited_for_anew(builder: Builder) {
    alone(builder, async || {
        for _ in 0..50 {
            let (reader, writer) = quick_pipe();
            let number = reader.as_raw_fd();
            let fd = AsyncFd::new(reader).unwrap();
            assert!(timeout(Duration::ZERO, fd.readable()).await.is_err());
            drop(fd);
            drop(writer);
            // The poll of the old one may still be on its way to its end.
            let (reader, mut writer) = quick_pipe();
            let numbers = [reader.as_raw_fd(), writer.as_raw_fd()];
            assert!(numbers.contains(&number), "it is free at once, and so used again");
            let fd = Rc::new(AsyncFd::new(reader).unwrap());
            let waiting = spawn({
                let fd = Rc::clone(&fd);
                async move { fd.readable().await.map(drop) }
            });
            sleep(Duration::from_micros(100)).await;
            assert!(!waiting.is_finished());
            writer.write_all(b"x").unwrap();
            waiting.await.unwrap().unwrap();
        }
    });
}

/// As a library's connection, which that ends by itself.
struct Foreign(Cell<Option<OwnedFd>>);

impl AsFd for Foreign {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let descriptor = self.0.take().expect("asked for before it is ended");
        let number = descriptor.as_raw_fd();
        self.0.set(Some(descriptor));
        // SAFETY: these tests end it when nobody has the borrowed one any more.
        unsafe { BorrowedFd::borrow_raw(number) }
    }
}

fn a_descriptor_that_its_library_closes_harms_nobody(builder: Builder) {
    alone(builder, async || {
        let (reader, writer) = pipe();
        let number = reader.as_raw_fd();
        let foreign = Rc::new(AsyncFd::new(Foreign(Cell::new(Some(reader)))).unwrap());
        let waiting = spawn({
            let foreign = Rc::clone(&foreign);
            async move { foreign.readable().await.map(drop) }
        });
        sleep(SHORT).await;
        drop(foreign.get_ref().0.take());
        // Somebody else's now, and waited for as well.
        let (mut mine, mut other) = UnixStream::pair().unwrap();
        assert_eq!(mine.as_raw_fd(), number);
        let fd = AsyncFd::new(mine.try_clone().unwrap()).unwrap();
        assert!(waits(&fd, Interest::READABLE).await);
        other.write_all(b"x").unwrap();
        fd.readable().await.unwrap();
        assert_eq!(mine.read(&mut [0; 4]).unwrap(), 1);
        assert!(!waiting.is_finished());
        drop(writer);
        waiting.await.unwrap().unwrap();
        drop(foreign);
        sleep(SHORT).await;
        other.write_all(b"y").unwrap();
        assert_eq!(mine.read(&mut [0; 4]).unwrap(), 1, "still open");
    });
}

async fn its_descriptor_is_given_back_open() {
    let (reader, mut writer) = quick_pipe();
    let number = reader.as_raw_fd();
    let fd = AsyncFd::new(reader).unwrap();
    assert!(waits(&fd, Interest::READABLE).await);
    let mut reader = fd.into_inner();
    assert_eq!(reader.as_raw_fd(), number);
    sleep(SHORT).await;
    writer.write_all(b"hello").unwrap();
    assert_eq!(reader.read(&mut [0; 8]).unwrap(), 5);
    drop(reader);
    assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe, "nobody else has it open");
}

async fn dropping_it_closes_what_it_was_given() {
    for waits_first in [false, true] {
        let (reader, mut writer) = quick_pipe();
        let fd = AsyncFd::new(reader).unwrap();
        if waits_first {
            assert!(waits(&fd, Interest::READABLE).await);
        }
        drop(fd);
        // As soon as the kernel has let go of it, which some take their time for.
        let closed = async {
            while writer.write(b"x").is_ok() {
                sleep(SHORT).await;
            }
        };
        timeout(Duration::from_secs(10), closed).await.expect("nobody has it open any more");
        assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

async fn a_regular_file_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = File::create(directory.path().join("file")).unwrap();
    for file in [file, File::open(directory.path()).unwrap()] {
        let error = AsyncFd::new(file).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("use annulus::fs::File"), "{error}");
    }
}

#[cfg(target_os = "linux")]
async fn an_eventfd_is_waited_for() {
    use std::os::fd::FromRawFd;
    // SAFETY: no memory is passed, and nobody else has the number that it makes.
    let event = unsafe { OwnedFd::from_raw_fd(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC)) };
    let fd = AsyncFd::new(File::from(event)).unwrap();
    for count in 1..5u64 {
        assert!(waits(&fd, Interest::READABLE).await);
        let mut other = fd.get_ref().try_clone().unwrap();
        let ringing = spawn_blocking(move || {
            for _ in 0..count {
                other.write_all(&1u64.to_ne_bytes()).unwrap();
            }
        });
        fd.readable().await.unwrap();
        ringing.await.unwrap();
        let mut counted = [0; 8];
        let read = fd.async_io(Interest::READABLE, |mut event| event.read(&mut counted));
        assert_eq!(read.await.unwrap(), 8);
        assert_eq!(u64::from_ne_bytes(counted), count);
    }
}

#[cfg(target_os = "linux")]
async fn a_timerfd_is_waited_for() {
    use std::os::fd::FromRawFd;
    // SAFETY: no memory is passed, and nobody else has the number that it makes.
    let timer = unsafe {
        OwnedFd::from_raw_fd(libc::timerfd_create(
            libc::CLOCK_MONOTONIC,
            libc::TFD_NONBLOCK | libc::TFD_CLOEXEC,
        ))
    };
    let every = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    let times = libc::itimerspec { it_interval: every, it_value: every };
    // SAFETY: the times are on this stack, and the old ones are not asked for.
    let set = unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &times, std::ptr::null_mut()) };
    assert_eq!(set, 0);
    let fd = AsyncFd::new(File::from(timer)).unwrap();
    let mut ticks = 0;
    while ticks < 5 {
        let mut count = [0; 8];
        fd.async_io(Interest::READABLE, |mut timer| timer.read(&mut count)).await.unwrap();
        ticks += u64::from_ne_bytes(count);
    }
}
