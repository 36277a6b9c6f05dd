//! The world as somebody sees it who does not use the loop that is tested: a peer, another program's files, time that
//! passes while the loop stands still.
//!
//! On a machine that is the standard library, which acts at once and asks the loop for nothing. A simulated world is
//! reached by nobody but its loop, so there the crate itself has to do.

use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as StdStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::task::JoinHandle;
use annulus::time::sleep;
use annulus::{Runtime, fs, spawn, spawn_blocking};
use futures_util::FutureExt;
use tempfile::TempDir;

use super::is_simulated;

/// For so long at most a peer of the standard library waits for bytes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The other end of a connection.
#[derive(Debug)]
pub(crate) enum Peer {
    Std(StdStream),
    Ours(TcpStream),
}

/// An end on the running loop, and one outside.
pub(crate) async fn with_peer() -> (TcpStream, Peer) {
    if is_simulated() {
        let (stream, peer) = super::net::pair().await;
        return (stream, Peer::Ours(peer));
    }
    let (stream, peer) = super::net::with_std_peer().await;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    (stream, Peer::Std(peer))
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Peer> {
        if is_simulated() {
            return TcpStream::connect(address).await.map(Peer::Ours);
        }
        let stream = StdStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Peer::Std(stream))
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Peer::Std(stream) => stream.local_addr().unwrap(),
            Peer::Ours(stream) => stream.local_addr().unwrap(),
        }
    }

    pub(crate) fn set_nodelay(&self) {
        match self {
            Peer::Std(stream) => stream.set_nodelay(true).unwrap(),
            Peer::Ours(stream) => stream.set_nodelay(true).unwrap(),
        }
    }

    /// From now on it is gone by a reset, so that no port has to wait.
    pub(crate) fn ends_by_a_reset(&self) {
        match self {
            Peer::Std(stream) => socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap(),
            Peer::Ours(stream) => stream.set_linger(Some(Duration::ZERO)).unwrap(),
        }
    }

    /// Closes the connection so that the other end is told ECONNRESET.
    pub(crate) async fn reset(self) {
        self.ends_by_a_reset();
        self.close().await;
    }

    /// As [`reset`](Self::reset), where the loop may be gone by now.
    pub(crate) fn vanish(self) {
        match self {
            Peer::Std(stream) => super::net::reset(stream),
            Peer::Ours(stream) => drop(stream),
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Peer::Std(stream) => drop(stream),
            Peer::Ours(stream) => stream.close().await.unwrap(),
        }
    }

    pub(crate) async fn end_writing(&self) {
        match self {
            Peer::Std(stream) => stream.shutdown(Shutdown::Write).unwrap(),
            Peer::Ours(stream) => stream.shutdown(Shutdown::Write).await.unwrap(),
        }
    }

    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Peer::Std(stream) => stream.write_all(bytes),
            Peer::Ours(stream) => stream.write_all(bytes.to_vec()).await.0,
        }
    }

    /// Reads once, at most so many bytes. The loop, if it runs here, goes on meanwhile; so it does for the two below.
    pub(crate) async fn read(&mut self, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Peer::Std(stream) => {
                let mut own = stream.try_clone()?;
                let read = move || {
                    let mut room = vec![0; length];
                    own.read(&mut room).map(|count| room[..count].to_vec())
                };
                beside_the_loop(read).await
            }
            Peer::Ours(stream) => {
                let (result, got) = stream.read(Vec::with_capacity(length)).await;
                result.map(|_| got)
            }
        }
    }

    pub(crate) async fn read_exact(&mut self, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Peer::Std(stream) => {
                let mut own = stream.try_clone()?;
                let read = move || {
                    let mut room = vec![0; length];
                    own.read_exact(&mut room).map(|()| room)
                };
                beside_the_loop(read).await
            }
            Peer::Ours(stream) => {
                let (result, got) = stream.read_exact(Vec::with_capacity(length)).await;
                result.map(|()| got)
            }
        }
    }

    pub(crate) async fn read_to_end(self) -> Vec<u8> {
        match self {
            Peer::Std(mut stream) => {
                let read = move || {
                    let mut all = Vec::new();
                    stream.read_to_end(&mut all).map(|_| all)
                };
                beside_the_loop(read).await.unwrap()
            }
            Peer::Ours(stream) => super::net::read_to_end(&stream).await,
        }
    }
}

/// What blocks: on a helper thread where a loop runs, and at once where none does.
async fn beside_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match Runtime::try_current() {
        Some(_) => spawn_blocking(work).await.unwrap(),
        None => work(),
    }
}

/// Begins what somebody outside does: on a machine in a thread without a loop, where nothing of this module ever waits
/// for one.
pub(crate) fn elsewhere<T, F>(work: impl FnOnce() -> F + Send + 'static) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    if is_simulated() {
        return spawn(work());
    }
    spawn_blocking(move || work().now_or_never().expect("outside of the loop everything blocks"))
}

/// As [`elsewhere`], for what needs its end of a connection.
pub(crate) fn elsewhere_with<T, F>(peer: Peer, work: impl FnOnce(Peer) -> F + Send + 'static) -> JoinHandle<T>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    match peer {
        Peer::Ours(_) => spawn(work(peer)),
        Peer::Std(stream) => elsewhere(move || work(Peer::Std(stream))),
    }
}

/// Time passes, and the loop does not see it pass.
pub(crate) async fn pause(span: Duration) {
    match is_simulated() {
        true => sleep(span).await,
        false => std::thread::sleep(span),
    }
}

/// Waits until what is on its way between two ends has arrived. In a simulated world that costs nothing.
pub(crate) async fn arrival() {
    sleep(if is_simulated() { Duration::from_secs(1) } else { Duration::from_millis(10) }).await;
}

/// A directory of the test's own.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Removes it, with all that is in it.
    _on_the_machine: Option<TempDir>,
}

pub(crate) async fn directory() -> Directory {
    if is_simulated() {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(format!("/tmp/of-a-test-{number}"));
        fs::create_dir(&path).await.unwrap();
        return Directory { path, _on_the_machine: None };
    }
    let directory = tempfile::tempdir().unwrap();
    Directory { path: directory.path().to_owned(), _on_the_machine: Some(directory) }
}

impl Directory {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// What is in a file.
pub(crate) async fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    let read = if is_simulated() { fs::read(path).await } else { std::fs::read(path) };
    read.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Makes a file of these bytes, or replaces what it was.
pub(crate) async fn write(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    let (path, bytes) = (path.as_ref(), bytes.as_ref());
    let written =
        if is_simulated() { fs::write(path, bytes.to_vec()).await.0 } else { std::fs::write(path, bytes) };
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Writes at the end of a file.
pub(crate) async fn append(path: impl AsRef<Path>, bytes: &[u8]) {
    let path = path.as_ref();
    if is_simulated() {
        let file = fs::OpenOptions::new().append(true).open(path).await.unwrap();
        file.write_all(bytes.to_vec()).await.0.unwrap();
        return file.close().await.unwrap();
    }
    std::fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// Cuts a file off, or lengthens it.
pub(crate) async fn set_len(path: impl AsRef<Path>, length: u64) {
    if is_simulated() {
        let file = fs::OpenOptions::new().write(true).open(path).await.unwrap();
        file.set_len(length).await.unwrap();
        return file.close().await.unwrap();
    }
    std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

pub(crate) async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) {
    let renamed = if is_simulated() { fs::rename(&from, &to).await } else { std::fs::rename(&from, &to) };
    renamed.unwrap();
}

/// Whether the name is there, or what it leads to.
pub(crate) async fn is_there(path: impl AsRef<Path>) -> bool {
    if !is_simulated() {
        return path.as_ref().exists();
    }
    match fs::metadata(&path).await {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{error}"),
    }
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> SocketAddr {
    if !is_simulated() {
        return std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    listener.close().await.unwrap();
    address
}
