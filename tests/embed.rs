//! A loop inside of another one that waits by poll(2) or epoll(7): nothing is lost, and the other loop neither sleeps through
//! what has come nor spins.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream as StdUnix;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::net::{TcpListener, UnixStream};
use annulus::signal::{SignalKind, signal};
use annulus::task::JoinHandle;
use annulus::time::{sleep, sleep_until};
use annulus::{Builder, Error, Runtime, fs, nop, spawn, spawn_blocking, yield_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use support::child::alone;
use support::data::Dice;
use support::quiet::{boom, quietly};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_turn_without_time_does_not_wait,
    a_turn_waits_for_as_long_as_it_may_and_no_longer,
    a_turn_inside_of_a_running_loop_is_an_error,
    tasks_that_are_always_ready_keep_turns_true_and_do_not_hold_up_others,
    runs_and_turns_may_be_mixed,
    the_next_deadline_follows_the_timers,
    a_loop_ends_after_turns_as_after_runs,
    futures_are_polled_by_hand,
}

on_real_drivers! {
    because "a simulated driver has no descriptor":
        a_thousand_messages_take_few_turns,
        an_idle_loop_is_not_readable,
        timers_fire_in_order,
        ten_thousand_wakes_of_another_thread_are_not_lost,
        what_helpers_answer_is_told,
        signals_are_told,
        what_is_asked_for_between_two_turns_is_told,
        a_descriptor_that_is_asked_for_late_tells_what_came_before,
        a_wait_that_was_in_vain_goes_on,
        more_answers_than_the_queue_has_room_for_are_all_told,
        more_descriptors_that_are_ready_than_one_look_finds_hide_nobody,
        several_loops_are_waited_for_by_one_call,
        a_task_is_awaited_by_tokio,
        a_loop_that_ends_while_it_is_waited_for_disturbs_nobody;
    because "a simulated clock is never paused":
        a_clock_that_stands_still_moves_no_further_than_a_turn_may_wait;
}

/// A wait of this length is one that would never end.
const FOR_EVER: Duration = Duration::from_secs(20);
const NO_TIME: Option<Duration> = Some(Duration::ZERO);

/// How the other loop waits.
#[derive(Clone, Copy, Debug)]
enum Way {
    Level,
    Edge,
}

/// What waits for edges is epoll(7), which is Linux's.
const WAYS: &[Way] = if cfg!(target_os = "linux") { &[Way::Level, Way::Edge] } else { &[Way::Level] };

#[cfg(target_os = "linux")]
struct Edges(std::os::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Edges {
    fn of(runtime: &Runtime) -> Option<Edges> {
        use rustix::event::epoll;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, runtime.as_fd().unwrap(), epoll::EventData::new_u64(0), flags).unwrap();
        Some(Edges(epoll))
    }

    fn wait(&self, limit: Duration) -> rustix::io::Result<usize> {
        let mut events = Vec::with_capacity(4);
        let room = rustix::buffer::spare_capacity(&mut events);
        rustix::event::epoll::wait(&self.0, room, Some(&timespec(limit)))
    }
}

#[cfg(not(target_os = "linux"))]
enum Edges {}

#[cfg(not(target_os = "linux"))]
impl Edges {
    fn of(_: &Runtime) -> Option<Edges> {
        None
    }

    fn wait(&self, _: Duration) -> rustix::io::Result<usize> {
        match *self {}
    }
}

/// The other loop.
struct Outer<'a> {
    runtime: &'a Runtime,
    /// Edge-triggered, if there is one.
    edges: Option<Edges>,
    turns: Cell<u32>,
    waits: Cell<u32>,
}

fn timespec(span: Duration) -> Timespec {
    Timespec { tv_sec: span.as_secs() as i64, tv_nsec: span.subsec_nanos().into() }
}

/// poll(2): which of them are readable.
fn readable(descriptors: &[BorrowedFd<'_>], limit: Duration) -> Vec<bool> {
    let mut entries: Vec<_> = descriptors.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    match poll(&mut entries, Some(&timespec(limit))) {
        Ok(_) => entries.iter().map(|entry| !entry.revents().is_empty()).collect(),
        Err(rustix::io::Errno::INTR) => vec![false; descriptors.len()],
        Err(error) => panic!("{error}"),
    }
}

impl<'a> Outer<'a> {
    fn new(runtime: &'a Runtime, way: Way) -> Outer<'a> {
        let edges = match way {
            Way::Level => None,
            Way::Edge => Edges::of(runtime),
        };
        Outer { runtime, edges, turns: Cell::new(0), waits: Cell::new(0) }
    }

    /// Waits for the descriptor. False if the time was over first.
    fn wait(&self, limit: Duration) -> bool {
        self.waits.set(self.waits.get() + 1);
        let Some(edges) = &self.edges else {
            return readable(&[self.runtime.as_fd().unwrap()], limit)[0];
        };
        match edges.wait(limit) {
            Ok(count) => count > 0,
            Err(rustix::io::Errno::INTR) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn settle(&self) {
        // Of what is finite.
        for _ in 0..1_000_000 {
            self.turns.set(self.turns.get() + 1);
            if !self.runtime.turn(NO_TIME).unwrap() {
                return;
            }
        }
        panic!("there is always more to do");
    }

    /// The loop itself: turns until nothing is left, then one wait, no longer than the loop permits.
    #[track_caller]
    fn run_until(&self, mut done: impl FnMut() -> bool) {
        loop {
            self.settle();
            if done() {
                return;
            }
            let deadline = self.runtime.next_deadline();
            let left = deadline.map_or(FOR_EVER, |at| at.saturating_duration_since(Instant::now()));
            let begun = Instant::now();
            self.wait(left);
            assert!(begun.elapsed() < FOR_EVER, "slept through what has come");
        }
    }

    #[track_caller]
    fn finish<T>(&self, mut task: JoinHandle<T>) -> T {
        self.run_until(|| task.is_finished());
        match ask(&mut task) {
            Poll::Ready(output) => output.unwrap(),
            Poll::Pending => panic!("it has finished"),
        }
    }
}

fn ask<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Does the same on a new loop for each way of waiting.
fn in_each_way(builder: Builder, body: impl Fn(&Outer<'_>)) {
    for &way in WAYS {
        println!("{way:?}");
        let runtime = builder.clone().build().unwrap();
        body(&Outer::new(&runtime, way));
        assert_eq!(runtime.metrics().stray, 0);
        assert_eq!(runtime.shutdown(FOR_EVER), 0, "nothing is leaked");
    }
}

/// An echo server for so many connections, one after the other.
async fn echo(listener: TcpListener, connections: u32) {
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        loop {
            let (result, bytes) = stream.read(Vec::with_capacity(64)).await;
            if result.unwrap() == 0 {
                break;
            }
            stream.write_all(bytes).await.0.unwrap();
        }
    }
}

fn server(outer: &Outer<'_>) -> (JoinHandle<()>, SocketAddr) {
    let listener = outer.finish(outer.runtime.spawn(TcpListener::bind("127.0.0.1:0"))).unwrap();
    let address = listener.local_addr().unwrap();
    (outer.runtime.spawn(echo(listener, 1)), address)
}

fn a_thousand_messages_take_few_turns(builder: Builder) {
    const MESSAGES: u32 = 1000;
    in_each_way(builder, |outer| {
        let (served, address) = server(outer);
        let client = thread::spawn(move || {
            let mut stream = StdStream::connect(address).unwrap();
            stream.set_nodelay(true).unwrap();
            let mut back = [0; 8];
            for message in 0..u64::from(MESSAGES) {
                stream.write_all(&message.to_ne_bytes()).unwrap();
                stream.read_exact(&mut back).unwrap();
                assert_eq!(u64::from_ne_bytes(back), message);
            }
        });
        outer.finish(served);
        client.join().unwrap();
        let (turns, waits) = (outer.turns.get(), outer.waits.get());
        println!("{turns} turns and {waits} waits for {MESSAGES} messages");
        assert!(waits <= 3 * MESSAGES + 50 && turns <= 6 * MESSAGES + 100, "{turns} turns, {waits} waits");
    });
}

/// A listener, connections that are read from, a helper that was used, a doorbell that was rung, a timer that is far away.
async fn wait_for_something() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    drop(spawn(async move { listener.accept().await.map(drop) }));
    for _ in 0..10 {
        let (client, server) = support::net::pair().await;
        client.write_all("ping").await.0.unwrap();
        assert_eq!(server.read(Vec::with_capacity(8)).await.1, b"ping");
        drop(spawn(async move {
            let _kept = client;
            server.recv_stream().next().await.map(drop)
        }));
    }
    fs::metadata("/").await.unwrap();
    spawn_blocking(|| ()).await.unwrap();
    drop(spawn(sleep(Duration::from_secs(1000))));
    // A read that was given up has settled.
    let (_client, server) = support::net::pair().await;
    assert!(annulus::time::timeout(Duration::from_millis(5), server.read(vec![0; 8])).await.is_err());
    sleep(Duration::from_millis(50)).await;
}

fn an_idle_loop_is_not_readable(builder: Builder) {
    in_each_way(builder, |outer| {
        outer.finish(outer.runtime.spawn(wait_for_something()));
        // What the end of it set off: a few turns at most.
        let mut told = 0;
        while outer.wait(Duration::from_millis(100)) {
            outer.settle();
            told += 1;
            assert!(told < 10, "it is readable all the time");
        }
        for _ in 0..5 {
            outer.settle();
            assert!(!outer.wait(Duration::from_millis(20)), "readable, and there is nothing to do");
        }
    });
}

fn timers_fire_in_order(builder: Builder) {
    in_each_way(builder, |outer| {
        let fired = Rc::new(RefCell::new(Vec::new()));
        let now = Instant::now();
        let tasks: Vec<_> = [9, 3, 27, 1, 12, 3]
            .into_iter()
            .map(|after| {
                let fired = Rc::clone(&fired);
                outer.runtime.spawn(async move {
                    sleep_until(now + Duration::from_millis(after)).await;
                    assert!(Instant::now() >= now + Duration::from_millis(after));
                    fired.borrow_mut().push(after);
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| outer.finish(task));
        assert_eq!(*fired.borrow(), [1, 3, 3, 9, 12, 27]);
        assert_eq!(outer.runtime.next_deadline(), None);
        assert!(outer.waits.get() <= 30, "{} waits for five deadlines", outer.waits.get());
    });
}

fn ten_thousand_wakes_of_another_thread_are_not_lost(builder: Builder) {
    const WAKES: u64 = 5000;
    #[derive(Default)]
    struct Shared {
        given: AtomicU64,
        waker: Mutex<Option<Waker>>,
        taken: AtomicU64,
    }
    // Of each way; so there are ten thousand.
    in_each_way(builder, |outer| {
        let shared = Arc::new(Shared::default());
        let given = Arc::clone(&shared);
        let task = outer.runtime.spawn(poll_fn(move |cx| {
            *given.waker.lock().unwrap() = Some(cx.waker().clone());
            let now = given.given.load(Ordering::SeqCst);
            given.taken.store(now, Ordering::SeqCst);
            if now == WAKES { Poll::Ready(()) } else { Poll::Pending }
        }));
        let waking = Arc::clone(&shared);
        let other = thread::spawn(move || {
            let mut dice = Dice::new(7);
            for wake in 1..=WAKES {
                // So that it finds the loop at work, at the end of a turn, and asleep.
                match dice.below(8) {
                    0 => thread::sleep(Duration::from_micros(dice.below(300))),
                    1 => thread::yield_now(),
                    _ => (0..dice.below(2000)).for_each(|_| std::hint::spin_loop()),
                }
                waking.given.store(wake, Ordering::SeqCst);
                let waker = waking.waker.lock().unwrap().take();
                if let Some(waker) = waker {
                    waker.wake();
                }
                while waking.taken.load(Ordering::SeqCst) < wake {
                    thread::yield_now();
                }
            }
        });
        outer.finish(task);
        other.join().unwrap();
        println!("{} turns and {} waits for {WAKES} wakes", outer.turns.get(), outer.waits.get());
        assert!(outer.waits.get() <= 3 * WAKES as u32 + 50, "{} waits", outer.waits.get());
    });
}

fn what_helpers_answer_is_told(builder: Builder) {
    in_each_way(builder, |outer| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let at = path.clone();
        outer.finish(outer.runtime.spawn(async move {
            for round in 0..300_u32 {
                let answer = spawn_blocking(move || round.wrapping_mul(7)).await.unwrap();
                assert_eq!(answer, round * 7);
                fs::write(&at, round.to_string()).await.0.unwrap();
                assert_eq!(fs::read_to_string(&at).await.unwrap(), round.to_string());
                // Which every driver gives to a helper.
                fs::canonicalize(&at).await.unwrap();
            }
        }));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "299");
    });
}

fn signals_are_told(builder: Builder) {
    alone(|| {
        in_each_way(builder.clone(), |outer| {
            let seen = Rc::new(Cell::new(0));
            let count = Rc::clone(&seen);
            let task = outer.runtime.spawn(async move {
                let mut signals = signal(SignalKind::user_defined1()).unwrap();
                count.set(1);
                for _ in 0..20 {
                    signals.recv().await.unwrap();
                    count.set(count.get() + 1);
                }
            });
            for sent in 1..=20 {
                outer.run_until(|| seen.get() == sent);
                let other = thread::spawn(|| {
                    thread::sleep(Duration::from_micros(200));
                    kill_process(getpid(), Signal::USR1).unwrap();
                });
                outer.run_until(|| seen.get() == sent + 1);
                other.join().unwrap();
            }
            outer.finish(task);
        });
    });
}

fn what_is_asked_for_between_two_turns_is_told(builder: Builder) {
    in_each_way(builder, |outer| {
        let runtime = outer.runtime;
        outer.run_until(|| true);
        let told = |what: &str| assert!(outer.wait(FOR_EVER), "{what}");

        // What is told once is told until the turn: so each of them after one.
        let task = runtime.spawn(async {});
        told("a task that was spawned");
        outer.settle();
        assert!(task.is_finished());

        let mut far = pin!(runtime.enter(|| sleep(Duration::from_secs(1000))));
        assert!(runtime.enter(|| ask(&mut far)).is_pending());
        told("a timer that was armed");
        outer.settle();
        assert!(runtime.next_deadline().is_some());

        let task = RefCell::new(None);
        let panicked = quietly(AssertUnwindSafe(|| {
            runtime.enter(|| {
                *task.borrow_mut() = Some(spawn(async {}));
                boom("by hand");
            });
        }));
        assert!(panicked.is_err());
        told("a task that was spawned before a panic");
        outer.settle();
        assert!(task.take().unwrap().is_finished());

        let remote = runtime.remote();
        told("a remote, which a task of the loop serves");
        outer.settle();
        let asked = thread::spawn(move || remote.run(|| 7).wait().unwrap());
        told("what another thread asked for");
        outer.settle();
        assert_eq!(asked.join().unwrap(), 7);

        let endless = runtime.spawn(pending::<()>());
        outer.settle();
        endless.abort();
        told("a task that was stopped");
        outer.settle();
        assert!(endless.is_finished());

        let (ours, mut theirs) = StdUnix::pair().unwrap();
        theirs.set_read_timeout(Some(FOR_EVER)).unwrap();
        let stream = runtime.enter(|| UnixStream::from_std(ours)).unwrap();
        outer.settle();
        let mut read = stream.read(Vec::with_capacity(8));
        assert!(runtime.enter(|| ask(&mut read)).is_pending());
        told("an operation that was begun");
        outer.settle();
        drop(read);
        drop(stream);
        told("a descriptor that was dropped");
        outer.run_until(|| true);
        // Whether it takes a second turn is the driver's affair; then it is closed.
        let mut end = [0];
        theirs.set_nonblocking(true).unwrap();
        outer.run_until(|| theirs.read(&mut end).is_ok_and(|count| count == 0));
    });
}

fn a_descriptor_that_is_asked_for_late_tells_what_came_before(builder: Builder) {
    for &way in WAYS {
        let runtime = builder.clone().build().unwrap();
        let (ours, mut theirs) = StdUnix::pair().unwrap();
        let task = runtime.spawn(async move {
            let stream = UnixStream::from_std(ours).unwrap();
            stream.read(Vec::with_capacity(8)).await.1
        });
        while runtime.turn(NO_TIME).unwrap() {}
        // Both have come before anybody has asked for the descriptor.
        let stopped = runtime.spawn(pending::<()>());
        while runtime.turn(NO_TIME).unwrap() {}
        stopped.abort();
        theirs.write_all(b"early").unwrap();
        let outer = Outer::new(&runtime, way);
        assert!(outer.wait(FOR_EVER), "what came before is told");
        assert_eq!(outer.finish(task), b"early");
    }
}

/// Somebody else takes the connection that the loop was told of.
fn a_wait_that_was_in_vain_goes_on(builder: Builder) {
    in_each_way(builder.without_operation("accept"), |outer| {
        let thief = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, own) = (thief.local_addr().unwrap(), thief.try_clone().unwrap());
        let task = outer.runtime.spawn(async move {
            let listener = TcpListener::from_std(own).unwrap();
            listener.accept().await.unwrap().1
        });
        outer.settle();
        for _ in 0..10 {
            let _stolen = StdStream::connect(address).unwrap();
            assert!(outer.wait(FOR_EVER), "the loop is told");
            thief.accept().unwrap();
            outer.settle();
            assert!(!task.is_finished());
        }
        let client = StdStream::connect(address).unwrap();
        assert_eq!(outer.finish(task), client.local_addr().unwrap());
    });
}

fn more_answers_than_the_queue_has_room_for_are_all_told(builder: Builder) {
    in_each_way(builder.entries(16).completions(16), |outer| {
        let (ours, mut theirs): (Vec<_>, Vec<_>) = (0..200).map(|_| StdUnix::pair().unwrap()).unzip();
        let tasks: Vec<_> = ours
            .into_iter()
            .map(|ours| {
                outer.runtime.spawn(async move {
                    let stream = UnixStream::from_std(ours).unwrap();
                    stream.read(Vec::with_capacity(8)).await.1
                })
            })
            .collect();
        outer.settle();
        // All at once, while the loop has no turn.
        theirs.iter_mut().for_each(|stream| stream.write_all(b"all").unwrap());
        for task in tasks {
            assert_eq!(outer.finish(task), b"all");
        }
    });
}

fn more_descriptors_that_are_ready_than_one_look_finds_hide_nobody(builder: Builder) {
    // The readiness driver looks for 1024 at once.
    const MANY: usize = 1100;
    alone(|| {
        in_each_way(builder.clone(), |outer| {
            let (ours, mut theirs): (Vec<_>, Vec<_>) = (0..MANY).map(|_| StdUnix::pair().unwrap()).unzip();
            let streams: Vec<_> = outer.runtime.enter(|| {
                ours.into_iter().map(|ours| Rc::new(UnixStream::from_std(ours).unwrap())).collect()
            });
            // All are waited for once, and given up but the last.
            let reads: Vec<_> = streams
                .iter()
                .map(|stream| {
                    let stream = Rc::clone(stream);
                    outer.runtime.spawn(async move { stream.read(Vec::with_capacity(8)).await.1 })
                })
                .collect();
            outer.settle();
            reads[..MANY - 1].iter().for_each(JoinHandle::abort);
            outer.run_until(|| reads[..MANY - 1].iter().all(JoinHandle::is_finished));
            while outer.wait(Duration::from_millis(20)) {
                outer.settle();
            }
            theirs.iter_mut().for_each(|stream| stream.write_all(b"here").unwrap());
            assert!(outer.wait(FOR_EVER), "the edge, of which there is one");
            let last = reads.into_iter().next_back().unwrap();
            assert_eq!(outer.finish(last), b"here");
        });
    });
}

fn several_loops_are_waited_for_by_one_call(builder: Builder) {
    const LOOPS: usize = 5;
    let runtimes: Vec<_> = (0..LOOPS).map(|_| builder.clone().build().unwrap()).collect();
    let outers: Vec<_> = runtimes.iter().map(|runtime| Outer::new(runtime, Way::Level)).collect();
    let (ours, theirs): (Vec<_>, Vec<_>) = (0..LOOPS).map(|_| StdUnix::pair().unwrap()).unzip();
    let tasks: Vec<_> = runtimes
        .iter()
        .zip(ours)
        .map(|(runtime, ours)| {
            runtime.spawn(async move {
                let stream = UnixStream::from_std(ours).unwrap();
                for _ in 0..100 {
                    let (result, bytes) = stream.read_exact(Vec::with_capacity(1)).await;
                    result.unwrap();
                    stream.write_all(bytes).await.0.unwrap();
                }
            })
        })
        .collect();
    let other = thread::spawn(move || {
        let mut byte = [0];
        for round in 0..100 * LOOPS {
            // In no order that the loops could rely on.
            let mut stream = &theirs[(round * 3) % LOOPS];
            stream.write_all(&[round as u8]).unwrap();
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round as u8]);
        }
    });
    let mut told = vec![true; LOOPS];
    let mut rounds = 0;
    loop {
        for (outer, _) in outers.iter().zip(&told).filter(|(_, told)| **told) {
            outer.settle();
        }
        if tasks.iter().all(JoinHandle::is_finished) {
            break;
        }
        let descriptors: Vec<_> = runtimes.iter().map(|runtime| runtime.as_fd().unwrap()).collect();
        let begun = Instant::now();
        told = readable(&descriptors, FOR_EVER);
        assert!(begun.elapsed() < FOR_EVER, "slept through what has come");
        rounds += 1;
    }
    other.join().unwrap();
    assert!(rounds <= 300 * LOOPS, "{rounds}");
}

fn a_task_is_awaited_by_tokio(builder: Builder) {
    let runtime = builder.build().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        #[allow(deprecated, reason = "what replaces it is unsafe, and not in all versions")]
        let descriptor =
            tokio::io::unix::AsyncFd::with_interest(runtime.as_fd().unwrap(), tokio::io::Interest::READABLE)
                .unwrap();
        let turns = Cell::new(0);
        let drive = async {
            loop {
                while runtime.turn(NO_TIME).unwrap() {
                    tokio::task::yield_now().await;
                }
                turns.set(turns.get() + 1);
                let told = async { descriptor.readable().await.unwrap().clear_ready() };
                match runtime.next_deadline() {
                    None => told.await,
                    Some(at) => drop(tokio::time::timeout_at(at.into(), told).await),
                }
            }
        };
        let work = async {
            for round in 0..200_u32 {
                // Spawned while the loop is waited for; and woken by a task of the other's.
                let (sender, receiver) = tokio::sync::oneshot::channel();
                let task = runtime.spawn(async move {
                    yield_now().await;
                    receiver.await.unwrap() + 1
                });
                tokio::task::yield_now().await;
                let sending = tokio::spawn(async move { sender.send(round).unwrap() });
                assert_eq!(task.await.unwrap(), round + 1);
                sending.await.unwrap();
            }
            // A future of this loop's, awaited there.
            let mut slept = pin!(runtime.enter(|| sleep(Duration::from_millis(5))));
            poll_fn(|cx| runtime.enter(|| slept.as_mut().poll(cx))).await;
        };
        tokio::time::timeout(FOR_EVER, async {
            let mut drive = pin!(drive);
            let mut work = pin!(work);
            poll_fn(|cx| {
                let _: Poll<()> = drive.as_mut().poll(cx);
                work.as_mut().poll(cx)
            })
            .await;
        })
        .await
        .expect("a wake was lost");
        assert!(turns.get() < 3000, "{} turns", turns.get());
    });
}

fn a_loop_that_ends_while_it_is_waited_for_disturbs_nobody(builder: Builder) {
    for &way in WAYS {
        let runtime = builder.clone().build().unwrap();
        let outer = Outer::new(&runtime, way);
        let (ours, mut theirs) = StdUnix::pair().unwrap();
        let waker = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&waker);
        drop(runtime.spawn(async move {
            let stream = UnixStream::from_std(ours).unwrap();
            let mut read = stream.read(Vec::with_capacity(8));
            poll_fn(|cx| {
                *kept.lock().unwrap() = Some(cx.waker().clone());
                Pin::new(&mut read).poll(cx)
            })
            .await
        }));
        outer.settle();
        let Outer { edges, .. } = outer;
        drop(runtime);
        // The task is gone, and with it its descriptor; who wakes it finds nobody.
        theirs.set_read_timeout(Some(FOR_EVER)).unwrap();
        assert_eq!(theirs.read_to_end(&mut Vec::new()).unwrap(), 0);
        waker.lock().unwrap().take().unwrap().wake();
        if let Some(edges) = edges {
            // A ring that goes away interrupts its thread once.
            let told = rustix::io::retry_on_intr(|| edges.wait(Duration::from_millis(10))).unwrap();
            assert_eq!(told, 0, "a descriptor that was closed is waited for no more");
        }
    }
}

fn a_turn_without_time_does_not_wait(builder: Builder) {
    let runtime = builder.build().unwrap();
    // Nothing would ever end a wait.
    drop(runtime.spawn(pending::<()>()));
    for _ in 0..100 {
        runtime.turn(NO_TIME).unwrap();
    }
    assert!(!runtime.turn(NO_TIME).unwrap());
}

fn a_turn_waits_for_as_long_as_it_may_and_no_longer(builder: Builder) {
    const SPAN: Duration = Duration::from_millis(20);
    let runtime = builder.build().unwrap();
    let now = || runtime.enter(annulus::time::now);
    let begun = now();
    runtime.turn(Some(SPAN)).unwrap();
    assert!(now() - begun >= SPAN);

    // A timer ends it earlier; for ever is until then.
    let begun = now();
    let task = runtime.spawn(async { sleep(SPAN).await });
    for _ in 0..100 {
        if task.is_finished() {
            break;
        }
        runtime.turn(None).unwrap();
    }
    assert!(task.is_finished() && now() - begun >= SPAN);
}

async fn a_turn_inside_of_a_running_loop_is_an_error() {
    let other = Builder::new().build().unwrap();
    let nested = other.turn(NO_TIME).unwrap_err();
    assert!(matches!(nested, Error::Nested), "{nested:?}");
    // Nor inside of what is entered by hand.
    let nested = spawn(async move { other.enter(|| other.turn(NO_TIME)) }).await.unwrap().unwrap_err();
    assert!(matches!(nested, Error::Nested), "{nested:?}");
}

fn tasks_that_are_always_ready_keep_turns_true_and_do_not_hold_up_others(builder: Builder) {
    let runtime = builder.build().unwrap();
    for _ in 0..3 {
        drop(runtime.spawn(async {
            loop {
                yield_now().await;
            }
        }));
    }
    let task = runtime.spawn(async {
        let (client, server) = support::net::pair().await;
        for round in 0..50_u8 {
            client.write_all(vec![round]).await.0.unwrap();
            assert_eq!(server.read(Vec::with_capacity(8)).await.1, [round]);
        }
        sleep(Duration::from_millis(1)).await;
    });
    for _ in 0..100_000_000_u64 {
        if task.is_finished() {
            return;
        }
        // Time is none that it could wait for.
        assert!(runtime.turn(Some(FOR_EVER)).unwrap(), "there is more to do");
    }
    panic!("the others were held up");
}

fn runs_and_turns_may_be_mixed(builder: Builder) {
    let runtime = builder.build().unwrap();
    let woken = Arc::new(AtomicBool::new(false));
    for round in 0..50 {
        let task = runtime.spawn(async move {
            sleep(Duration::from_micros(100)).await;
            nop().await.unwrap();
            round
        });
        runtime.turn(NO_TIME).unwrap();
        assert_eq!(runtime.run(task).unwrap().unwrap(), round);
        let mut task = runtime.spawn(async move { round });
        while !task.is_finished() {
            runtime.turn(None).unwrap();
        }
        assert!(matches!(ask(&mut task), Poll::Ready(Ok(answer)) if answer == round));
        if support::is_simulated() {
            continue;
        }
        // A run after a turn is woken by another thread as any run.
        woken.store(false, Ordering::SeqCst);
        let mut begun = false;
        let waiting = poll_fn(|cx| {
            if !std::mem::replace(&mut begun, true) {
                let (woken, waker) = (Arc::clone(&woken), cx.waker().clone());
                thread::spawn(move || {
                    thread::sleep(Duration::from_micros(300));
                    woken.store(true, Ordering::SeqCst);
                    waker.wake();
                });
            }
            if woken.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        });
        // With a descriptor in use as well.
        let _descriptor = runtime.as_fd().unwrap();
        while runtime.turn(NO_TIME).unwrap() {}
        runtime.run(waiting).unwrap();
    }
}

fn the_next_deadline_follows_the_timers(builder: Builder) {
    let runtime = builder.build().unwrap();
    assert_eq!(runtime.next_deadline(), None);
    let begun = runtime.enter(annulus::time::now);
    let [near, far] = [1000, 2000].map(|seconds| begun + Duration::from_secs(seconds));
    let late = runtime.spawn(sleep_until(far));
    while runtime.turn(NO_TIME).unwrap() {}
    assert_eq!(runtime.next_deadline(), Some(far));
    let early = runtime.spawn(sleep_until(near));
    while runtime.turn(NO_TIME).unwrap() {}
    assert_eq!(runtime.next_deadline(), Some(near));
    early.abort();
    while runtime.turn(NO_TIME).unwrap() {}
    assert_eq!(runtime.next_deadline(), Some(far));
    late.abort();
    while runtime.turn(NO_TIME).unwrap() {}
    assert_eq!(runtime.next_deadline(), None);
}

fn a_loop_ends_after_turns_as_after_runs(builder: Builder) {
    struct Tells(Rc<Cell<u32>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    for by_drop in [true, false] {
        let runtime = builder.clone().build().unwrap();
        let gone = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let tells = Tells(Rc::clone(&gone));
            drop(runtime.spawn(async move {
                let _tells = tells;
                let (_client, server) = support::net::pair().await;
                server.read(Vec::with_capacity(8)).await.0
            }));
        }
        for _ in 0..100 {
            runtime.turn(NO_TIME).unwrap();
        }
        match by_drop {
            true => drop(runtime),
            false => assert_eq!(runtime.shutdown(FOR_EVER), 0),
        }
        assert_eq!(gone.get(), 10);
    }
}

fn a_clock_that_stands_still_moves_no_further_than_a_turn_may_wait(builder: Builder) {
    let runtime = builder.build().unwrap();
    let now = || runtime.enter(annulus::time::now);
    runtime.enter(annulus::time::pause);
    let begun = now();
    let task = runtime.spawn(sleep(Duration::from_secs(10)));
    for _ in 0..100 {
        runtime.turn(NO_TIME).unwrap();
    }
    assert_eq!(now(), begun, "no time was given");
    for _ in 0..5 {
        runtime.turn(Some(Duration::from_secs(1))).unwrap();
    }
    assert!(now() > begun && now() <= begun + Duration::from_secs(5), "{:?}", now() - begun);
    for _ in 0..100 {
        if task.is_finished() {
            return;
        }
        runtime.turn(None).unwrap();
    }
    panic!("for ever is long enough");
}

fn futures_are_polled_by_hand(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut nops: Vec<_> = (0..50).map(|_| Some(nop())).collect();
    let mut left = nops.len();
    for _ in 0..100_000 {
        for place in &mut nops {
            let Some(future) = place else { continue };
            if let Poll::Ready(answer) = runtime.enter(|| ask(future)) {
                answer.unwrap();
                *place = None;
                left -= 1;
            }
        }
        if left == 0 {
            return;
        }
        runtime.turn(None).unwrap();
    }
    panic!("{left} were never answered");
}

#[cfg(feature = "sim")]
#[test]
fn a_simulated_loop_has_no_descriptor_and_says_what_to_do_instead() {
    let runtime = Builder::new().driver(annulus::Driver::Sim(1)).build().unwrap();
    let error = runtime.as_fd().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("turns"), "{error}");
}
