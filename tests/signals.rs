//! Signals, a thousand in a second, and a process that is stopped and goes on: nobody notices.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::sleep;
use annulus::{Builder, spawn, spawn_blocking};
use support::child::{self, alone};
use support::data::{Dice, assert_same, bytes};
use support::limits::on_signal;
use support::on_real_drivers;

on_real_drivers! {
    because "signals are the machine's":
        a_thousand_alarms_a_second_disturb_nothing,
        alarms_that_begin_calls_again_disturb_nothing,
        children_that_end_disturb_nothing,
        a_process_that_is_stopped_and_goes_on_has_lost_nothing;
}

/// Signals that the loop's thread handled, and that others did.
static OWN: AtomicUsize = AtomicUsize::new(0);
static OTHERS: AtomicUsize = AtomicUsize::new(0);
/// Which thread the loop's is.
static LOOP: AtomicUsize = AtomicUsize::new(0);

fn this_thread() -> usize {
    // SAFETY: no memory is passed, and it cannot fail.
    unsafe { libc::pthread_self() as usize }
}

/// Only counts.
extern "C" fn counted(_: i32) {
    let own = this_thread() == LOOP.load(Ordering::Relaxed);
    (if own { &OWN } else { &OTHERS }).fetch_add(1, Ordering::Relaxed);
}

unsafe extern "C" {
    /// setitimer(2), which the `libc` crate does not have for every system.
    fn setitimer(which: i32, to: *const libc::itimerval, before: *mut libc::itimerval) -> i32;
}

/// SIGALRM each so many microseconds, to whichever thread takes it; none with 0.
fn alarm_each(microseconds: i32) {
    const ITIMER_REAL: i32 = 0;
    let span = libc::timeval { tv_sec: 0, tv_usec: microseconds as _ };
    let timer = libc::itimerval { it_interval: span, it_value: span };
    // SAFETY: the timer is on this stack; what was set before is not asked for.
    assert_eq!(unsafe { setitimer(ITIMER_REAL, &timer, std::ptr::null_mut()) }, 0);
}

/// Sends a signal to each other thread of this process a thousand times a second, while it lives. A signal for the
/// process goes to the first thread that takes it, so helpers would never see one.
struct Pestering(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Pestering {
    fn with(signal: i32) -> Pestering {
        let on = Arc::new(AtomicBool::new(true));
        let goes_on = Arc::clone(&on);
        let pester = move || {
            while goes_on.load(Ordering::Relaxed) {
                signal_the_others(signal);
                thread::sleep(Duration::from_millis(1));
            }
        };
        Pestering(on, Some(thread::spawn(pester)))
    }
}

impl Drop for Pestering {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
        self.1.take().map(thread::JoinHandle::join);
    }
}

#[cfg(target_os = "linux")]
fn signal_the_others(signal: i32) {
    // SAFETY: no memory is passed.
    let own = unsafe { libc::gettid() };
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for thread in threads.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if thread != own {
            // SAFETY: no memory is passed; a thread that has ended meanwhile is an error that nobody asks about.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn signal_the_others(_: i32) {}

/// A server's work, side by side: echoes, files, a pipe, timers, closures on helpers. Each compares what it gets; no
/// error is expected, not even EINTR. Each goes on until `enough` says so, for one round at least.
async fn mixed(enough: impl Fn() -> bool + Clone + 'static) {
    let directory = tempfile::tempdir().unwrap();
    let mut kinds = Vec::new();
    macro_rules! again_and_again {
        ($round:expr) => {{
            let enough = enough.clone();
            kinds.push(spawn(async move {
                loop {
                    $round.await;
                    if enough() {
                        return;
                    }
                }
            }));
        }};
    }
    for n in 0..3 {
        let path = directory.path().join(n.to_string());
        again_and_again!(an_echo(n));
        again_and_again!(a_file(n, &path));
        again_and_again!(a_pipe(n));
        again_and_again!(a_sleep(n));
        again_and_again!(closures(n));
    }
    for kind in kinds {
        kind.await.unwrap();
    }
}

async fn an_echo(seed: u64) {
    const LENGTH: usize = 300_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut room = Vec::with_capacity(5000);
        loop {
            let (result, filled) = stream.read(room).await;
            if result.unwrap() == 0 {
                return;
            }
            let (result, sent) = stream.write_all(filled).await;
            result.unwrap();
            room = sent;
        }
    });
    let client = Rc::new(TcpStream::connect(address).await.unwrap());
    let own = Rc::clone(&client);
    let sending = spawn(async move {
        let mut dice = Dice::new(seed);
        let mut rest = &bytes(seed, LENGTH)[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + dice.below(20_000) as usize));
            own.write_all(now.to_vec()).await.0.unwrap();
            rest = later;
        }
        own.shutdown(std::net::Shutdown::Write).await.unwrap();
    });
    let (result, got) = client.read_exact(vec![0; LENGTH]).await;
    result.unwrap();
    assert_same(&got, &bytes(seed, LENGTH));
    assert_eq!(client.read(vec![0; 1]).await.0.unwrap(), 0);
    sending.await.unwrap();
    server.await.unwrap();
}

async fn a_file(seed: u64, path: &std::path::Path) {
    const LENGTH: usize = 100_000;
    let wanted = bytes(seed, LENGTH);
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path).await.unwrap();
    let (half, rest) = wanted.split_at(LENGTH / 2);
    file.write_all_at(rest.to_vec(), half.len() as u64).await.0.unwrap();
    file.write_all_at(half.to_vec(), 0).await.0.unwrap();
    file.sync_data().await.unwrap();
    let (result, got) = file.read_exact_at(vec![0; LENGTH], 0).await;
    result.unwrap();
    assert_same(&got, &wanted);
    assert_eq!(file.metadata().await.unwrap().len(), LENGTH as u64);
    file.close().await.unwrap();
    assert_same(&annulus::fs::read(path).await.unwrap(), &wanted);
}

/// A read that a helper waits in, on the readiness driver.
async fn a_pipe(seed: u64) {
    let (reader, mut writer) = support::pipe::pipe();
    let writing = spawn_blocking(move || {
        for chunk in bytes(seed, 1000).chunks(250) {
            thread::sleep(Duration::from_millis(2));
            writer.write_all(chunk).unwrap();
        }
    });
    let pipe = File::from_std(reader);
    let mut got = Vec::new();
    loop {
        let (result, piece) = pipe.read(Vec::with_capacity(300)).await;
        if result.unwrap() == 0 {
            break;
        }
        got.extend(piece);
    }
    writing.await.unwrap();
    assert_same(&got, &bytes(seed, 1000));
}

async fn a_sleep(n: u64) {
    let span = Duration::from_micros(700 * (n + 1));
    let start = Instant::now();
    sleep(span).await;
    assert!(start.elapsed() >= span, "a signal ends no sleep");
}

async fn closures(n: u64) {
    let nap = move || {
        thread::sleep(Duration::from_millis(1));
        n
    };
    assert_eq!(spawn_blocking(nap).await.unwrap(), n);
}

/// Runs the work until the loop's thread has handled so many signals.
fn work_until_handled(builder: Builder, signals: usize) {
    LOOP.store(this_thread(), Ordering::Relaxed);
    let runtime = builder.build().unwrap();
    let start = Instant::now();
    // A machine that is too busy to deliver them is no reason to go on for ever.
    let enough = move || OWN.load(Ordering::Relaxed) >= signals || start.elapsed() > Duration::from_secs(20);
    runtime
        .run(async {
            let children = spawn(children(enough));
            // At first there is nothing else to do, and the signals come while the loop sleeps.
            for _ in 0..20 {
                a_sleep(9).await;
            }
            mixed(enough).await;
            children.await.unwrap();
        })
        .unwrap();
    let (own, others) = (OWN.load(Ordering::Relaxed), OTHERS.load(Ordering::Relaxed));
    println!("{own} signals to the loop, {others} to other threads, in {:?}", start.elapsed());
    assert!(own > 50, "the loop was not disturbed: {own} signals to it, {others} to others");
    let metrics = runtime.metrics();
    assert_eq!((metrics.in_flight, metrics.stray), (0, 0), "{metrics:?}");
    let start = Instant::now();
    drop(runtime);
    assert!(start.elapsed() < Duration::from_secs(2), "also the end is not disturbed: {:?}", start.elapsed());
}

fn under_alarms(builder: Builder, flags: i32) {
    alone(|| {
        on_signal(libc::SIGALRM, flags, counted);
        let pestering = Pestering::with(libc::SIGALRM);
        alarm_each(1000);
        work_until_handled(builder, 1000);
        alarm_each(0);
        drop(pestering);
    });
}

fn a_thousand_alarms_a_second_disturb_nothing(builder: Builder) {
    under_alarms(builder, 0);
}

fn alarms_that_begin_calls_again_disturb_nothing(builder: Builder) {
    under_alarms(builder, libc::SA_RESTART);
}

/// Their signal goes to the thread that made them, which here is the loop's.
fn children_that_end_disturb_nothing(builder: Builder) {
    alone(|| {
        on_signal(libc::SIGCHLD, 0, counted);
        work_until_handled(builder, 200);
    });
}

/// Makes children that end at once, on the loop's own thread.
async fn children(enough: impl Fn() -> bool) {
    while !enough() {
        let mut child = Command::new("true").spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Where the stopped process finds its peer.
const PEER: &str = "ANNULUS_TEST_PEER";

fn a_process_that_is_stopped_and_goes_on_has_lost_nothing(builder: Builder) {
    const LENGTH: usize = 1 << 20;
    let test = child::name();
    if child::is_child(&test) {
        return is_stopped(builder, std::env::var(PEER).unwrap().parse().unwrap());
    }
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    let mut command = child::myself(&test);
    command.env(PEER, listener.local_addr().unwrap().to_string());
    let stopped = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let signal = |signal| {
        // SAFETY: no memory is passed; the child has not been waited for, so the number is its own.
        assert_eq!(unsafe { libc::kill(stopped.id() as i32, signal) }, 0);
    };

    let (mut peer, _) = listener.accept().unwrap();
    let mut sink = peer.try_clone().unwrap();
    let sending = thread::spawn(move || {
        for chunk in bytes(1, LENGTH).chunks(LENGTH / 16) {
            sink.write_all(chunk).unwrap();
            thread::sleep(Duration::from_millis(20));
        }
        sink.shutdown(std::net::Shutdown::Write).unwrap();
    });
    // In the middle of an echo, of a hundred sleeps and of a read of a pipe. More than it can take comes meanwhile.
    thread::sleep(Duration::from_millis(100));
    for _ in 0..2 {
        signal(libc::SIGSTOP);
        thread::sleep(Duration::from_millis(500));
        signal(libc::SIGCONT);
        thread::sleep(Duration::from_millis(50));
    }
    let mut got = Vec::new();
    peer.read_to_end(&mut got).unwrap();
    assert_same(&got, &bytes(1, LENGTH));
    sending.join().unwrap();
    let output = stopped.wait_with_output().unwrap();
    let text = format!("{}{}", child::text(&output.stdout), child::text(&output.stderr));
    assert!(output.status.success(), "{}\n{text}", output.status);
    assert!(text.contains("running 1 test"), "there is no test {test:?}");
}

fn is_stopped(builder: Builder, peer: SocketAddr) {
    const SLEEPS: u64 = 100;
    let runtime = builder.build().unwrap();
    let fired = Rc::new(Cell::new(0));
    runtime
        .run(async {
            let sleeps: Vec<_> = (0..SLEEPS)
                .map(|n| {
                    let fired = Rc::clone(&fired);
                    spawn(async move {
                        // Before, during and after the stop.
                        let span = Duration::from_millis(15 * (n + 1));
                        let start = Instant::now();
                        sleep(span).await;
                        assert!(start.elapsed() >= span);
                        fired.set(fired.get() + 1);
                    })
                })
                .collect();
            let pipe = spawn(async {
                for seed in 0..100 {
                    a_pipe(seed).await;
                }
            });
            let stream = TcpStream::connect(peer).await.unwrap();
            loop {
                let (result, filled) = stream.read(Vec::with_capacity(5000)).await;
                if result.unwrap() == 0 {
                    break;
                }
                stream.write_all(filled).await.0.unwrap();
            }
            stream.shutdown(std::net::Shutdown::Write).await.unwrap();
            for sleep in sleeps {
                sleep.await.unwrap();
            }
            pipe.await.unwrap();
        })
        .unwrap();
    assert_eq!(fired.get(), SLEEPS, "each once");
    let metrics = runtime.metrics();
    assert_eq!((metrics.timers_fired, metrics.timers), (SLEEPS, 0), "{metrics:?}");
}
