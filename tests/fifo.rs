//! Pipes with names, and pipes that come from elsewhere.
#![allow(unsafe_code)]

mod support;

use std::ffi::CString;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use annulus::io::{PipeReader, PipeWriter, pipe};
use annulus::spawn;
use annulus::time::{sleep, timeout};
use support::data::{assert_same, bytes};
use support::outside::{self, directory};
use support::{is_simulated, on_every_driver, on_real_drivers};
use tempfile::TempDir;

on_every_driver! {
    what_is_no_fifo_is_refused,
    a_pipe_says_when_it_is_ready,
    a_simulated_world_says_that_it_has_no_descriptors,
}

on_real_drivers! {
    because "a simulated disk has no FIFOs":
        a_fifo_carries_every_byte,
        a_reader_does_not_wait_for_a_writer_to_open,
        a_reader_waits_for_the_first_writer,
        a_writer_without_a_reader_is_told_so,
        the_next_writer_is_heard_by_who_holds_it_open,
        a_dropped_read_loses_no_byte,
        other_programs_are_understood;
    because "a simulated world has no other processes' pipes":
        a_child_is_spoken_to_through_its_pipes,
        what_is_no_pipe_is_not_taken;
}

struct Fifo {
    path: PathBuf,
    _directory: TempDir,
}

fn fifo() -> Fifo {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fifo");
    make(&path);
    Fifo { path, _directory: directory }
}

fn make(path: &Path) {
    let name = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string, for the time of the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0, "{}", std::io::Error::last_os_error());
}

async fn read_to_end(reader: &PipeReader) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (result, got) = reader.read(Vec::with_capacity(4096)).await;
        match result.unwrap() {
            0 => return all,
            _ => all.extend_from_slice(&got),
        }
    }
}

async fn what_is_no_fifo_is_refused() {
    let directory = directory().await;
    let file = directory.path().join("file");
    outside::write(&file, "text").await;
    let error = PipeReader::open_fifo(&file).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("is no pipe"), "{error}");
    assert_eq!(PipeWriter::open_fifo(&file).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let nothing = directory.path().join("nothing");
    assert_eq!(PipeReader::open_fifo(nothing).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(outside::read(&file).await, b"text", "and not cut off");
}

async fn a_pipe_says_when_it_is_ready() {
    let (reader, writer) = pipe().await.unwrap();
    assert!(timeout(Duration::from_millis(5), reader.readable()).await.is_err());
    writer.writable().await.unwrap();
    writer.write_all("x").await.0.unwrap();
    reader.readable().await.unwrap();
    while timeout(Duration::from_millis(5), writer.writable()).await.is_ok() {
        writer.write(vec![0; 4096]).await.0.unwrap();
    }
    drop(reader);
    writer.writable().await.unwrap();
    assert_eq!(writer.write("x").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

async fn a_simulated_world_says_that_it_has_no_descriptors() {
    if is_simulated() {
        let error = PipeReader::from_std(support::pipe::pipe().0).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("annulus::io::pipe"), "{error}");
    }
}

async fn a_fifo_carries_every_byte() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    let writer = PipeWriter::open_fifo(&fifo.path).await.unwrap();
    let writing = spawn(async move { writer.write_all(bytes(6, 1 << 20)).await.0 });
    let (result, first) = reader.read_exact(Vec::with_capacity(1000)).await;
    result.unwrap();
    let mut all = first;
    all.extend(read_to_end(&reader).await);
    assert_same(&all, &bytes(6, 1 << 20));
    writing.await.unwrap().unwrap();
}

async fn a_reader_does_not_wait_for_a_writer_to_open() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    assert_eq!(reader.read(Vec::with_capacity(8)).await.0.unwrap(), 0, "as the documentation warns");
}

async fn a_reader_waits_for_the_first_writer() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    assert!(timeout(Duration::from_millis(5), reader.readable()).await.is_err());
    let writer = PipeWriter::open_fifo(&fifo.path).await.unwrap();
    assert!(timeout(Duration::from_millis(5), reader.readable()).await.is_err(), "nothing is written");
    let waiting = spawn(async move {
        reader.readable().await.unwrap();
        read_to_end(&reader).await
    });
    sleep(Duration::from_millis(5)).await;
    writer.write_all("at last").await.0.unwrap();
    writer.close().await.unwrap();
    assert_eq!(waiting.await.unwrap(), b"at last");
}

async fn a_writer_without_a_reader_is_told_so() {
    let fifo = fifo();
    let error = PipeWriter::open_fifo(&fifo.path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    let text = error.to_string();
    assert!(text.contains("nobody has it open for reading") && text.contains("fifo"), "{text}");
    let _reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    PipeWriter::open_fifo(&fifo.path).await.unwrap();
}

async fn the_next_writer_is_heard_by_who_holds_it_open() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    let _open = PipeWriter::open_fifo(&fifo.path).await.unwrap();
    for text in ["one", "two", "six"] {
        let writer = PipeWriter::open_fifo(&fifo.path).await.unwrap();
        writer.write_all(text).await.0.unwrap();
        drop(writer);
        assert_eq!(reader.read(Vec::with_capacity(8)).await.1, text.as_bytes());
        assert!(timeout(Duration::from_millis(2), reader.readable()).await.is_err(), "no end");
    }
}

async fn a_dropped_read_loses_no_byte() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    let writer = PipeWriter::open_fifo(&fifo.path).await.unwrap();
    let writing = spawn(async move {
        for piece in bytes(2, 20_000).chunks(100) {
            writer.write_all(piece.to_vec()).await.0.unwrap();
            sleep(Duration::from_micros(50)).await;
        }
    });
    let mut all = Vec::new();
    for round in 0.. {
        // As in tests/unix.rs.
        let span = Duration::from_micros(round % 5 * 20 + round / 100);
        let Ok((result, got)) = timeout(span, reader.read(Vec::with_capacity(64))).await else { continue };
        match result.unwrap() {
            0 => break,
            _ => all.extend_from_slice(&got),
        }
    }
    assert_same(&all, &bytes(2, 20_000));
    writing.await.unwrap();
}

async fn other_programs_are_understood() {
    let fifo = fifo();
    let reader = PipeReader::open_fifo(&fifo.path).await.unwrap();
    let mut child =
        Command::new("sh").args(["-c", "echo from a shell > \"$0\""]).arg(&fifo.path).spawn().unwrap();
    reader.readable().await.unwrap();
    assert_eq!(read_to_end(&reader).await, b"from a shell\n");
    assert!(child.wait().unwrap().success());
}

async fn a_child_is_spoken_to_through_its_pipes() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = PipeWriter::from_std(child.stdin.take().unwrap()).unwrap();
    let output = PipeReader::from_std(child.stdout.take().unwrap()).unwrap();
    let writing = spawn(async move { input.write_all(bytes(8, 300_000)).await.0 });
    assert_same(&read_to_end(&output).await, &bytes(8, 300_000));
    writing.await.unwrap().unwrap();
    assert!(child.wait().unwrap().success());
}

async fn what_is_no_pipe_is_not_taken() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"text").unwrap();
    let error = PipeReader::from_std(file).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("annulus::fs::File"), "{error}");
    let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(PipeWriter::from_std(one).unwrap_err().kind(), ErrorKind::InvalidInput);
}
