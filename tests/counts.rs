//! What a message costs, counted: allocations and system calls. Counts, not times, so that they hold everywhere.

#![allow(unsafe_code, reason = "an allocator that counts")]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::OpenOptions;
use annulus::net::{Outgoing, TcpStream, UdpSocket};
use annulus::sync::{Barrier, Event, Mutex, Notify, RwLock, Semaphore, broadcast, mpsc, oneshot, watch};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use support::net::pair;
use support::on_real_drivers;

on_real_drivers! {
    because "what a real driver allocates and asks of the kernel is counted":
        an_echoed_message_costs_no_allocation,
        an_echoed_message_among_many_costs_no_allocation,
        messages_in_leases_cost_no_allocation,
        giving_up_a_read_costs_at_most_two_allocations,
        a_spawned_task_costs_one_allocation,
        yields_wakes_and_timers_cost_no_allocation,
        messages_and_words_between_tasks_cost_no_allocation,
        locks_handed_over_and_values_told_to_many_cost_no_allocation,
        reads_of_a_file_cost_no_allocation,
        a_cached_read_that_is_alone_makes_no_enter,
        what_a_device_answers_later_is_handed_over_while_others_still_ask,
        a_lone_send_takes_no_trip_through_the_ring,
        datagrams_to_and_fro_cost_no_allocation,
        sixty_four_datagrams_are_sent_with_one_call_and_received_with_one,
        sixty_four_busy_connections_share_their_enters;
}

struct Counting;

thread_local! {
    /// Allocations of this thread, so that tests may run side by side.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: passed on to the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on to the caller.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: passed on to the caller.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn allocations() -> u64 {
    ALLOCATIONS.get()
}

fn driver() -> &'static str {
    Runtime::try_current().unwrap().driver()
}

/// Sends back what comes, from one buffer, and counts the messages.
async fn echo(stream: TcpStream, messages: Rc<Cell<u64>>) {
    let mut buffer = Vec::with_capacity(64);
    loop {
        let (result, filled) = stream.read(buffer).await;
        if matches!(result, Ok(0) | Err(_)) {
            return;
        }
        let (result, sent) = stream.write_all(filled).await;
        if result.is_err() {
            return;
        }
        messages.set(messages.get() + 1);
        buffer = sent;
    }
}

/// Sends a message and waits for it to come back, again and again.
async fn ask(stream: TcpStream, stop: Rc<Cell<bool>>) {
    let mut question = vec![7; 64];
    let mut answer = Vec::with_capacity(64);
    while !stop.get() {
        let (result, asked) = stream.write_all(question).await;
        result.unwrap();
        let (result, got) = stream.read_exact(answer).await;
        result.unwrap();
        (question, answer) = (asked, got);
    }
}

/// Lets so many connections echo until so many messages came back, and says what that cost: allocations and enters.
async fn busy(connections: usize, messages_wanted: u64) -> (u64, u64, u64) {
    let (messages, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let mut tasks = Vec::new();
    for _ in 0..connections {
        let (client, server) = pair().await;
        drop(spawn(echo(server, Rc::clone(&messages))));
        tasks.push(spawn(ask(client, Rc::clone(&stop))));
    }
    let until = async |count: u64| {
        while messages.get() < count {
            sleep(Duration::from_millis(1)).await;
        }
    };
    // What grows with use has grown by then.
    until(messages_wanted / 2).await;
    let enters = || Runtime::try_current().unwrap().metrics().enters;
    let before = (messages.get(), allocations(), enters());
    until(before.0 + messages_wanted).await;
    let after = (messages.get(), allocations(), enters());
    stop.set(true);
    for task in tasks {
        task.await.unwrap();
    }
    (after.0 - before.0, after.1 - before.1, after.2 - before.2)
}

async fn an_echoed_message_costs_no_allocation() {
    let (messages, allocations, enters) = busy(1, 2_000).await;
    println!("{}: {messages} messages, {allocations} allocations, {enters} enters", driver());
    assert_eq!(allocations, 0);
}

async fn an_echoed_message_among_many_costs_no_allocation() {
    let (messages, allocations, enters) = busy(32, 10_000).await;
    println!("{}: {messages} messages, {allocations} allocations, {enters} enters", driver());
    assert_eq!(allocations, 0);
}

async fn messages_in_leases_cost_no_allocation() {
    let (client, server) = pair().await;
    let mut question = vec![7; 64];
    for as_a_stream in [false, true] {
        let mut leases = server.recv_stream();
        let mut before = 0;
        for message in 0..600 {
            // What grows with use has grown by then, and each buffer had its turn.
            if message == 200 {
                before = allocations();
            }
            question = client.write_all(question).await.1;
            let lease = match as_a_stream {
                true => leases.next().await.unwrap().unwrap(),
                false => server.recv().await.unwrap(),
            };
            assert_eq!(lease.len(), 64);
            server.write_all(lease).await.0.unwrap();
            assert_eq!(client.recv().await.unwrap().len(), 64);
        }
        let allocations = allocations() - before;
        println!("{}: {allocations} allocations, stream {as_a_stream}", driver());
        assert_eq!(allocations, 0, "stream {as_a_stream}");
    }
}

async fn giving_up_a_read_costs_at_most_two_allocations() {
    let (_client, server) = pair().await;
    let mut buffers: Vec<_> = (0..300).map(|_| Vec::with_capacity(64)).collect();
    let mut one = async || {
        let limited = timeout(Duration::from_micros(10), server.read(buffers.pop().unwrap()));
        assert!(limited.await.is_err());
        yield_now().await;
    };
    for _ in 0..100 {
        one().await;
    }
    let before = allocations();
    for _ in 0..100 {
        one().await;
    }
    let each = (allocations() - before) as f64 / 100.0;
    println!("{}: {each} allocations for a read that is given up", driver());
    assert!(each <= 2.0, "{each}");
}

async fn a_spawned_task_costs_one_allocation() {
    for _ in 0..100 {
        spawn(yield_now()).await.unwrap();
    }
    let before = allocations();
    for n in 0..100u64 {
        assert_eq!(spawn(async move { [n; 8] }).await.unwrap(), [n; 8]);
    }
    assert_eq!(allocations() - before, 100);
}

async fn yields_wakes_and_timers_cost_no_allocation() {
    let round = async || {
        for _ in 0..1000 {
            yield_now().await;
            timeout(Duration::from_secs(1000), yield_now()).await.unwrap();
        }
        for _ in 0..5 {
            sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..100 {
            annulus::nop().await.unwrap();
        }
    };
    round().await;
    let before = allocations();
    round().await;
    assert_eq!(allocations() - before, 0);
}

/// A channel and a word allocate while they grow, and then no more; a oneshot is one allocation for both ends.
async fn messages_and_words_between_tasks_cost_no_allocation() {
    let (questions, mut asked) = mpsc::channel::<u64>(4);
    let (answers, mut answered) = mpsc::unbounded::<u64>();
    let words = Rc::new((Notify::new(), Notify::new()));
    let answering = spawn({
        let words = Rc::clone(&words);
        async move {
            while let Some(question) = asked.recv().await {
                answers.send(question + 1).unwrap();
                words.0.notified().await;
                words.1.notify_one();
            }
        }
    });
    let mut round = async || {
        for question in 0..1000 {
            questions.send(question).await.unwrap();
            answered.recv().await.unwrap();
            words.0.notify_one();
            words.1.notified().await;
            // More senders than places: two wait, give up, and are forgotten.
            let places = [(); 4].map(|()| questions.try_reserve().unwrap());
            {
                let (mut one, mut other) = (pin!(questions.send(7)), pin!(questions.reserve()));
                assert!(futures_util::poll!(&mut one).is_pending());
                assert!(futures_util::poll!(&mut other).is_pending());
            }
            drop(places);
        }
    };
    round().await;
    let before = allocations();
    round().await;
    assert_eq!(allocations() - before, 0);
    drop(questions);
    answering.await.unwrap();

    let before = allocations();
    for value in 0..100 {
        let (sender, receiver) = oneshot::channel();
        sender.send(value).unwrap();
        assert_eq!(receiver.await, Ok(value));
    }
    assert_eq!(allocations() - before, 100);
}

/// Three tasks that want whatever another has, and wait for each other.
async fn locks_handed_over_and_values_told_to_many_cost_no_allocation() {
    struct Shared {
        mutex: Rc<Mutex<u64>>,
        lock: RwLock<u64>,
        semaphore: Semaphore,
        event: Event,
        barrier: Barrier,
        level: watch::Sender<u64>,
        news: broadcast::Sender<u64>,
        turns: Cell<u64>,
    }

    async fn take_part(shared: Rc<Shared>, first: bool, until: u64, at_half: &Cell<u64>) {
        let (mut level, mut news) = (shared.level.subscribe(), shared.news.subscribe());
        for round in 1..=until {
            if first && round == until / 2 {
                at_half.set(allocations());
            }
            shared.barrier.wait().await;
            for _ in 0..10 {
                let mut guard = shared.mutex.lock().await;
                yield_now().await;
                *guard += 1;
                drop(guard);
                *Rc::clone(&shared.mutex).lock_owned().await += 1;
                let permits = shared.semaphore.acquire_many(2).await.unwrap();
                yield_now().await;
                drop(permits);
                *shared.lock.write().await += 1;
                let reads = shared.lock.read().await;
                yield_now().await;
                drop(reads);
            }
            shared.turns.set(shared.turns.get() + 1);
            match shared.turns.get() % 3 {
                0 => {
                    shared.event.set();
                    shared.level.send(round).unwrap();
                    shared.news.send(round).unwrap();
                }
                _ => shared.event.wait().await,
            }
            level.changed().await.unwrap();
            assert_eq!((*level.borrow(), news.recv().await.unwrap()), (round, round));
            shared.barrier.wait().await;
            shared.event.clear();
        }
    }

    let shared = Rc::new(Shared {
        mutex: Rc::default(),
        lock: RwLock::default(),
        semaphore: Semaphore::new(3),
        event: Event::new(),
        barrier: Barrier::new(3),
        level: watch::Sender::new(0),
        news: broadcast::Sender::new(4),
        turns: Cell::new(0),
    });
    let at_half = Rc::new(Cell::new(0));
    let tasks = [true, false, false].map(|first| {
        let (shared, at_half) = (Rc::clone(&shared), Rc::clone(&at_half));
        spawn(async move {
            take_part(shared, first, 200, &at_half).await;
            allocations()
        })
    });
    for task in tasks {
        assert_eq!(task.await.unwrap(), at_half.get());
    }
    assert_eq!(shared.mutex.try_lock().map(|count| *count), Ok(3 * 200 * 20));
}

/// On the loop's own thread; what a helper needs is its own.
async fn reads_of_a_file_cost_no_allocation() {
    let file = annulus::fs::File::open("Cargo.toml").await.unwrap();
    let mut buffer = Vec::with_capacity(64);
    for _ in 0..200 {
        buffer = file.read_at(buffer, 0).await.1;
    }
    let before = allocations();
    for _ in 0..200 {
        let (result, filled) = file.read_at(buffer, 0).await;
        result.unwrap();
        buffer = filled;
    }
    let count = allocations() - before;
    println!("{}: {count} allocations for 200 reads of a file", driver());
    if driver() == "uring" {
        assert_eq!(count, 0);
    } else {
        // Lists that go to and fro between the threads.
        assert!(count <= 2 * 200, "{count}");
    }
}

async fn datagrams_to_and_fro_cost_no_allocation() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let there = server.local_addr().unwrap();
    let (mut question, mut room) = (vec![7; 64], Vec::with_capacity(64));
    let mut one = async |number: u32| {
        let (result, asked) = client.send_to(std::mem::take(&mut question), there).await;
        result.unwrap();
        let (from, got) = match number % 2 {
            0 => {
                let (received, got) = server.recv_from(std::mem::take(&mut room)).await;
                (received.unwrap().from, got)
            }
            // The room for control data is kept as well.
            _ => {
                let (message, got) = server.recv_message(std::mem::take(&mut room)).await;
                (message.unwrap().from, got)
            }
        };
        server.send_to("", from).await.0.unwrap();
        let (received, _) = client.recv(Vec::new()).await;
        assert_eq!(received.unwrap().len, 0);
        (question, room) = (asked, got);
    };
    for number in 0..100 {
        one(number).await;
    }
    let before = allocations();
    for number in 0..100 {
        one(number).await;
    }
    assert_eq!(allocations() - before, 0, "{}", driver());
}

/// A call takes all that is there: how many calls were made is how many answers there were.
async fn sixty_four_datagrams_are_sent_with_one_call_and_received_with_one() {
    const MANY: usize = 64;
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    client.connect(server.local_addr().unwrap()).await.unwrap();
    let submitted = || Runtime::try_current().unwrap().metrics().submitted;
    let mut rooms: Vec<_> = (0..MANY).map(|_| Vec::with_capacity(64)).collect();
    let mut buffers: Vec<_> = (0..MANY).map(|_| vec![7; 64]).collect();
    let mut allocated = 0;
    for round in 0..150 {
        let before = (submitted(), allocations());
        let (sent, given) = client.send_many(buffers.into_iter().map(Outgoing::new)).await;
        assert_eq!(sent.unwrap(), MANY);
        let (messages, filled) = server.recv_many(rooms).await;
        assert_eq!(messages.unwrap().len(), MANY);
        assert_eq!(submitted() - before.0, 2, "one call each");
        if round >= 50 {
            allocated += allocations() - before.1;
        }
        (rooms, buffers) = (filled, given);
    }
    let each = allocated as f64 / 100.0;
    println!("{}: {each} allocations for {MANY} datagrams there and back", driver());
    assert!(each <= 32.0, "{each}: lists, and nothing for each datagram");
}

fn sixty_four_busy_connections_share_their_enters(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (messages, allocations, enters) = runtime.run(busy(64, 20_000)).unwrap();
    let each = messages as f64 / enters as f64;
    println!("{}: {messages} messages, {each:.1} an enter, {allocations} allocations", runtime.driver());
    if runtime.driver() == "uring" {
        assert!(8 * enters <= messages, "{each:.1} messages an enter, and 8 are promised");
    }
    assert_eq!(allocations, 0);
}

/// What is in memory is read past the ring, when nothing else is to be done.
async fn a_cached_read_that_is_alone_makes_no_enter() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, &[7; 4096]).unwrap();
    let file = annulus::fs::File::open(file.path()).await.unwrap();
    let mut buffer = file.read_at(Vec::with_capacity(4096), 0).await.1;
    let before = Runtime::try_current().unwrap().metrics().enters;
    for _ in 0..100 {
        let (count, filled) = file.read_at(buffer, 0).await;
        assert_eq!(count.unwrap(), 4096);
        buffer = filled;
    }
    let enters = Runtime::try_current().unwrap().metrics().enters - before;
    println!("{}: {enters} enters for 100 reads", driver());
    assert!(enters <= 2, "{enters}");
}

/// Sixteen tasks of one batch ask, and the last of them looks what was handed over meanwhile. FIFOs play the slow device.
async fn what_a_device_answers_later_is_handed_over_while_others_still_ask() {
    const TASKS: u64 = 16;
    if driver() != "uring" {
        return println!("skipped: only a ring takes requests that somebody else answers");
    }
    let directory = tempfile::tempdir().unwrap();
    let enters = || Runtime::try_current().unwrap().metrics().enters;
    let mut files = Vec::new();
    for number in 0..TASKS {
        let path = directory.path().join(number.to_string());
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        files.push(Rc::new(OpenOptions::new().read(true).write(true).open(path).await.unwrap()));
    }
    let before = enters();
    let readers: Vec<_> = files
        .iter()
        .cloned()
        .map(|file| spawn(async move { file.read(Vec::with_capacity(1)).await.0 }))
        .collect();
    let last = spawn(async move { enters() - before });
    let made = last.await.unwrap();
    println!("{made} enters while {TASKS} asked");
    assert!(made >= TASKS / 4, "{made}");
    for (file, reader) in files.iter().zip(readers) {
        file.write("x").await.0.unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), 1);
    }
}

/// What a task sends that has the loop to itself goes out with a call of its own; what many send is gathered.
async fn a_lone_send_takes_no_trip_through_the_ring() {
    let (client, _server) = pair().await;
    let submitted = || Runtime::try_current().unwrap().metrics().submitted;
    let send = async |stream: &TcpStream, count: usize| {
        for _ in 0..count {
            stream.write_all("hello").await.0.unwrap();
        }
    };
    yield_now().await;
    let before = submitted();
    send(&client, 100).await;
    let alone = submitted() - before;

    let mut pairs = Vec::new();
    for _ in 0..8 {
        pairs.push(pair().await);
    }
    let before = submitted();
    let tasks: Vec<_> = pairs
        .into_iter()
        .map(|(client, server)| {
            spawn(async move {
                send(&client, 100).await;
                server
            })
        })
        .collect();
    for task in tasks {
        drop(task.await.unwrap());
    }
    let together = submitted() - before;
    println!("{}: {alone} of 100 lone sends were submitted, {together} of 800 of eight tasks", driver());
    // By readiness a submission is a call that is made at once.
    if driver() == "uring" {
        assert_eq!(alone, 0);
        assert!(together > 600, "{together}");
    }
}
