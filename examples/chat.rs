//! A chat over a Unix socket: a server, and a client for as many terminals as there are.
//!
//! ```sh
//! cargo run --release --example chat -- serve --addr /tmp/chat
//! cargo run --release --example chat -- talk ann --addr /tmp/chat
//! ```
//! The first line of a connection is a name; what follows is said to all others. Who does not read what the others say is
//! disconnected, so that nobody waits for the slowest. Control-C ends the server, and everybody is told.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::mem::take;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use annulus::io::codec::{FramedRead, LinesCodec};
use annulus::io::{AsyncFd, Interest};
use annulus::net::{UnixListener, UnixStream};
use annulus::time::{sleep, timeout};
use annulus::{CancelToken, Driver, Runtime, fs, spawn};
use clap::{Parser, Subcommand};

/// How many bytes may wait for somebody who does not read them.
const WAITING_MAX: usize = 64 * 1024;
const LINE_MAX: usize = 4096;
/// How long a last word may take to be delivered.
const PARTING: Duration = Duration::from_secs(1);

/// A chat over a Unix socket.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    role: Role,
    /// The socket's path.
    #[arg(long, global = true, default_value = "/tmp/annulus-chat")]
    addr: PathBuf,
    /// auto, uring or readiness.
    #[arg(long, global = true, default_value_t = Driver::Auto)]
    driver: Driver,
}

#[derive(Subcommand)]
enum Role {
    /// Lets others talk.
    Serve,
    /// Says what is typed, and shows what others say.
    Talk { name: String },
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(async {
        match arguments.role {
            Role::Serve => serve(&arguments.addr).await,
            Role::Talk { name } => talk(&arguments.addr, &name).await,
        }
    })?
}

/// What was said and is not yet on its way to one of the members.
#[derive(Default)]
struct Mailbox {
    text: RefCell<String>,
    is_closed: Cell<bool>,
    waiting: Cell<Option<Waker>>,
    /// Ends the member's stay.
    gone: CancelToken,
}

impl Mailbox {
    fn push(&self, line: &str) {
        let mut text = self.text.borrow_mut();
        match text.len() + line.len() > WAITING_MAX {
            true => self.gone.cancel(),
            false => text.push_str(line),
        }
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    fn close(&self) {
        self.is_closed.set(true);
        self.waiting.take().into_iter().for_each(Waker::wake);
    }

    /// All that there is; None at the end.
    async fn next(&self) -> Option<String> {
        let next = poll_fn(|cx| {
            if self.text.borrow().is_empty() && !self.is_closed.get() {
                self.waiting.set(Some(cx.waker().clone()));
                return Poll::Pending;
            }
            Poll::Ready(take(&mut *self.text.borrow_mut()))
        });
        Some(next.await).filter(|text| !text.is_empty())
    }
}

type Members = Rc<RefCell<HashMap<String, Rc<Mailbox>>>>;

/// To all but the one who says it.
fn say(members: &Members, from: &str, line: &str) {
    members.borrow().iter().filter(|(name, _)| *name != from).for_each(|(_, mailbox)| mailbox.push(line));
}

async fn serve(path: &Path) -> io::Result<()> {
    let listener = UnixListener::bind(path).await?;
    let (stop, members) = (CancelToken::new(), Members::default());
    // The signal's thread rings, and the loop waits for the bell as for any other descriptor.
    let (bell, mut handle) = StdStream::pair()?;
    ctrlc::set_handler(move || drop(handle.write(b"!"))).map_err(io::Error::other)?;
    let bell = AsyncFd::new(bell)?;
    // Not before: whoever reads this may say at once that it is the end.
    eprintln!("chatting at {}", path.display());
    drop(spawn({
        let stop = stop.clone();
        async move {
            drop(bell.readable().await);
            stop.cancel();
        }
    }));
    let mut connections = Vec::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        connections.retain(|connection: &annulus::task::JoinHandle<_>| !connection.is_finished());
        match accepted {
            Ok((stream, _)) => {
                connections.push(spawn(host(stream, Rc::clone(&members), stop.child_token())));
            }
            // Descriptors are used up, say. The connection waits as well.
            Err(error) => {
                eprintln!("accepting: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    drop(listener);
    for connection in connections {
        let _ = connection.await;
    }
    fs::remove_file(path).await
}

/// One member's stay.
async fn host(stream: UnixStream, members: Members, gone: CancelToken) -> io::Result<()> {
    let (reader, writer) = stream.into_split();
    let mut lines = FramedRead::new(reader, LinesCodec::new().max_length(LINE_MAX));
    let Some(Some(Ok(name))) = gone.run_until_cancelled(lines.next()).await else { return Ok(()) };
    if members.borrow().contains_key(&name) {
        return writer.write_all(format!("* somebody else is called {name}\n")).await.0;
    }
    let mailbox = Rc::new(Mailbox { gone: gone.clone(), ..Mailbox::default() });
    mailbox.push(&format!("* welcome, {name}; others here: {}\n", members.borrow().len()));
    members.borrow_mut().insert(name.clone(), Rc::clone(&mailbox));
    say(&members, &name, &format!("* {name} has come\n"));
    let mut writing = spawn({
        let mailbox = Rc::clone(&mailbox);
        async move {
            while let Some(text) = mailbox.next().await {
                writer.write_all(text).await.0?;
            }
            writer.shutdown(Shutdown::Write).await
        }
    });
    while let Some(Some(Ok(line))) = gone.run_until_cancelled(lines.next()).await {
        say(&members, &name, &format!("{name}: {line}\n"));
    }
    members.borrow_mut().remove(&name);
    say(&members, &name, &format!("* {name} has gone\n"));
    mailbox.push("* the end\n");
    mailbox.close();
    if timeout(PARTING, &mut writing).await.is_err() {
        writing.abort();
    }
    Ok(())
}

async fn talk(path: &Path, name: &str) -> io::Result<()> {
    let (reader, writer) = UnixStream::connect(path).await?.into_split();
    writer.write_all(format!("{name}\n")).await.0?;
    let typing = spawn(async move {
        let input = AsyncFd::new(File::from(io::stdin().as_fd().try_clone_to_owned()?))?;
        loop {
            let mut typed = vec![0; LINE_MAX];
            let count = input.async_io(Interest::READABLE, |mut input| input.read(&mut typed)).await?;
            if count == 0 {
                return writer.shutdown(Shutdown::Write).await;
            }
            typed.truncate(count);
            writer.write_all(typed).await.0?;
        }
    });
    let mut buffer = Vec::with_capacity(WAITING_MAX);
    loop {
        let (result, heard) = reader.read(buffer).await;
        if result? == 0 {
            typing.abort();
            return Ok(());
        }
        io::stdout().write_all(&heard)?;
        io::stdout().flush()?;
        buffer = heard;
    }
}
