//! A program to look at: a loop on a thread of its own, with tasks that others know by their names.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use annulus::inspect::{self, Inspector};
use annulus::net::UdpSocket;
use annulus::sync::across::oneshot;
use annulus::time::interval;
use annulus::{Builder, Remote, spawn, task};

/// What a name may look like that somebody else has chosen.
pub(crate) const MALICE: &str = "<img src=x onerror=document.title='fallen'>";

/// An inspector shows all loops of the process, so one test has the process to itself.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing behind.
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Program {
    pub(crate) inspector: Inspector,
    remote: Remote,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    is_stuck: Arc<AtomicBool>,
}

impl Program {
    /// With so many tasks that do nothing, besides a `listener`, a `ticker`, and one with a name that is none.
    pub(crate) fn start(builder: Builder, idle: usize) -> Program {
        let (end, ends) = oneshot::channel::<()>();
        let (sender, remote) = std::sync::mpsc::channel();
        let body = async move || {
            sender
                .send(annulus::Runtime::try_current().expect("it runs").remote())
                .expect("the test waits for it");
            let socket = UdpSocket::bind("127.0.0.1:0").await.expect("there is a port");
            let named = |name: &str| task::Builder::new().name(name);
            drop(named("listener").spawn(async move { socket.recv_from(vec![0; 64]).await.0.map(drop) }));
            drop(named("ticker").spawn(async {
                let mut ticks = interval(Duration::from_millis(5));
                loop {
                    ticks.tick().await;
                }
            }));
            drop(named(MALICE).spawn(pending::<()>()));
            for _ in 0..idle {
                drop(spawn(pending::<()>()));
            }
            let _ = ends.await;
        };
        let thread = thread::Builder::new().name("looked-at".to_owned()).spawn(move || {
            builder.build().expect("a loop is to be had").run(body()).expect("it ends well");
        });
        let remote = remote.recv().expect("the loop runs");
        let inspector = inspect::serve("127.0.0.1:0").expect("there is a port");
        let is_stuck = Arc::new(AtomicBool::new(false));
        Program {
            inspector,
            remote,
            end: Some(end),
            thread: Some(thread.expect("there is a thread")),
            is_stuck,
        }
    }

    /// Has a task of the loop hold up all others, until [`Program::go_on`].
    pub(crate) fn get_stuck(&self) {
        self.is_stuck.store(true, Ordering::SeqCst);
        let is_stuck = Arc::clone(&self.is_stuck);
        drop(self.remote.run(move || wait_in_vain(&is_stuck)));
    }

    pub(crate) fn go_on(&self) {
        self.is_stuck.store(false, Ordering::SeqCst);
    }
}

/// By its name in the frames of whoever holds up the loop.
#[inline(never)]
fn wait_in_vain(is_stuck: &AtomicBool) {
    while is_stuck.load(Ordering::SeqCst) {
        thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.go_on();
        drop(self.end.take());
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the loop ended badly");
    }
}
