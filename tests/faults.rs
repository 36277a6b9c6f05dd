//! What must not happen, and does: numbers that are used again, futures that are forgotten, threads and processes that
//! end at the wrong moment.

mod support;

use std::any::Any;
use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::io::{Read, Write};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{now, sleep, timeout};
use annulus::{Builder, Error, Runtime, spawn, spawn_blocking, yield_now};
use support::audit;
use support::child::{self, alone};
use support::data::{Dice, assert_same, seed};
use support::guarded::{self, Guarded};
use support::net::{pair, with_std_peer};
use support::outside::{self, Peer, directory, with_peer};
use support::quiet::quietly;
use support::races::{begin, spin};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_dropped_stream_is_an_end_for_its_peer_whether_the_loop_is_busy_or_idle,
    a_thousand_runtimes_dropped_amid_operations_leave_nothing_behind,
    a_thousand_forgotten_operations_are_leaked_and_nothing_else,
}

on_real_drivers! {
    because "threads of the machine open files of std meanwhile":
        data_never_go_to_another_file_that_got_the_number;
    because "threads and processes of the machine end":
        threads_may_end_while_their_thread_locals_use_what_is_left_of_a_loop,
        a_process_may_end_while_its_thread_locals_have_a_loop;
}

/// So long at most does anything here wait for what must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens, uses and closes files as fast as it can, and looks whether anybody else's data got into them.
fn files_of_a_thread(directory: &Path, over: &AtomicBool) -> u32 {
    let mut rounds = 0;
    while !over.load(Ordering::Relaxed) {
        rounds += 1;
        let path = directory.join(format!("of-a-thread-{}", rounds % 8));
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(b"the thread's own").unwrap();
        thread::yield_now();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"the thread's own", "round {rounds}");
    }
    rounds
}

/// The same with sockets.
fn sockets_of_a_thread(over: &AtomicBool) -> u32 {
    let mut rounds = 0;
    while !over.load(Ordering::Relaxed) {
        rounds += 1;
        let (mut one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
        one.write_all(b"there").unwrap();
        other.write_all(b"and back").unwrap();
        thread::yield_now();
        one.shutdown(std::net::Shutdown::Write).unwrap();
        other.shutdown(std::net::Shutdown::Write).unwrap();
        let mut got = (Vec::new(), Vec::new());
        other.read_to_end(&mut got.0).unwrap();
        one.read_to_end(&mut got.1).unwrap();
        assert_eq!(got, (b"there".to_vec(), b"and back".to_vec()), "round {rounds}");
    }
    rounds
}

/// What was begun is given up, kept, or kept for a while.
async fn go_on<F: Future + Unpin>(operation: F, dice: &mut Dice) -> Option<F::Output> {
    match dice.below(3) {
        0 => {
            drop(operation);
            None
        }
        1 => {
            let _ = timeout(dice.micros(50), operation).await;
            None
        }
        _ => Some(operation.await),
    }
}

/// A write whose handle is gone has written all, or was stopped; EBADF would say that its number was gone, too.
fn assert_wrote(outcome: Option<(std::io::Result<usize>, Vec<u8>)>, length: usize) {
    match outcome {
        Some((Ok(count), _)) => assert_eq!(count, length),
        Some((Err(error), _)) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
        None => {}
    }
}

/// A write to a file whose handle is dropped at once, and another file opened in the same moment.
async fn write_and_reopen(directory: &Path, n: u64, dice: &mut Dice) {
    let (path, next) = (directory.join(format!("write-{n}")), directory.join(format!("next-{n}")));
    let tag = n.to_le_bytes().repeat(40);
    let file = File::create(&path).await.unwrap();
    let mut write = file.write_at(tag.clone(), 0);
    let begun = begin(&mut write);
    match dice.below(3) {
        0 => yield_now().await,
        // Until a helper has taken it, and is about to name the number.
        1 => spin(dice.micros(60)),
        _ => {}
    }
    drop(file);
    let other = std::fs::File::create(&next).unwrap();
    let outcome = match begun {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => go_on(write, dice).await,
    };
    assert_wrote(outcome, tag.len());
    yield_now().await;
    drop(other);
    let written = std::fs::read(&path).unwrap();
    assert!(written.is_empty() || written == tag, "all of it, or nothing: {written:?}");
    assert_eq!(std::fs::read(&next).unwrap(), b"", "what was written to {n} is in another file");
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(next).unwrap();
}

async fn read_and_reopen(directory: &Path, n: u64, dice: &mut Dice) {
    let (path, next) = (directory.join(format!("read-{n}")), directory.join(format!("next-{n}")));
    let tag = n.to_le_bytes().repeat(40);
    std::fs::write(&path, &tag).unwrap();
    std::fs::write(&next, b"of the other file").unwrap();
    let file = File::open(&path).await.unwrap();
    let mut read = file.read_at(Vec::with_capacity(1000), 0);
    let begun = begin(&mut read);
    drop(file);
    let other = std::fs::File::open(&next).unwrap();
    let outcome = match begun {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => go_on(read, dice).await,
    };
    match outcome {
        Some((Ok(_), got)) => assert_same(&got, &tag),
        Some((Err(error), _)) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
        None => {}
    }
    drop(other);
    std::fs::remove_file(path).unwrap();
    std::fs::remove_file(next).unwrap();
}

/// A write and a read on a stream that is dropped at once, and other sockets opened in the same moment.
async fn stream_and_reopen(n: u64, dice: &mut Dice) {
    let (stream, mut peer) = with_std_peer().await;
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let tag = n.to_le_bytes().repeat(40);
    let (mut write, mut read) = (stream.write(tag.clone()), stream.read(Vec::with_capacity(1000)));
    let (wrote, reads) = (begin(&mut write), begin(&mut read).is_pending());
    assert!(reads, "it is under way, and so may the write be");
    if dice.below(2) == 0 {
        yield_now().await;
    }
    drop(stream);
    let (mut one, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    one.write_all(b"of the other").unwrap();
    other.write_all(b"of the one").unwrap();
    let outcome = match wrote {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => go_on(write, dice).await,
    };
    assert_wrote(outcome, tag.len());
    if let Some((result, _)) = go_on(read, dice).await {
        assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    }
    // The peer sees what was written, or nothing, and then the end.
    let got = spawn_blocking(move || {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).map(|_| got)
    });
    let got = got.await.unwrap().expect("the end, although operations were in flight");
    assert!(got.is_empty() || got == tag, "{got:?}");
    for (end, wanted) in [(&mut one, &b"of the one"[..]), (&mut other, b"of the other")] {
        let mut got = [0; 100];
        let count = end.read(&mut got).unwrap();
        assert_eq!(&got[..count], wanted);
    }
}

fn data_never_go_to_another_file_that_got_the_number(builder: Builder) {
    const ROUNDS: u64 = 9000;
    alone(|| {
        let directory = tempfile::tempdir().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let files = {
            let (directory, over) = (directory.path().to_owned(), Arc::clone(&over));
            thread::spawn(move || files_of_a_thread(&directory, &over))
        };
        let sockets = {
            let over = Arc::clone(&over);
            thread::spawn(move || sockets_of_a_thread(&over))
        };
        let runtime = builder.build().unwrap();
        let mut dice = Dice::new(seed());
        runtime
            .run(async {
                for n in 0..ROUNDS {
                    match n % 3 {
                        0 => write_and_reopen(directory.path(), n, &mut dice).await,
                        1 => read_and_reopen(directory.path(), n, &mut dice).await,
                        _ => stream_and_reopen(n, &mut dice).await,
                    }
                }
            })
            .unwrap();
        over.store(true, Ordering::Relaxed);
        println!(
            "{ROUNDS} rounds beside {} and {} of others",
            files.join().unwrap(),
            sockets.join().unwrap()
        );
        assert_eq!(runtime.metrics().stray, 0);
    });
}

/// How long after its drop the peer of a stream with a read pending saw the end.
async fn end_after_drop() -> Duration {
    let (stream, mut peer) = with_peer().await;
    let pending = spawn(stream.read(Vec::with_capacity(16)));
    let seen = spawn(async move { (peer.read(16).await.map_err(|error| error.kind()), now()) });
    sleep(Duration::from_millis(10)).await;
    let dropped = now();
    drop(stream);
    let (end, at) = seen.await.unwrap();
    assert_eq!(end, Ok(vec![]));
    assert_eq!(pending.await.unwrap().0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    at - dropped
}

fn a_dropped_stream_is_an_end_for_its_peer_whether_the_loop_is_busy_or_idle(builder: Builder) {
    let runtime = builder.build().unwrap();
    for busy in [false, true] {
        let others: Vec<_> = runtime
            .run(async {
                let yields = async || loop {
                    yield_now().await;
                };
                (0..3).filter(|_| busy).map(|_| spawn(yields())).collect()
            })
            .unwrap();
        // That it comes is asserted each time; that it comes soon, once: others may have the processor meanwhile.
        let spans: Vec<_> = (0..3).map(|_| runtime.run(end_after_drop()).unwrap()).collect();
        assert!(spans.iter().any(|span| *span < Duration::from_millis(100)), "busy: {busy}: {spans:?}");
        others.iter().for_each(|other| other.abort());
    }
}

fn a_thousand_runtimes_dropped_amid_operations_leave_nothing_behind(builder: Builder) {
    const RUNTIMES: usize = 500;
    let amid_operations = |n: usize| {
        let runtime = builder.clone().build().unwrap();
        let kept = runtime.run(async {
            let (stream, peer) = with_peer().await;
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (mut read, mut accept) = (stream.read(Guarded::new(100)), listener.accept());
            assert!(begin(&mut read).is_pending() && begin(&mut accept).is_pending());
            drop(spawn(async move { stream.read(Guarded::new(100)).await.0 }));
            drop(spawn(async move { listener.accept().await.map(drop) }));
            drop(spawn(sleep(Duration::from_secs(1000))));
            // A helper thread ends with its runtime, too.
            if n % 10 == 0 {
                drop(spawn_blocking(|| thread::sleep(Duration::from_micros(100))));
            }
            if n % 2 == 0 {
                yield_now().await;
            }
            (read, accept, peer)
        });
        // In a simulated world an answer may be that it is not ready after all, and nobody is there to ask again.
        assert!(runtime.metrics().in_flight >= 2 || support::is_simulated());
        drop(runtime);
        kept.unwrap().2.vanish();
    };
    alone(|| {
        (0..RUNTIMES).for_each(amid_operations);
        let before = (audit::descriptors(), audit::threads(), audit::resident());
        (0..RUNTIMES).for_each(amid_operations);
        audit::comes_back("descriptors", before.0, audit::descriptors);
        audit::comes_back("threads", before.1, audit::threads);
        assert_eq!(guarded::mapped(), 0);
        if let (Some(before), Some(after)) = (before.2, audit::resident()) {
            println!("{} KiB before, {} KiB after {RUNTIMES} runtimes", before >> 10, after >> 10);
            assert!(after < before + (2 << 20), "{} KiB before, {} KiB after", before >> 10, after >> 10);
        }
    });
}

/// Polls once and forgets.
fn forget<F: Future>(future: F) {
    let mut future = Box::pin(future);
    let _ = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    std::mem::forget(future);
}

fn a_thousand_forgotten_operations_are_leaked_and_nothing_else(builder: Builder) {
    const TIMES: usize = 90;
    alone(|| {
        let runtime = builder.build().unwrap();
        let kept = runtime.run(async {
            let directory = directory().await;
            let path = directory.path().join("file");
            outside::write(&path, vec![7; 4096]).await;
            let mut kept = Vec::new();
            for n in 0..TIMES {
                let (stream, peer) = with_peer().await;
                let file = File::options().read(true).write(true).open(&path).await.unwrap();
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                // Eleven kinds, of which six have a buffer each.
                if n % 2 == 0 {
                    forget(stream.read(Guarded::new(1)));
                    forget(stream.readv(vec![Guarded::new(1)]));
                } else {
                    forget(stream.readv(vec![Guarded::new(1)]));
                    forget(stream.read(Guarded::new(1)));
                }
                // Larger than what is sent at once, and at the cursor, where nothing is read at once.
                forget(stream.write(Guarded::of(&[5; 20 << 10])));
                forget(file.read(Guarded::new(4096)));
                forget(file.write_at(Guarded::of(&[7; 4096]), 0));
                forget(stream.write(Guarded::of(&vec![1; 1 << 20])));
                forget(listener.accept());
                forget(TcpStream::connect(listener.local_addr().unwrap()));
                forget(timeout(Duration::from_secs(1000), annulus::nop()));
                forget(spawn(sleep(Duration::from_secs(1000))));
                forget(File::open(path.clone()));
                // While a handle is left, what is forgotten goes on.
                kept.push((peer, stream, file, listener));
                if n % 7 == 0 {
                    sleep(Duration::from_micros(200)).await;
                }
            }
            // It goes on all the same.
            let (client, server) = pair().await;
            client.write_all("goes on").await.0.unwrap();
            assert_eq!(server.read(Vec::with_capacity(64)).await.1, b"goes on");
            kept
        });
        assert_eq!(guarded::mapped(), 6 * TIMES);
        let start = Instant::now();
        assert_eq!(runtime.shutdown(PATIENCE), 0, "the kernel has given all back");
        assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
        // Nobody has the memory that could free it. It is there, should anybody still write to it.
        assert_eq!(guarded::mapped(), 6 * TIMES, "leaked, not freed");
        for (peer, ..) in kept.unwrap() {
            if let Peer::Std(mut peer) = peer {
                let _ = peer.write(b"too late");
            }
        }
        thread::sleep(Duration::from_millis(20));
    });
}

/// Runs a closure when it is dropped, and counts that in a place that outlives all threads.
struct AtTheEnd<F: FnMut() + 'static>(F);

static ENDS: AtomicUsize = AtomicUsize::new(0);
/// What did not go as it should. A panic in a destructor of a thread-local would end the process.
static WRONG: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl<F: FnMut() + 'static> Drop for AtTheEnd<F> {
    fn drop(&mut self) {
        if let Err(panic) = quietly(AssertUnwindSafe(|| (self.0)())) {
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            // Where a process ends, nobody but its parent can look.
            support::say(&format!("wrong at the end: {text}"));
            WRONG.lock().unwrap().push(text);
        }
        ENDS.fetch_add(1, Ordering::SeqCst);
        support::say("an end");
    }
}

/// Everything that the loop offers, where there is no loop: an error, or nothing, or a loop of its own.
fn use_everything(builder: &Builder, waker: &Waker) {
    if Runtime::try_current().is_some() {
        // The process ends amid a run: the loop is there, only that it never turns again.
        drop((spawn(async {}), spawn_blocking(|| ())));
        assert!(begin(&mut sleep(Duration::ZERO)).is_pending());
        assert!(begin(&mut annulus::nop()).is_pending());
        assert!(matches!(annulus::run(async {}), Err(Error::Nested)));
        waker.wake_by_ref();
        return;
    }
    let refused = |body: &dyn Fn()| assert!(quietly(AssertUnwindSafe(body)).is_err(), "there is no loop");
    refused(&|| drop(spawn(async {})));
    refused(&|| drop(spawn_blocking(|| ())));
    refused(&|| assert!(begin(&mut sleep(Duration::ZERO)).is_pending()));
    refused(&|| assert!(begin(&mut annulus::nop()).is_pending()));
    // What never began, and what belongs to a loop that is gone.
    drop((sleep(Duration::ZERO), annulus::nop()));
    waker.wake_by_ref();
    drop(waker.clone());
    let outcome = builder.clone().build().map(|runtime| {
        runtime.run(async {
            let (client, server) = pair().await;
            client.write_all("at the end").await.0.unwrap();
            let (result, got) = server.read(Vec::with_capacity(64)).await;
            result.unwrap();
            sleep(Duration::from_micros(100)).await;
            let helped = spawn_blocking(|| 7).await.unwrap();
            drop(spawn(pending::<()>()));
            (got, helped)
        })
    });
    // A loop may be refused by now, which would be an error; one that there is works.
    if let Ok(outcome) = outcome {
        assert_eq!(outcome.unwrap(), (b"at the end".to_vec(), 7));
    }
}

thread_local! {
    static FIRST: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
    static LOOP: RefCell<Option<Rc<Runtime>>> = const { RefCell::new(None) };
    static LAST: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Fills the thread's locals with a loop, and with things that use it when they are destroyed: before it and after it,
/// whichever the system's order is.
fn fill_thread_locals(builder: &Builder) {
    let runtime = Rc::new(builder.clone().build().unwrap());
    FIRST.with_borrow(|_| ());
    LOOP.with_borrow(|_| ());
    LAST.with_borrow(|_| ());
    for place in [&FIRST, &LAST] {
        let builder = builder.clone();
        let kept = runtime.run(async {
            let waker: Waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            let (client, server) = pair().await;
            let mut read = server.read(Guarded::new(1));
            assert!(begin(&mut read).is_pending());
            let mut timer = Box::pin(sleep(Duration::from_secs(1000)));
            assert!(begin(&mut timer).is_pending());
            let file = File::open("/").await.unwrap();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut accept = listener.accept();
            assert!(begin(&mut accept).is_pending());
            let joins = spawn(pending::<()>());
            // In a task of the loop, whose future goes with the loop, where there is one to spawn on.
            drop(spawn(async move {
                let _kept = AtTheEnd(|| {
                    drop(spawn(sleep(Duration::from_secs(1000))));
                    drop(spawn_blocking(|| ()));
                    assert!(begin(&mut sleep(Duration::ZERO)).is_pending());
                    assert!(begin(&mut annulus::nop()).is_pending());
                });
                let _read = client.read(Guarded::new(1)).await;
            }));
            yield_now().await;
            let uses = AtTheEnd(move || {
                use_everything(&builder, &waker);
                joins.abort();
            });
            let kept: Box<dyn Any> = Box::new((uses, read, timer, file, accept, listener, server));
            kept
        });
        place.with_borrow_mut(|all| all.push(kept.unwrap()));
    }
    LOOP.set(Some(runtime));
}

/// How many things `fill_thread_locals` leaves to be done at the end.
const ENDS_WANTED: usize = 4;

fn threads_may_end_while_their_thread_locals_use_what_is_left_of_a_loop(builder: Builder) {
    alone(|| {
        let start = Instant::now();
        let own = builder.clone();
        thread::spawn(move || fill_thread_locals(&own)).join().unwrap();
        assert_eq!(*WRONG.lock().unwrap(), Vec::<String>::new());
        assert_eq!(ENDS.load(Ordering::SeqCst), ENDS_WANTED);
        assert_eq!(guarded::mapped(), 0);
        assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    });
}

fn a_process_may_end_while_its_thread_locals_have_a_loop(builder: Builder) {
    const HOW: &str = "ANNULUS_TEST_END";
    let test = child::name();
    let how = std::env::var(HOW).unwrap_or_default();
    for (way, code) in [("exit", 7), ("exit amid a run", 7), ("return", 0)] {
        let Some(output) = child::again(&test, |command| _ = command.env(HOW, way)) else {
            fill_thread_locals(&builder);
            let runtime = LOOP.with_borrow(|runtime| Rc::clone(runtime.as_ref().unwrap()));
            match how.as_str() {
                "exit amid a run" => runtime.run(async { std::process::exit(7) }).unwrap(),
                "exit" => {
                    drop(runtime);
                    std::process::exit(7);
                }
                _ => return,
            }
        };
        let said = format!("{}{}", child::text(&output.stdout), child::text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{way}: {}: {said}", output.status);
        assert!(!said.contains("wrong at the end"), "{way}: {said}");
        println!(
            "{way}: {} of {ENDS_WANTED} thread-locals used what was left",
            said.matches("an end").count()
        );
    }
}
