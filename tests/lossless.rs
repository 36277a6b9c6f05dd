//! The great races: gigabytes and thousands of connections, and every wait for them given up again and again.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Metrics, Runtime, spawn, spawn_blocking, yield_now};
use support::audit;
use support::blocks::{BLOCK, Blocks, Compared};
use support::child::alone;
use support::data::{Dice, assert_same, bytes, seed};
use support::net::with_std_peer;
use support::outside::{Peer, directory, elsewhere, elsewhere_with, pause, with_peer};
use support::races::{self, Tally, begin, spin};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_gibibyte_read_by_reads_that_are_dropped_compares_equal,
    reads_that_are_dropped_lose_nothing_where_the_ring_knows_no_receive,
    twenty_thousand_connections_whose_accepts_are_dropped_are_each_accepted_once_or_closed,
    half_of_the_tasks_aborted_leave_descriptors_slots_and_memory_flat,
}

on_real_drivers! {
    because "a thread sends some nanoseconds before or after":
        fifty_thousand_cancels_raced_against_completions_have_one_outcome_each;
}

/// How many blocks are made at once.
const BATCH: usize = 64;

/// Sends so many bytes of `Blocks`, in pieces of all lengths, and pauses now and then. Gives the sum of what it sent.
async fn send_blocks(mut peer: Peer, seed: u64, total: u64) -> u64 {
    peer.set_nodelay();
    let (mut blocks, mut dice) = (Blocks::new(seed), Dice::new(seed + 1));
    let mut batch = Vec::with_capacity(BATCH * BLOCK);
    for _ in 0..total / (BATCH * BLOCK) as u64 {
        batch.clear();
        for _ in 0..BATCH {
            batch.extend_from_slice(blocks.next());
        }
        let mut rest = &batch[..];
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(dice.length(BATCH * BLOCK)));
            peer.write_all(now).await.unwrap();
            rest = later;
            // Reads that have to wait are reads that can lose.
            if dice.below(3) == 0 {
                pause(dice.micros(300)).await;
            }
        }
    }
    blocks.sum()
}

fn race_reads(runtime: &Runtime, total: u64) {
    // What decides in a simulated world is the seed, not how long one waits for luck.
    let total = if support::is_simulated() { total.min(16 << 20) } else { total };
    let seed = seed();
    let mut compared = Compared::new(seed);
    let mut tally = Tally::default();
    let sent = runtime.run(async {
        let (stream, peer) = with_peer().await;
        let sending = elsewhere_with(peer, move |peer| send_blocks(peer, seed, total));
        let mut dice = Dice::new(seed + 2);
        while compared.length() < total {
            races::read(&stream, &mut dice, 256 << 10, &mut tally, |piece| compared.take(piece)).await;
        }
        assert_eq!(stream.read(Vec::with_capacity(1)).await.0.unwrap(), 0, "nothing comes twice");
        sending.await.unwrap()
    });
    let sent = sent.unwrap();
    println!("{} bytes: sum {sent:016x} sent, {:016x} received", compared.length(), compared.sum());
    println!("{tally:?}");
    assert_eq!((compared.length(), compared.sum()), (total, sent));
    let one_in = |part: u64| tally.raced / part;
    assert!(tally.lost > one_in(50) && tally.raced - tally.lost > one_in(50), "a race: {tally:?}");
    assert!(tally.in_flight > one_in(100) && tally.at_hand > one_in(1000), "all that can happen: {tally:?}");
    let metrics = runtime.metrics();
    assert_eq!(
        (metrics.in_flight, metrics.orphans, metrics.stray, metrics.timers),
        (0, 0, 0, 0),
        "{metrics:?}"
    );
}

fn a_gibibyte_read_by_reads_that_are_dropped_compares_equal(builder: Builder) {
    race_reads(&builder.build().unwrap(), 1 << 30);
}

/// There a read is an attempt, a wait for the descriptor, and another attempt.
fn reads_that_are_dropped_lose_nothing_where_the_ring_knows_no_receive(builder: Builder) {
    let builder = builder.without_operation("recv").without_operation("recvmsg");
    race_reads(&builder.build().unwrap(), 64 << 20);
}

const CONNECTIONS: u32 = 20_000;
/// What the server says to the connection of that number.
fn answer(number: u32) -> [u8; 4] {
    (!number).to_le_bytes()
}

/// A client's end, which is gone by a reset, so that no port has to wait.
async fn connect(address: SocketAddr) -> Peer {
    let peer = Peer::connect(address).await.unwrap();
    peer.ends_by_a_reset();
    peer
}

/// How the connections ended, as their clients saw it.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    answered: u32,
    closed: u32,
    /// Gone before an answer, by themselves.
    left: u32,
}

/// Whether the peer has closed. Anything else that an answer of four bytes is none, either.
fn is_closed<T>(read: &std::io::Result<T>) -> bool {
    let ends = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    read.as_ref().is_err_and(|error| ends.contains(&error.kind()))
}

/// Connects again and again, a few at a time, for these numbers.
async fn clients(address: SocketAddr, numbers: impl Iterator<Item = u32>, seed: u64) -> Ends {
    let mut dice = Dice::new(seed);
    let mut numbers = numbers.peekable();
    let mut ends = Ends::default();
    while numbers.peek().is_some() {
        let mut open = Vec::new();
        for number in numbers.by_ref().take(1 + dice.below(16) as usize) {
            let mut stream = connect(address).await;
            if dice.below(16) == 0 {
                ends.left += 1;
                continue;
            }
            stream.write_all(&number.to_le_bytes()).await.unwrap();
            open.push((number, stream));
            if dice.below(8) == 0 {
                pause(dice.micros(200)).await;
            }
        }
        for (number, mut stream) in open {
            let read = stream.read_exact(4).await;
            if is_closed(&read) {
                ends.closed += 1;
            } else {
                let got = read.unwrap_or_else(|error| panic!("connection {number} was forgotten: {error}"));
                assert_eq!(got, answer(number), "of connection {number}");
                ends.answered += 1;
            }
        }
    }
    ends
}

/// What the server's tasks share.
struct Served {
    /// How often each number came.
    numbers: RefCell<Vec<u8>>,
    accepted: Cell<u32>,
    tally: RefCell<Tally>,
}

async fn serve(stream: TcpStream, served: Rc<Served>) {
    let (result, number) = stream.read_exact(Vec::with_capacity(4)).await;
    // Its client has left.
    if result.is_err() {
        return;
    }
    let number = u32::from_le_bytes(number.try_into().unwrap());
    served.numbers.borrow_mut()[number as usize] += 1;
    stream.write_all(answer(number).to_vec()).await.0.unwrap();
}

/// Accepts and gives up, for ever.
async fn keep_accepting(listener: Rc<TcpListener>, served: Rc<Served>, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut tally = Tally::default();
    loop {
        let accepted = races::accept(&listener, &mut dice, &mut tally).await;
        if let Some((stream, _)) = accepted {
            served.accepted.set(served.accepted.get() + 1);
            drop(spawn(serve(stream, Rc::clone(&served))));
        }
        let mut all = served.tally.borrow_mut();
        all.raced += std::mem::take(&mut tally.raced);
        all.lost += std::mem::take(&mut tally.lost);
    }
}

async fn race_accepts(seed: u64) {
    const THREADS: u32 = 4;
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let served = Rc::new(Served {
        numbers: RefCell::new(vec![0; CONNECTIONS as usize]),
        accepted: Cell::new(0),
        tally: RefCell::default(),
    });
    let mut dice = Dice::new(seed);
    let accepting = |seed| spawn(keep_accepting(Rc::clone(&listener), Rc::clone(&served), seed));
    let mut tasks: Vec<_> = (0..3).map(|_| accepting(dice.next())).collect();
    let before = races::metrics().cancels;
    let connecting = (0..THREADS).map(|first| {
        let seed = dice.next();
        elsewhere(move || clients(address, (first..CONNECTIONS).step_by(THREADS as usize), seed))
    });
    let connecting: Vec<_> = connecting.collect();
    // Whole tasks are given up as well, wherever they are.
    while !connecting.iter().all(|thread| thread.is_finished()) {
        sleep(dice.micros(2000)).await;
        let place = dice.below(3) as usize;
        tasks[place].abort();
        tasks[place] = accepting(dice.next());
    }
    let mut ends = Ends::default();
    for thread in connecting {
        let own = thread.await.unwrap();
        ends.answered += own.answered;
        ends.closed += own.closed;
        ends.left += own.left;
    }
    for task in tasks {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    let in_flight = races::metrics().cancels - before;
    println!("{ends:?}; {} accepted", served.accepted.get());
    println!("{:?}, {in_flight} dropped or cancelled in flight", served.tally.borrow());
    assert_eq!(ends.answered + ends.left, CONNECTIONS, "while there is a listener each is served: {ends:?}");
    let numbers = served.numbers.borrow();
    assert!(numbers.iter().all(|times| *times <= 1), "none twice");
    assert_eq!(numbers.iter().map(|times| u32::from(*times)).sum::<u32>(), ends.answered);
    assert!((ends.answered..=CONNECTIONS).contains(&served.accepted.get()));
    let tally = served.tally.borrow();
    assert!(
        tally.lost > u64::from(CONNECTIONS) / 50 && in_flight > u64::from(CONNECTIONS) / 50,
        "a race: {tally:?}"
    );
}

/// A listener goes away while clients are in its queue, and in what a dropped accept left.
async fn leave_clients_behind(dice: &mut Dice) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let pause = async |dice: &mut Dice| match dice.below(4) {
        0 => yield_now().await,
        1 => sleep(dice.micros(200)).await,
        2 => spin(dice.micros(20)),
        _ => {}
    };
    // One that is never polled must not keep anything open.
    let idle = (dice.below(2) == 0).then(|| listener.accept());
    let mut accept = listener.accept();
    let early = dice.below(2) == 0 && begin(&mut accept).is_pending();
    pause(dice).await;
    let mut clients = Vec::new();
    for _ in 0..1 + dice.below(4) {
        clients.push(connect(address).await);
    }
    pause(dice).await;
    let accepted = match early {
        true => None,
        false => match begin(&mut accept) {
            std::task::Poll::Ready(accepted) => Some(accepted.unwrap()),
            std::task::Poll::Pending => None,
        },
    };
    pause(dice).await;
    let kept = match dice.below(3) {
        0 => Some(accept),
        _ => {
            drop(accept);
            pause(dice).await;
            None
        }
    };
    // Closing waits until the operations have ended, for which their futures have to be polled or dropped.
    match kept {
        Some(_) => drop(listener),
        None if dice.below(2) == 0 => drop(listener),
        None => listener.close().await.unwrap(),
    }
    drop((accepted, kept));
    for (place, mut client) in clients.into_iter().enumerate() {
        let read = client.read_exact(1).await;
        assert!(is_closed(&read), "client {place} is left alone: {read:?}");
    }
    drop(idle);
}

fn twenty_thousand_connections_whose_accepts_are_dropped_are_each_accepted_once_or_closed(builder: Builder) {
    alone(|| {
        let outside = audit::descriptors();
        let runtime = builder.build().unwrap();
        let seed = seed();
        // What is made once and kept: helpers, registrations.
        runtime.run(async { leave_clients_behind(&mut Dice::new(seed)).await }).unwrap();
        let before = audit::descriptors();
        runtime.run(race_accepts(seed)).unwrap();
        runtime
            .run(async {
                let mut dice = Dice::new(seed + 1);
                for _ in 0..500 {
                    leave_clients_behind(&mut dice).await;
                }
                sleep(Duration::from_millis(20)).await;
            })
            .unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
        assert_eq!((metrics.alive, metrics.timers), (0, 0), "{metrics:?}");
        drop(runtime);
        audit::comes_back("descriptors without the runtime", outside, audit::descriptors);
    });
}

/// An echo, and what comes back compares equal although every read is raced.
async fn echo_compares_equal(address: SocketAddr, seed: u64) {
    let mut dice = Dice::new(seed);
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_linger(Some(Duration::ZERO)).unwrap();
    let sent = bytes(seed, dice.length(20_000));
    let mut got = Vec::new();
    for chunk in sent.chunks(3000) {
        stream.write_all(chunk.to_vec()).await.0.unwrap();
        let wanted = got.len() + chunk.len();
        while got.len() < wanted {
            let room = Vec::with_capacity(dice.length(4096));
            if let Some((result, piece)) = races::or_given_up(stream.read(room), &mut dice, 200).await {
                assert_ne!(result.unwrap(), 0, "the end came too early");
                got.extend(piece);
            }
        }
    }
    assert_same(&got, &sent);
}

/// A file of its own is written, and compares equal.
async fn file_compares_equal(path: PathBuf, seed: u64) {
    let mut dice = Dice::new(seed);
    let wanted = bytes(seed, dice.length(20_000));
    let file = annulus::fs::File::options().read(true).write(true).create(true).open(&path).await.unwrap();
    for (n, chunk) in wanted.chunks(5000).enumerate() {
        file.write_all_at(chunk.to_vec(), n as u64 * 5000).await.0.unwrap();
    }
    // Given up: no harm to what is read afterwards.
    let _ = races::or_given_up(file.read_at(Vec::with_capacity(5000), 0), &mut dice, 200).await;
    let _ = races::or_given_up(file.metadata(), &mut dice, 200).await;
    assert_same(&annulus::fs::read(&path).await.unwrap(), &wanted);
    annulus::fs::remove_file(&path).await.unwrap();
}

/// Accepts of its own, given up again and again, for a client of its own.
async fn accept_compares_equal(seed: u64) {
    let mut dice = Dice::new(seed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = spawn(TcpStream::connect(listener.local_addr().unwrap()));
    let (server, _) = loop {
        if let Some(accepted) = races::accept(&listener, &mut dice, &mut Tally::default()).await {
            break accepted;
        }
    };
    let client = client.await.unwrap().unwrap();
    client.set_linger(Some(Duration::ZERO)).unwrap();
    server.write_all(bytes(seed, 100)).await.0.unwrap();
    let (result, got) = client.read_exact(Vec::with_capacity(100)).await;
    result.unwrap();
    assert_same(&got, &bytes(seed, 100));
}

/// Things that end by time, and by threads.
async fn waits_end(seed: u64) {
    let mut dice = Dice::new(seed);
    let mut number = annulus::time::interval(Duration::from_micros(100));
    for _ in 0..dice.below(5) {
        let _ = races::or_given_up(number.tick(), &mut dice, 200).await;
    }
    assert!(races::or_given_up(sleep(Duration::from_secs(1000)), &mut dice, 200).await.is_none());
    assert_eq!(spawn_blocking(move || seed).await.unwrap(), seed);
    assert!(timeout(dice.micros(100), std::future::pending::<()>()).await.is_err());
}

const TASKS: usize = 500;

/// Starts tasks of every kind and aborts half of them; the others come to their end. Says how many did.
async fn round_of_tasks(dice: &mut Dice, directory: &Path) -> usize {
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    let echoes = spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            drop(spawn(async move {
                let mut buffer = Vec::with_capacity(4096);
                while let (Ok(1..), read) = stream.read(buffer).await {
                    let (written, given_back) = stream.write_all(read).await;
                    if written.is_err() {
                        return;
                    }
                    buffer = given_back;
                }
            }));
        }
    });
    let start = |n: usize| {
        let seed = dice.next();
        match n % 5 {
            0 | 1 => spawn(echo_compares_equal(address, seed)),
            2 => spawn(file_compares_equal(directory.join(seed.to_string()), seed)),
            3 => spawn(accept_compares_equal(seed)),
            _ => spawn(waits_end(seed)),
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(start).collect();
    // In an order left to chance, some at once, some much later.
    let mut doomed: Vec<usize> = (0..TASKS).filter(|_| dice.below(2) == 0).collect();
    while !doomed.is_empty() {
        let victim = doomed.swap_remove(dice.below(doomed.len() as u64) as usize);
        tasks[victim].abort();
        match dice.below(24) {
            0 => sleep(dice.micros(400)).await,
            1 => yield_now().await,
            _ => {}
        }
    }
    let mut finished = 0;
    for (n, task) in tasks.into_iter().enumerate() {
        match task.await {
            Ok(()) => finished += 1,
            Err(error) => assert!(error.is_cancelled(), "task {n}: {error}"),
        }
    }
    echoes.abort();
    finished
}

fn half_of_the_tasks_aborted_leave_descriptors_slots_and_memory_flat(builder: Builder) {
    // A simulated world takes as long for a few as a machine for many.
    let count = if support::is_simulated() { 8 } else { 20 };
    alone(|| {
        let runtime = builder.build().unwrap();
        let directory = runtime.run(directory()).unwrap();
        let mut dice = Dice::new(seed());
        let mut rounds = || {
            let mut finished = 0;
            for round in 0..count {
                finished += runtime.run(round_of_tasks(&mut dice, directory.path())).unwrap();
                settles(&runtime, round);
            }
            println!("{finished} of {} tasks came to their end", count * TASKS);
            assert!(finished > count * TASKS / 3, "those that are not aborted do");
        };
        // What is made once and kept: helpers, registrations, room for as much as is ever in flight.
        rounds();
        let before = audit::descriptors();
        // A heap that has never been so full grows once; a leak grows each time.
        let flat = (0..3).any(|_| {
            let before = audit::resident();
            rounds();
            let (Some(before), Some(after)) = (before, audit::resident()) else { return true };
            println!("{} KiB before, {} KiB after {count} rounds", before >> 10, after >> 10);
            after < before + (1 << 20)
        });
        assert!(flat, "memory grows with the rounds");
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}

/// Waits for what aborted tasks left to the helpers and to the echoes, and asserts that it leaves nothing.
fn settles(runtime: &Runtime, round: usize) {
    let settled = |metrics: &Metrics| (metrics.alive, metrics.in_flight, metrics.orphans) == (0, 0, 0);
    for _ in 0..1000 {
        if settled(&runtime.metrics()) {
            break;
        }
        runtime.run(sleep(Duration::from_millis(1))).unwrap();
    }
    let metrics = runtime.metrics();
    assert!(settled(&metrics), "round {round}: {metrics:?}");
    assert_eq!((metrics.timers, metrics.stray), (0, 0), "round {round}: {metrics:?}");
}

/// A thread sends a few bytes some nanoseconds before or after a read is asked to stop.
fn fifty_thousand_cancels_raced_against_completions_have_one_outcome_each(builder: Builder) {
    const ROUNDS: u64 = 50_000;
    let seed = seed();
    let runtime = builder.build().unwrap();
    // Which round the reads are at, which one the sender has seen, and whether there will be more.
    let (round, seen) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let pattern = bytes(seed, 65_521);
    let (mut data, mut cancelled, mut received) = (0u64, 0u64, 0usize);
    runtime
        .run(async {
            let (stream, mut peer) = with_std_peer().await;
            peer.set_nodelay(true).unwrap();
            let sending = {
                let (round, seen, over) = (Arc::clone(&round), Arc::clone(&seen), Arc::clone(&over));
                let pattern = pattern.clone();
                thread::spawn(move || {
                    let (mut dice, mut sent) = (Dice::new(seed + 1), 0);
                    while !over.load(Ordering::SeqCst) {
                        let now = round.load(Ordering::SeqCst);
                        if now == seen.load(Ordering::SeqCst) {
                            thread::yield_now();
                            continue;
                        }
                        seen.store(now, Ordering::SeqCst);
                        spin(Duration::from_nanos(dice.below(20_000)));
                        if dice.below(4) > 0 {
                            let length = dice.length(64).min(pattern.len() - sent % pattern.len());
                            let from = sent % pattern.len();
                            peer.write_all(&pattern[from..from + length]).unwrap();
                            sent += length;
                        }
                    }
                    sent
                })
            };
            let mut compare = |piece: &[u8]| {
                for (got, place) in piece.iter().zip(received..) {
                    assert_eq!(*got, pattern[place % pattern.len()], "byte {place}");
                }
                received += piece.len();
            };
            let mut dice = Dice::new(seed + 2);
            for now in 1..=ROUNDS {
                let room = Vec::with_capacity(dice.length(128));
                let lent = (room.as_ptr(), room.capacity());
                let mut outcome = |result: std::io::Result<usize>, given_back: &Vec<u8>| {
                    assert_eq!((given_back.as_ptr(), given_back.capacity()), lent, "the buffer comes back");
                    match result {
                        Ok(count) => {
                            assert!(count > 0 && count == given_back.len());
                            data += 1;
                            compare(given_back);
                        }
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::ECANCELED), "{error}");
                            cancelled += 1;
                        }
                    }
                };
                let (span, turns) = (Duration::from_nanos(dice.below(20_000)), dice.below(3));
                // Where others have the processors the sender would hardly ever be in time.
                let wait = dice.below(64) == 0;
                let pause = async || {
                    while wait && seen.load(Ordering::SeqCst) < now {
                        thread::yield_now();
                    }
                    spin(span);
                    for _ in 0..turns {
                        yield_now().await;
                    }
                };
                if dice.below(4) == 0 {
                    let mut read = stream.readv(vec![room]);
                    assert!(begin(&mut read).is_pending(), "nothing is dropped, so nothing is left");
                    round.store(now, Ordering::SeqCst);
                    pause().await;
                    read.cancel();
                    let (result, mut rooms) = read.await;
                    outcome(result, &rooms.remove(0));
                } else {
                    let mut read = stream.read(room);
                    round.store(now, Ordering::SeqCst);
                    let begun = timeout(Duration::ZERO, &mut read).await;
                    let (result, room) = match begun {
                        Ok(outcome) => outcome,
                        Err(_) => {
                            pause().await;
                            read.cancel();
                            read.await
                        }
                    };
                    outcome(result, &room);
                }
            }
            over.store(true, Ordering::SeqCst);
            let sent = sending.join().unwrap();
            compare(&support::net::read_to_end(&stream).await);
            assert_eq!(received, sent, "no byte is lost");
        })
        .unwrap();
    println!("{ROUNDS} cancels: {data} came too late, {cancelled} in time; {received} bytes");
    // Where others have the processors, one side of a race is late for long.
    assert!(data > 100 && cancelled > 100, "a race: {data} and {cancelled}");
    let metrics = runtime.metrics();
    assert_eq!((metrics.in_flight, metrics.orphans, metrics.stray), (0, 0, 0), "{metrics:?}");
}
