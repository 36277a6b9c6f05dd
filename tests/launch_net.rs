//! Connections and the shards that share them: each is given to one shard, whoever was let in is served, and nobody waits for a
//! shard that is gone.

mod support;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use annulus::launch::{Balance, Launch, Launched, OnFailure, Pin, Shard};
use annulus::sync::across::oneshot;
use annulus::{Builder, spawn};

support::on_real_drivers! {
    because "simulated loops of several threads have no network in common":
    connections_are_spread_over_all_shards_and_each_is_served_once,
    an_address_where_somebody_listens_is_refused_and_named,
    an_address_that_is_none_is_told_when_the_launch_starts,
    a_shard_has_its_own_listeners_and_no_others,
    connections_go_round,
    the_shard_with_the_fewest_connections_gets_the_next,
    of_shards_that_have_as_many_the_one_that_accepted_keeps_it,
    the_shard_that_is_least_busy_gets_the_next,
    the_processor_on_which_a_connection_comes_in_chooses,
    what_a_client_sent_at_once_is_read_by_the_shard_it_was_handed_to,
    who_has_connected_before_a_stop_is_served,
    who_waits_at_a_stop_is_served_however_long_that_takes,
    who_is_let_in_while_shards_stop_is_served,
    what_is_dropped_accepts_no_more,
    what_waits_for_a_shard_that_panics_is_served_by_its_next_start,
    nobody_waits_for_a_shard_that_was_let_go,
    who_waits_for_a_shard_that_fails_is_served_by_the_others,
    who_waits_for_a_shard_that_ends_is_served_by_the_others,
    many_who_wait_for_a_shard_that_ends_are_served_by_one_that_is_slow,
    a_shard_that_takes_nothing_is_handed_no_more_than_it_has_room_for,
    many_addresses_are_kept_apart,
    a_launch_that_has_ended_listens_no_more_though_it_is_still_held,
    stopped_shards_leave_no_listener_and_no_descriptor;
}

fn launch(builder: &Builder, shards: usize) -> Launch {
    let builder = Mutex::new(builder.clone());
    annulus::launch()
        .shards(shards)
        .listen("127.0.0.1:0")
        .runtime(move |_, _| builder.lock().unwrap().clone())
}

/// Tells each connection which shard it is, and gives back what it says.
async fn echo(shard: Shard) -> io::Result<usize> {
    let mut incoming = shard.incoming()?;
    let mut served = 0;
    let mut tasks = annulus::task::JoinSet::new();
    while let Some(connection) = incoming.next().await {
        let connection = connection?;
        served += 1;
        let index = shard.index();
        tasks.spawn(async move {
            connection.write_all(vec![index as u8]).await.0?;
            let mut buffer = Vec::with_capacity(1024);
            loop {
                buffer.clear();
                let (count, filled) = connection.read(buffer).await;
                let count = count?;
                if count == 0 {
                    return io::Result::Ok(());
                }
                buffer = connection.write_all(filled).await.1;
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(served)
}

/// A client that has been told by which shard it is served.
struct Client {
    stream: TcpStream,
    shard: usize,
}

fn client(address: SocketAddr) -> Client {
    connected(TcpStream::connect(address).unwrap())
}

fn connected(mut stream: TcpStream) -> Client {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut shard = [0];
    stream.read_exact(&mut shard).unwrap();
    Client { stream, shard: shard[0].into() }
}

impl Client {
    /// What it says comes back.
    fn talks(&mut self) {
        let mut heard = [0; 16];
        self.stream.write_all(b"sixteen bytes!!!").unwrap();
        self.stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"sixteen bytes!!!");
    }
}

fn started(launch: Launch) -> (Launched<usize>, SocketAddr) {
    let launched = launch.start(echo).unwrap();
    assert!(launched.wait_until_ready());
    let address = launched.addresses()[0];
    (launched, address)
}

fn served<T>(launched: Launched<T>) -> Vec<T> {
    launched.stop();
    launched.join().unwrap()
}

/// How many of the clients each shard has.
fn counts(clients: &[Client], shards: usize) -> Vec<usize> {
    (0..shards).map(|shard| clients.iter().filter(|client| client.shard == shard).count()).collect()
}

fn connections_are_spread_over_all_shards_and_each_is_served_once(builder: Builder) {
    let (launched, address) = started(launch(&builder, 3));
    let mut clients: Vec<_> = (0..120).map(|_| client(address)).collect();
    clients.iter_mut().for_each(Client::talks);
    let by_shard = counts(&clients, 3);
    // The kernel's hash: that one has none of 120 happens once in 10^20 times.
    assert!(by_shard.iter().all(|count| *count > 0), "{by_shard:?}");
    drop(clients);
    assert_eq!(served(launched), by_shard);
}

fn an_address_where_somebody_listens_is_refused_and_named(builder: Builder) {
    // Also where that somebody would share it.
    let (launched, address) = started(launch(&builder, 2));
    for shards in [1, 2] {
        let refused = annulus::launch().shards(shards).listen(address).start(echo).unwrap_err();
        let text = refused.to_string();
        assert!(text.contains(&address.to_string()) && text.contains("listens there"), "{text}");
    }
    client(address).talks();
    served(launched);
}

fn an_address_that_is_none_is_told_when_the_launch_starts(_builder: Builder) {
    let refused = annulus::launch().shards(1).listen("no address").start(echo).unwrap_err();
    assert!(refused.shard.is_none(), "{refused}");
    assert!(refused.to_string().contains("HOST:PORT"), "{refused}");
}

fn a_shard_has_its_own_listeners_and_no_others(builder: Builder) {
    let launched = launch(&builder, 2).start(|shard| async move {
        let listeners = shard.listeners(0)?;
        assert_eq!(listeners.len(), 1);
        let error = shard.listeners(1).unwrap_err();
        shard.ready();
        let (stream, _) = listeners[0].accept().await?;
        stream.write_all(vec![shard.index() as u8]).await.0?;
        io::Result::Ok(error.to_string())
    });
    let launched = launched.unwrap();
    assert!(launched.wait_until_ready());
    // Until each has had one.
    let mut streams = Vec::new();
    while !launched.is_finished() && streams.len() < 200 {
        streams.extend(TcpStream::connect_timeout(&launched.addresses()[0], Duration::from_secs(5)));
        thread::sleep(Duration::from_millis(1));
    }
    for text in launched.join().unwrap() {
        assert!(text.contains("fewer addresses"), "{text}");
    }
}

fn connections_go_round(builder: Builder) {
    let (launched, address) = started(launch(&builder, 3).balance(Balance::RoundRobin));
    let mut clients: Vec<_> = (0..90).map(|_| client(address)).collect();
    clients.iter_mut().for_each(Client::talks);
    assert_eq!(counts(&clients, 3), [30, 30, 30]);
    drop(clients);
    assert_eq!(served(launched), [30, 30, 30]);
}

fn the_shard_with_the_fewest_connections_gets_the_next(builder: Builder) {
    let (launched, address) = started(launch(&builder, 2).balance(Balance::LeastConnections));
    let mut clients: Vec<_> = (0..40).map(|_| client(address)).collect();
    assert_eq!(counts(&clients, 2), [20, 20]);
    // All of one shard's go, and it has seen that: the next are its.
    let (gone, left): (Vec<_>, Vec<_>) = clients.drain(..).partition(|client| client.shard == 1);
    drop(gone);
    let begun = Instant::now();
    while launched.shards().connections(1) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "they are not counted out");
        thread::sleep(Duration::from_millis(1));
    }
    let next: Vec<_> = (0..20).map(|_| client(address)).collect();
    assert_eq!(counts(&next, 2), [0, 20]);
    drop((left, next));
    served(launched);
}

fn of_shards_that_have_as_many_the_one_that_accepted_keeps_it(builder: Builder) {
    let (launched, address) = started(launch(&builder, 2).balance(Balance::LeastConnections));
    let mut by_shard = [0; 2];
    for _ in 0..40 {
        by_shard[client(address).shard] += 1;
        let begun = Instant::now();
        while [0, 1].iter().any(|shard| launched.shards().connections(*shard) > 0) {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is not counted out");
            thread::sleep(Duration::from_millis(1));
        }
    }
    // The kernel's hash.
    assert!(by_shard.iter().all(|count| *count > 0), "{by_shard:?}");
    served(launched);
}

fn the_shard_that_is_least_busy_gets_the_next(builder: Builder) {
    if !cfg!(target_os = "linux") {
        println!("skipped: no thread's time is known here");
        return;
    }
    // More shards than processors would share them, and so do other tests.
    let (launched, address) = started(launch(&builder, 2).balance(Balance::LeastBusy).pin(Pin::Never));
    // Without load they are as good, and shared by what each expects.
    let idle: Vec<_> = (0..20).map(|_| client(address)).collect();
    assert_eq!(counts(&idle, 2), [10, 10]);
    // One has to work, a little at a time, so that it goes on to serve.
    let (stop, mut stopped) = oneshot::channel::<()>();
    let works = launched.shards().at(0).spawn(move || async move {
        while stopped.try_recv().is_err() {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(1) {
                std::hint::spin_loop();
            }
            annulus::yield_now().await;
        }
    });
    let begun = Instant::now();
    // Its clock is looked at ten times a second. Where others have the processors it may have had nothing between two looks.
    let mut last = VecDeque::new();
    while last.iter().sum::<usize>() < 16 {
        assert!(begun.elapsed() < Duration::from_secs(75), "the busy one is given connections: {last:?}");
        thread::sleep(Duration::from_millis(120));
        last.push_back(client(address).shard);
        last.drain(..last.len().saturating_sub(20));
    }
    stop.send(()).unwrap();
    works.wait().unwrap();
    drop(idle);
    served(launched);
}

#[cfg(target_os = "linux")]
fn stay_on(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).unwrap();
}

/// How to bind a thread is known of Linux only.
#[cfg(not(target_os = "linux"))]
fn stay_on(_: usize) {}

fn the_processor_on_which_a_connection_comes_in_chooses(builder: Builder) {
    let cpus = annulus::topology::Topology::read().cpus().len();
    if !cfg!(target_os = "linux") || cpus < 2 {
        println!("skipped: the kernel steers on Linux, between two processors or more");
        return;
    }
    let launch = launch(&builder, 2).balance(Balance::Cpu).pin(Pin::Always);
    let launched = launch.start(echo).unwrap();
    assert!(launched.wait_until_ready());
    let address = launched.addresses()[0];
    for shard in 0..2 {
        let cpu =
            launched.shards().at(shard).run(|| Shard::current().unwrap().cpu()).wait().unwrap().unwrap();
        // Over loopback a connection comes in where it was begun.
        let clients = thread::spawn(move || {
            stay_on(cpu);
            (0..20).map(|_| client(address)).collect::<Vec<_>>()
        });
        let mut wanted = [0, 0];
        wanted[shard] = 20;
        assert_eq!(counts(&clients.join().unwrap(), 2), wanted);
    }
    served(launched);
}

fn what_a_client_sent_at_once_is_read_by_the_shard_it_was_handed_to(builder: Builder) {
    let (launched, address) = started(launch(&builder, 2).balance(Balance::RoundRobin));
    let streams: Vec<_> = (0..50)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(format!("number {number:04}").as_bytes()).unwrap();
            stream
        })
        .collect();
    for (number, stream) in streams.into_iter().enumerate() {
        let mut client = connected(stream);
        let mut heard = [0; 11];
        client.stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, *format!("number {number:04}").as_bytes());
    }
    served(launched);
}

/// So many connections to a launch, none of which has asked anything.
fn connect<T>(launched: &Launched<T>, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(launched.addresses()[0]).unwrap()).collect()
}

/// Each is told that, and then comes its end.
fn are_served(clients: Vec<TcpStream>) {
    for (number, mut client) in clients.into_iter().enumerate() {
        let mut heard = String::new();
        client.read_to_string(&mut heard).unwrap_or_else(|error| panic!("client {number}: {error}"));
        assert_eq!(heard, "served", "client {number}");
    }
}

fn who_has_connected_before_a_stop_is_served(builder: Builder) {
    const CLIENTS: usize = 100;
    let launch = launch(&builder, 2).balance(Balance::RoundRobin);
    let launched = launch.start(|shard| async move {
        let mut incoming = shard.incoming()?;
        // Nobody is taken before the stop: they wait here, on their way to the other, and in the kernel.
        shard.stopping().cancelled().await;
        let mut served = 0;
        while let Some(connection) = incoming.next().await {
            connection?.write_all("served").await.0?;
            served += 1;
        }
        io::Result::Ok(served)
    });
    let launched = launched.unwrap();
    assert!(launched.wait_until_ready());
    let clients = connect(&launched, CLIENTS);
    launched.stop();
    are_served(clients);
    assert_eq!(launched.join().unwrap().iter().sum::<usize>(), CLIENTS);
}

fn who_waits_at_a_stop_is_served_however_long_that_takes(builder: Builder) {
    const CLIENTS: usize = 300;
    let launched = launch(&builder, 1).start(|shard| async move {
        let mut incoming = shard.incoming()?;
        shard.stopping().cancelled().await;
        let mut served = 0;
        while let Some(connection) = incoming.next().await {
            // One after the other, and more wait than are taken ahead.
            annulus::time::sleep(Duration::from_millis(2)).await;
            connection?.write_all("served").await.0?;
            served += 1;
        }
        io::Result::Ok(served)
    });
    let launched = launched.unwrap();
    assert!(launched.wait_until_ready());
    let clients = connect(&launched, CLIENTS);
    launched.stop();
    are_served(clients);
    assert_eq!(launched.join().unwrap(), [CLIENTS]);
}

fn what_is_dropped_accepts_no_more(builder: Builder) {
    let launch = launch(&builder, 1);
    let (gone, is_gone) = std::sync::mpsc::channel();
    let gone = Mutex::new(gone);
    let launched = launch.start(move |shard| {
        let gone = gone.lock().unwrap().clone();
        async move {
            let before = shard.incoming()?;
            annulus::yield_now().await;
            drop(before);
            // What it had asked the kernel for is taken back by then.
            annulus::time::sleep(Duration::from_millis(100)).await;
            gone.send(()).unwrap();
            // Another one has them all.
            echo(shard).await
        }
    });
    let launched = launched.unwrap();
    is_gone.recv_timeout(Duration::from_secs(30)).unwrap();
    let address = launched.addresses()[0];
    let mut clients: Vec<_> = (0..20).map(|_| client(address)).collect();
    clients.iter_mut().for_each(Client::talks);
    drop(clients);
    assert_eq!(served(launched), [20]);
}

/// How it went with a connection.
#[derive(Debug, PartialEq, Eq)]
enum Went {
    Served,
    /// It never was one.
    Refused,
}

fn who_is_let_in_while_shards_stop_is_served(builder: Builder) {
    if !cfg!(target_os = "linux") {
        println!("skipped: elsewhere a listener cannot be told to begin no more");
        return;
    }
    const CLIENTS: usize = 4;
    let launched = launch(&builder, 2)
        .start(|shard| async move {
            let mut incoming = shard.incoming()?;
            let mut tasks = annulus::task::JoinSet::new();
            while let Some(connection) = incoming.next().await {
                let connection = connection?;
                tasks.spawn(async move {
                    let (heard, _) = connection.read_exact(Vec::with_capacity(4)).await;
                    heard?;
                    connection.write_all("served").await.0
                });
            }
            while let Some(served) = tasks.join_next().await {
                served??;
            }
            io::Result::Ok(())
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let address = launched.addresses()[0];
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            thread::spawn(move || {
                let mut served = 0;
                loop {
                    match once(address) {
                        Ok(Went::Served) => served += 1,
                        Ok(Went::Refused) => return Ok(served),
                        Err(error) => return Err(error),
                    }
                }
            })
        })
        .collect();
    thread::sleep(Duration::from_millis(100));
    launched.stop();
    launched.join().unwrap();
    for client in clients {
        let served: io::Result<usize> = client.join().unwrap();
        assert!(
            served.as_ref().is_ok_and(|served| *served > 0),
            "who was let in was turned away: {served:?}"
        );
    }
}

fn once(address: SocketAddr) -> io::Result<Went> {
    let mut stream = match TcpStream::connect(address) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(Went::Refused),
        Err(error) => return Err(error),
    };
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"hey!")?;
    let mut heard = [0; 6];
    stream.read_exact(&mut heard)?;
    assert_eq!(&heard, b"served");
    Ok(Went::Served)
}

fn what_waits_for_a_shard_that_panics_is_served_by_its_next_start(builder: Builder) {
    let launched = launch(&builder, 1)
        .on_notice(|_| ())
        .on_failure(OnFailure::restart(3, Duration::from_secs(600)))
        .start(|shard| async move {
            if shard.restarts() == 0 {
                shard.ready();
                // Whoever connects waits in the kernel until the shard is started again.
                shard.reloads().changed().await.unwrap();
                support::quiet::boom("the first start");
            }
            echo(shard).await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let streams = connect(&launched, 30);
    launched.reload();
    streams.into_iter().for_each(|stream| connected(stream).talks());
    assert_eq!(served(launched), [30]);
}

fn nobody_waits_for_a_shard_that_was_let_go(builder: Builder) {
    let (fails, failed) = std::sync::mpsc::channel();
    let fails = Mutex::new(fails);
    let launched = launch(&builder, 3)
        .on_failure(OnFailure::GoOn)
        .on_notice(move |notice| fails.lock().unwrap().send(notice.to_string()).unwrap_or_default())
        .balance(Balance::RoundRobin)
        .start(|shard| async move {
            if shard.index() == 1 {
                let _incoming = shard.incoming()?;
                shard.reloads().changed().await.unwrap();
                return Err(io::Error::other("it has enough"));
            }
            echo(shard).await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    launched.reload();
    while !failed.recv_timeout(Duration::from_secs(30)).unwrap().contains("enough") {}
    let clients: Vec<_> = (0..60)
        .map(|_| {
            let mut client = client(launched.addresses()[0]);
            client.talks();
            client
        })
        .collect();
    // Some may have come in while the third one's socket was being closed, and were given on.
    let by_shard = counts(&clients, 3);
    assert!(by_shard[0] > 20 && by_shard[1] == 0 && by_shard[2] > 20, "{by_shard:?}");
    drop(clients);
    launched.stop();
    launched.outcomes();
}

fn who_waits_for_a_shard_that_fails_is_served_by_the_others(builder: Builder) {
    waiting_for_one_that_is_gone(builder, Err("it has enough"));
}

fn who_waits_for_a_shard_that_ends_is_served_by_the_others(builder: Builder) {
    waiting_for_one_that_is_gone(builder, Ok(0));
}

fn waiting_for_one_that_is_gone(builder: Builder, end: Result<usize, &'static str>) {
    let launched = launch(&builder, 3)
        .on_failure(OnFailure::GoOn)
        .on_notice(|_| ())
        .start(move |shard| async move {
            if shard.index() == 1 {
                // It accepts nothing.
                shard.ready();
                shard.reloads().changed().await.unwrap();
                return end.map_err(io::Error::other);
            }
            echo(shard).await
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let streams = connect(&launched, 90);
    // The others' are answered soon. One that is not yet is taken for one that waits, which does no harm.
    thread::sleep(Duration::from_millis(200));
    let (mut streams, waiting): (Vec<_>, Vec<_>) = streams.into_iter().partition(is_answered);
    let early = streams.len();
    streams.extend(waiting);
    launched.reload();
    let mut clients: Vec<_> = streams.into_iter().map(connected).collect();
    clients.iter_mut().for_each(Client::talks);
    let by_shard = counts(&clients, 3);
    assert!(by_shard[0] > 0 && by_shard[1] == 0 && by_shard[2] > 0, "{by_shard:?}");
    let late = counts(&clients[early..], 3);
    assert!(late[0] > 0 && late[2] > 0, "those who waited are shared by the others: {late:?}");
    let counted = [0, 2].map(|shard| launched.shards().connections(shard));
    assert_eq!(counted, [by_shard[0], by_shard[2]]);
    drop(clients);
    launched.stop();
    launched.outcomes();
}

fn is_answered(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let is_answered = stream.peek(&mut [0]).is_ok();
    stream.set_nonblocking(false).unwrap();
    is_answered
}

fn many_who_wait_for_a_shard_that_ends_are_served_by_one_that_is_slow(builder: Builder) {
    let launched = launch(&builder, 2)
        .start(|shard| async move {
            if shard.index() == 1 {
                shard.ready();
                shard.reloads().changed().await.unwrap();
                return io::Result::Ok(());
            }
            let mut incoming = shard.incoming()?;
            while let Some(connection) = incoming.next().await {
                connection?.write_all("served").await.0?;
                annulus::time::sleep(Duration::from_micros(200)).await;
            }
            Ok(())
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let clients = connect(&launched, 900);
    launched.reload();
    are_served(clients);
    launched.stop();
    launched.join().unwrap();
}

fn a_shard_that_takes_nothing_is_handed_no_more_than_it_has_room_for(builder: Builder) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    if limits < 3000 {
        println!("skipped: it wants 3,000 descriptors, {limits} are permitted");
        return;
    }
    let launched = launch(&builder, 2)
        .balance(Balance::RoundRobin)
        .start(move |shard| {
            let taken = Arc::clone(&counted);
            async move {
                let mut incoming = shard.incoming()?;
                if shard.index() == 1 {
                    shard.stopping().cancelled().await;
                }
                let mut kept = Vec::new();
                while let Some(connection) = incoming.next().await {
                    kept.push(connection?);
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                io::Result::Ok(kept.len())
            }
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let clients = connect(&launched, 1200);
    let begun = Instant::now();
    // The kernel gives each about 600. Of the first one's, 300 are for the other, which has room for some 150: the rest stays where it is.
    while taken.load(Ordering::SeqCst) < 380 {
        assert!(begun.elapsed() < Duration::from_secs(30), "the other one is held up");
        thread::sleep(Duration::from_millis(1));
    }
    let by_shard = served(launched);
    assert_eq!(by_shard.iter().sum::<usize>(), clients.len(), "{by_shard:?}");
}

fn many_addresses_are_kept_apart(builder: Builder) {
    let launched = launch(&builder, 2)
        .listen("127.0.0.1:0")
        .balance(Balance::RoundRobin)
        .start(|shard| async move {
            let serve = |address: usize| {
                let shard = shard.clone();
                async move {
                    let mut incoming = shard.incoming_at(address)?;
                    while let Some(connection) = incoming.next().await {
                        connection?.write_all(vec![address as u8]).await.0?;
                    }
                    io::Result::Ok(())
                }
            };
            let other = spawn(serve(1));
            serve(0).await?;
            other.await?
        })
        .unwrap();
    assert!(launched.wait_until_ready());
    let addresses = launched.addresses();
    assert_ne!(addresses[0], addresses[1]);
    for (number, address) in addresses.iter().cycle().take(40).enumerate() {
        assert_eq!(client(*address).shard, number % 2, "it is told which address that is");
    }
    served(launched);
}

fn a_launch_that_has_ended_listens_no_more_though_it_is_still_held(builder: Builder) {
    let launched = launch(&builder, 2).start(|_| async { io::Result::Ok(()) }).unwrap();
    let begun = Instant::now();
    while !launched.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not end");
        thread::sleep(Duration::from_millis(1));
    }
    let refused = TcpStream::connect(launched.addresses()[0]).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    launched.join().unwrap();
}

fn stopped_shards_leave_no_listener_and_no_descriptor(builder: Builder) {
    support::child::alone(|| {
        let descriptors = || std::fs::read_dir("/dev/fd").unwrap().count();
        // What is made once a process, a runtime's inbox for example, is made here.
        let (launched, _) = started(launch(&builder, 2));
        served(launched);
        let before = descriptors();
        for _ in 0..5 {
            let (launched, address) = started(launch(&builder, 2).balance(Balance::RoundRobin));
            let mut clients: Vec<_> = (0..20).map(|_| client(address)).collect();
            clients.iter_mut().for_each(Client::talks);
            drop(clients);
            served(launched);
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        }
        assert_eq!(descriptors(), before);
    });
}
