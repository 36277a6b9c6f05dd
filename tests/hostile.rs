//! Files that never answer, pages that do not come, links that are slow or go down, sockets that are destroyed.
//!
//! Most of it needs Linux and root, and says so where it is not. `hostile.sh` runs it, and other tests with it.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod support;

use std::future::Future;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use annulus::buf::{IoBuf, IoBufMut};
use annulus::fs::OpenOptions;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn};
use support::child::alone;
use support::data::{Dice, assert_same, bytes};
use support::fuse::{self, Slow};
use support::guarded::{self, Guarded};
use support::limits::is_root;
use support::net::{pair, with_std_peer};
use support::on_real_drivers;

on_real_drivers! {
    because "file systems, links and sockets of the machine are what fails":
        reads_that_are_never_answered_hold_up_neither_an_echo_nor_the_end,
        reads_that_were_given_up_free_their_buffers_when_they_are_answered,
        names_that_nobody_tells_about_hold_up_neither_an_echo_nor_the_end,
        a_page_that_does_not_come_stalls_its_own_loop_alone,
        a_slow_link_loses_nothing_though_transfers_are_given_up,
        a_link_that_goes_down_ends_what_has_a_time_out,
        destroyed_sockets_end_each_kind_of_future_that_waits;
}

const SOON: Duration = Duration::from_secs(30);

fn metrics() -> annulus::Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// So many lines there and back.
async fn echoes(rounds: u64) {
    let (client, server) = pair().await;
    for n in 0..rounds {
        client.write_all(bytes(n, 100)).await.0.unwrap();
        let (result, got) = timeout(SOON, server.read_exact(vec![0; 100])).await.expect("an echo");
        result.unwrap();
        assert_same(&got, &bytes(n, 100));
    }
}

// A file that never answers.

/// No test: the process that serves the file system, where it is run for that.
#[test]
fn a_file_system_of_its_own() {
    fuse::serve();
}

const READS: usize = 64;

/// With a file that never answers, in a process of its own. Says why not where there can be none.
fn with_a_slow_file(what: &str, body: impl FnOnce(&mut Slow)) {
    if !is_root() {
        return support::skipped(what, "to mount a file system one has to be root");
    }
    alone(|| match Slow::mount("a_file_system_of_its_own") {
        Ok(mut slow) => body(&mut slow),
        Err(error) => support::skipped(what, &format!("no file system can be served: {error}")),
    });
}

/// How many helpers are within a system call that reads, as the kernel says.
fn helpers_in_reads() -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let reads = threads.filter(|thread| {
        let text = |name| std::fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let call = text("syscall").split(' ').next().and_then(|number| number.parse().ok());
        let reads = [libc::SYS_pread64, libc::SYS_preadv, libc::SYS_preadv2];
        text("comm").starts_with("annulus-helper") && call.is_some_and(|call| reads.contains(&call))
    });
    reads.count()
}

/// Begins 64 reads of it, each with a buffer of its own, and lets them get there. Dropping the handles abandons them.
async fn begin_reads(slow: &Slow) -> Vec<annulus::task::JoinHandle<(io::Result<usize>, Guarded)>> {
    let file = Rc::new(OpenOptions::new().read(true).open(slow.file()).await.unwrap());
    let reads = (0..READS).map(|n| {
        let file = Rc::clone(&file);
        spawn(async move { file.read_at(Guarded::new(4096), 4096 * n as u64).await })
    });
    let reads = reads.collect();
    sleep(Duration::from_millis(100)).await;
    // What no helper has begun could still be taken back.
    let patience = Instant::now() + SOON;
    while helpers_in_reads() < READS && Instant::now() < patience {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(helpers_in_reads(), READS);
    assert_eq!((metrics().in_flight, guarded::mapped()), (READS, READS));
    reads
}

/// Kernels from 6.12 take a file for ready whose file system does not answer poll(2), as FUSE's do, and read it within
/// io_uring_enter(2): that stalls the loop until there is an answer. Without the ring's operation a helper reads.
fn by_helpers(builder: Builder) -> Runtime {
    builder.without_operation("read").build().unwrap()
}

fn reads_that_are_never_answered_hold_up_neither_an_echo_nor_the_end(builder: Builder) {
    with_a_slow_file("reads that are never answered", |slow| {
        let limit = Duration::from_millis(300);
        let runtime = by_helpers(builder);
        runtime
            .run(async {
                let reads = begin_reads(slow).await;
                echoes(200).await;
                assert!(reads.iter().all(|read| !read.is_finished()));
                assert_eq!(metrics().in_flight, READS);
            })
            .unwrap();
        let start = Instant::now();
        let leaked = runtime.shutdown(limit);
        let took = start.elapsed();
        assert!(took >= limit && took < limit + Duration::from_secs(3), "{took:?}");
        assert!(leaked > 0, "what is being read cannot be stopped");
        assert_eq!(guarded::mapped(), leaked, "what may still be written to is leaked, the rest is freed");
        println!("{leaked} of {READS} reads were leaked");
        // Now the kernel writes, into memory that is still there.
        slow.answer();
        thread::sleep(Duration::from_millis(100));
        assert_eq!(guarded::mapped(), leaked);
    });
}

fn reads_that_were_given_up_free_their_buffers_when_they_are_answered(builder: Builder) {
    with_a_slow_file("reads that were given up", |slow| {
        let runtime = by_helpers(builder);
        runtime
            .run(async {
                let mut reads = begin_reads(slow).await;
                let first = reads.remove(0);
                for read in reads {
                    read.abort();
                }
                sleep(Duration::from_millis(100)).await;
                // Each has a helper that nothing can stop, and its buffer as long as that.
                assert_eq!((metrics().in_flight, guarded::mapped()), (READS, READS));
                echoes(50).await;
                assert_eq!((metrics().in_flight, guarded::mapped()), (READS, READS));
                slow.answer();
                let (result, buffer) = timeout(SOON, first).await.expect("it is answered").unwrap();
                assert_eq!(result.unwrap(), 4096);
                assert_same(buffer.bytes(), &[fuse::BYTE; 4096]);
                drop(buffer);
                let patience = Instant::now() + SOON;
                while metrics().in_flight > 0 && Instant::now() < patience {
                    sleep(Duration::from_millis(1)).await;
                }
                sleep(Duration::from_millis(10)).await;
                assert_eq!((metrics().in_flight, guarded::mapped()), (0, 0));
                assert_eq!(metrics().stray, 0);
            })
            .unwrap();
    });
}

/// These wait in threads of the kernel's own, on the ring.
fn names_that_nobody_tells_about_hold_up_neither_an_echo_nor_the_end(builder: Builder) {
    with_a_slow_file("names that nobody tells about", |slow| {
        let limit = Duration::from_millis(300);
        let runtime = builder.clone().build().unwrap();
        runtime
            .run(async {
                for n in 0..READS {
                    drop(spawn(annulus::fs::metadata(slow.mute(n))));
                }
                sleep(Duration::from_millis(100)).await;
                assert_eq!(metrics().in_flight, READS);
                echoes(200).await;
                assert_eq!(metrics().in_flight, READS);
            })
            .unwrap();
        let start = Instant::now();
        let leaked = runtime.shutdown(limit);
        let took = start.elapsed();
        assert!(took >= limit && took < limit + Duration::from_secs(3), "{took:?}");
        println!("{leaked} of {READS} questions were leaked");
        assert!(leaked > 0, "what is under way cannot be stopped");
        // Another loop goes on, and is told.
        let other = builder.build().unwrap();
        other
            .run(async {
                let asking = spawn(annulus::fs::metadata(slow.mute(READS)));
                echoes(50).await;
                assert!(!asking.is_finished());
                let patience = Instant::now() + SOON;
                while !asking.is_finished() && Instant::now() < patience {
                    slow.answer();
                    sleep(Duration::from_millis(10)).await;
                }
                let error = timeout(SOON, asking).await.expect("it is told").unwrap().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::NotFound);
            })
            .unwrap();
    });
}

// A page that does not come.

/// Memory whose page is there when this process puts it there: userfaultfd(2).
struct Absent {
    place: *mut u8,
    filled: usize,
}

const PAGE: usize = 4096;

// SAFETY: a mapping stays where it is, and this one is never unmapped.
unsafe impl IoBuf for Absent {
    fn stable_ptr(&self) -> *const u8 {
        self.place
    }

    fn bytes_init(&self) -> usize {
        self.filled
    }

    fn bytes_total(&self) -> usize {
        PAGE
    }
}

// SAFETY: as above, and it is writable; what the page is put there with is initialised.
unsafe impl IoBufMut for Absent {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.place
    }

    unsafe fn set_init(&mut self, length: usize) {
        self.filled = length;
    }
}

// SAFETY: the mapping is nobody else's.
unsafe impl Send for Absent {}

/// The other end: who misses the page is told here, and it is put there from here.
struct Pager(OwnedFd, u64);

impl Pager {
    fn new() -> io::Result<(Absent, Pager)> {
        const API: libc::c_ulong = 0xc018_aa3f;
        const REGISTER: libc::c_ulong = 0xc020_aa00;
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let place = unsafe {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), PAGE, protection, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
        };
        assert_ne!(place, libc::MAP_FAILED);
        // SAFETY: no memory is passed.
        let number = unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) } as i32;
        if number < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just opened, and nobody else's.
        let pager = Pager(unsafe { OwnedFd::from_raw_fd(number) }, place as u64);
        pager.ask(API, &mut [0xaa, 0, 0])?;
        // Where, how long, and "tell of pages that are missing".
        pager.ask(REGISTER, &mut [place as u64, PAGE as u64, 1, 0])?;
        Ok((Absent { place: place.cast(), filled: 0 }, pager))
    }

    fn ask<const N: usize>(&self, what: libc::c_ulong, with: &mut [u64; N]) -> io::Result<()> {
        // SAFETY: the structures of these requests are as many numbers, read and written during the call.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), what as _, with.as_mut_ptr()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits until somebody misses the page.
    fn wait(&self) {
        let mut message = [0; 32];
        let mut told = std::fs::File::from(self.0.try_clone().unwrap());
        assert_eq!(told.read(&mut message).unwrap(), 32);
    }

    fn put(&self) {
        const COPY: libc::c_ulong = 0xc028_aa03;
        let page = vec![0_u8; PAGE];
        self.ask(COPY, &mut [self.1, page.as_ptr() as u64, PAGE as u64, 0, 0]).unwrap();
    }
}

fn a_page_that_does_not_come_stalls_its_own_loop_alone(builder: Builder) {
    let (buffer, pager) = match Pager::new() {
        Ok(both) => both,
        Err(error) => return support::skipped("a page that does not come", &format!("userfaultfd: {error}")),
    };
    let (stalls, ended) = (builder.clone(), Arc::new(AtomicBool::new(false)));
    let (says, turns) = (Arc::clone(&ended), Arc::new(AtomicU64::new(0)));
    let own = Arc::clone(&turns);
    let stalled = thread::spawn(move || {
        let ran = stalls.build().unwrap().run(async move {
            let (client, server) = pair().await;
            client.write_all(bytes(1, 100)).await.0.unwrap();
            drop(spawn(async move {
                loop {
                    own.fetch_add(1, Ordering::SeqCst);
                    sleep(Duration::from_millis(1)).await;
                }
            }));
            let (result, buffer) = server.read(buffer).await;
            assert_eq!(result.unwrap(), 100);
            // SAFETY: the page is there by now, and so many bytes were read into it.
            assert_same(unsafe { std::slice::from_raw_parts(buffer.place, buffer.filled) }, &bytes(1, 100));
        });
        says.store(true, Ordering::SeqCst);
        ran.unwrap();
    });
    pager.wait();
    let before = turns.load(Ordering::SeqCst);
    builder.build().unwrap().run(echoes(1000)).unwrap();
    thread::sleep(Duration::from_millis(20));
    assert!(!ended.load(Ordering::SeqCst), "the read waits for its page");
    assert_eq!(turns.load(Ordering::SeqCst), before, "and its loop with it");
    pager.put();
    stalled.join().unwrap();
}

// Links.

/// Runs a test in a process and a network of its own, where there is nothing but the loopback device; says why not
/// where there can be none.
fn on_a_link(what: &str, set_up: &[&str], body: impl FnOnce()) {
    if !is_root() {
        return support::skipped(what, "to have a network of its own one has to be root");
    }
    alone(|| {
        // SAFETY: no memory is passed.
        if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
            return support::skipped(what, &format!("no network: {}", io::Error::last_os_error()));
        }
        for line in set_up {
            if let Err(reason) = tool(line) {
                return support::skipped(what, &reason);
            }
        }
        body();
    });
}

/// Runs a command of the system's.
fn tool(line: &str) -> Result<(), String> {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    match Command::new(name).args(rest.split(' ')).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{name}: {error}")),
    }
}

const UP: &str = "ip link set lo up";
/// A megabit a second, in packets as they are elsewhere.
const SLOW: &[&str] =
    &["ip link set lo mtu 1500", UP, "tc qdisc add dev lo root tbf rate 1mbit burst 16kb latency 400ms"];

fn a_slow_link_loses_nothing_though_transfers_are_given_up(builder: Builder) {
    const LENGTH: usize = 256 << 10;
    on_a_link("a slow link", SLOW, || {
        let runtime = builder.build().unwrap();
        let mut given_up = (0, 0);
        runtime
            .run(async {
                let (client, server) = pair().await;
                client.set_send_buffer_size(16 << 10).unwrap();
                let sending = spawn(async move {
                    let wanted = bytes(1, LENGTH);
                    let mut dice = Dice::new(2);
                    let (mut sent, mut given_up) = (0, 0);
                    while sent < LENGTH {
                        let piece = wanted[sent..LENGTH.min(sent + 8000)].to_vec();
                        let mut write = client.write(piece);
                        let limit = Duration::from_micros(dice.below(20_000));
                        let (result, _) = match timeout(limit, &mut write).await {
                            Ok(written) => written,
                            Err(_) => {
                                given_up += 1;
                                write.cancel();
                                timeout(SOON, write).await.expect("it is answered")
                            }
                        };
                        match result {
                            Ok(count) => sent += count,
                            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}"),
                        }
                    }
                    client.shutdown(std::net::Shutdown::Write).await.unwrap();
                    given_up
                });
                let mut dice = Dice::new(3);
                let mut got = Vec::new();
                loop {
                    // The loser is dropped; what it was given all the same is there for the next.
                    let limit = Duration::from_micros(dice.below(20_000));
                    match timeout(limit, server.read(Vec::with_capacity(3000))).await {
                        Err(_) => given_up.1 += 1,
                        Ok((result, piece)) => {
                            if result.unwrap() == 0 {
                                break;
                            }
                            got.extend(piece);
                        }
                    }
                }
                given_up.0 = sending.await.unwrap();
                assert_same(&got, &bytes(1, LENGTH));
            })
            .unwrap();
        println!("{} writes and {} reads were given up", given_up.0, given_up.1);
        assert!(given_up.0 > 10 && given_up.1 > 10, "the link is slow: {given_up:?}");
        assert_eq!(runtime.metrics().stray, 0);
    });
}

fn a_link_that_goes_down_ends_what_has_a_time_out(builder: Builder) {
    on_a_link("a link that goes down", SLOW, || {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let (client, server) = pair().await;
                let sending =
                    spawn(
                        async move { timeout(SOON / 20, client.write_all(vec![1; 8 << 20])).await.is_err() },
                    );
                let receiving = spawn(async move {
                    let until = Instant::now() + SOON / 20;
                    loop {
                        match annulus::time::timeout_at(until, server.read(Vec::with_capacity(5000))).await {
                            Ok((result, _)) => assert!(result.unwrap() > 0),
                            Err(_) => return,
                        }
                    }
                });
                let accepting = spawn(async move { timeout(SOON / 20, listener.accept()).await.is_err() });
                sleep(Duration::from_millis(200)).await;
                tool("ip link set lo down").unwrap();
                // By its own time-out, or because there is no way there.
                match timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
                    Err(_) => {}
                    Ok(connected) => {
                        let error = connected.unwrap_err();
                        assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable, "{error}");
                    }
                }
                assert!(timeout(SOON, sending).await.expect("the write ends").unwrap());
                assert!(timeout(SOON, accepting).await.expect("the accept ends").unwrap());
                timeout(SOON, receiving).await.expect("the reads end").unwrap();
                // And when it is up again, all is well.
                tool(UP).unwrap();
                echoes(3).await;
            })
            .unwrap();
        let start = Instant::now();
        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    });
}

type Ended = Pin<Box<dyn Future<Output = io::Result<usize>>>>;

fn destroyed_sockets_end_each_kind_of_future_that_waits(builder: Builder) {
    on_a_link("destroyed sockets", &[UP, "ss -V"], || {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                // Where the kernel destroys nothing, the tool says nothing.
                let (probe, peer) = with_std_peer().await;
                destroy(probe.peer_addr().unwrap().port());
                peer.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
                if (&peer).read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                    return support::skipped("destroyed sockets", "this kernel destroys none");
                }
                for n in 0..6 {
                    let (stream, _peer) = with_std_peer().await;
                    let stream = Rc::new(stream);
                    let port = stream.peer_addr().unwrap().port();
                    let waits = each_kind(&stream).swap_remove(n);
                    let waiting = spawn(waits);
                    sleep(Duration::from_millis(20)).await;
                    assert!(!waiting.is_finished(), "it waits: {n}");
                    destroy(port);
                    let result = timeout(SOON, waiting).await.expect("it is told").unwrap();
                    let error = result.unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{n}: {error}");
                }
                // A listener.
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let accepting = spawn(async move { listener.accept().await.map(drop) });
                sleep(Duration::from_millis(20)).await;
                let _ = tool(&format!("ss -K -t -l sport = :{port}"));
                let error = timeout(SOON, accepting).await.expect("it is told").unwrap().unwrap_err();
                println!("an accept of a destroyed listener: {error}");
                echoes(3).await;
                assert_eq!(metrics().in_flight, 0);
            })
            .unwrap();
    });
}

/// Destroys both ends of the connections to a port: first the one that connected, so that it is not told of a reset.
fn destroy(port: u16) {
    for end in ["dport", "sport"] {
        tool(&format!("ss -K -t state established {end} = :{port}")).unwrap();
    }
}

/// Futures of each kind that wait for a peer that neither reads nor writes.
fn each_kind(stream: &Rc<TcpStream>) -> Vec<Ended> {
    let much = || vec![1_u8; 16 << 20];
    let own = || Rc::clone(stream);
    let (a, b, c, d, e, f) = (own(), own(), own(), own(), own(), own());
    vec![
        Box::pin(async move { a.read(Guarded::new(10)).await.0 }),
        Box::pin(async move { b.readv(vec![Guarded::new(10), Guarded::new(10)]).await.0 }),
        Box::pin(async move { c.read_exact(Guarded::new(10)).await.0.map(|()| 0) }),
        Box::pin(async move { d.write_all(much()).await.0.map(|()| 0) }),
        Box::pin(async move {
            loop {
                e.writev(vec![much(), much()]).await.0?;
            }
        }),
        Box::pin(async move {
            f.readable().await?;
            f.read(Guarded::new(10)).await.0
        }),
    ]
}
