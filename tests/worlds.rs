//! What simulated worlds promise: the same seed gives the same events, time is virtual, links and hosts fail as told.
#![cfg(feature = "sim")]

use std::cell::{Cell, RefCell};
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use annulus::fs::{self, File, OpenOptions};
use annulus::net::{TcpListener, TcpStream};
use annulus::sim::{self, Faults, Host, World};
use annulus::time::{self, sleep, timeout};
use annulus::{Remote, Runtime};
use futures_util::future::join_all;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// Echoes what comes, to as many as come.
async fn echo() -> io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:7").await?;
    loop {
        let (stream, _) = listener.accept().await?;
        drop(annulus::spawn(async move {
            let mut buffer = Vec::with_capacity(512);
            loop {
                buffer.clear();
                let (read, bytes) = stream.read(buffer).await;
                if read? == 0 {
                    return io::Result::Ok(());
                }
                let (written, bytes) = stream.write_all(bytes).await;
                written?;
                buffer = bytes;
            }
        }));
    }
}

/// Says so many words and hears them again; how many came back whole.
async fn say(words: usize) -> io::Result<usize> {
    let stream = TcpStream::connect("echo:7").await?;
    for word in 0..words {
        stream.write_all(format!("word {word:>4}")).await.0?;
        let (result, heard) = stream.read_exact(vec![0; 9]).await;
        result?;
        assert_eq!(heard, format!("word {word:>4}").into_bytes());
    }
    Ok(words)
}

/// A little of everything: connections, files, timers, and random numbers.
fn busy_day(seed: u64) -> (u64, Duration) {
    let world = World::new(seed);
    world.set_faults(&Faults::all().swarm(seed));
    let server = world.host("echo", echo);
    let clients: Vec<Host> =
        (0..3).map(|number| world.host(&format!("client {number}"), sim::idle)).collect();
    world.links().latency(MILLI..20 * MILLI).loss(0.02);
    let tasks: Vec<_> = clients
        .iter()
        .map(|client| {
            client.spawn(async {
                sleep(MILLI * (annulus::random() % 50) as u32).await;
                let said = timeout(60 * SECOND, say(5)).await;
                let kept = fs::write("/said", format!("{said:?}")).await.0;
                let job = annulus::spawn_blocking(|| 6 * 7).await.unwrap();
                (kept.is_ok(), job)
            })
        })
        .collect();
    world.run_for(5 * SECOND);
    server.crash();
    world.run_for(SECOND);
    server.restart();
    world.run_until(|| tasks.iter().all(|task| task.is_finished())).unwrap();
    (world.trace().hash(), world.now())
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let first: Vec<_> = (0..100).map(busy_day).collect();
    let again: Vec<_> = (0..100).map(busy_day).collect();
    assert_eq!(first, again);
    let mut different: Vec<_> = first.iter().map(|(hash, _)| *hash).collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 100, "and another seed gives others");
    let all = first.iter().fold(0u64, |all, (hash, _)| all.rotate_left(7) ^ hash);
    println!("the hash of 100 worlds: {all:016x}");
}

#[test]
fn an_hour_of_sleeps_takes_no_time() {
    let begun = Instant::now();
    let world = World::new(1);
    let host = world.host("sleeper", sim::idle);
    let slept = host
        .run(async {
            let before = time::now();
            for _ in 0..3600 {
                sleep(SECOND).await;
            }
            time::now() - before
        })
        .unwrap();
    assert!(slept >= 3600 * SECOND && slept < 3601 * SECOND, "{slept:?}");
    assert!(begun.elapsed() < 60 * SECOND);
}

#[test]
fn a_sleep_that_was_made_outside_takes_its_time_inside() {
    let world = World::new(1);
    let host = world.host("sleeper", sim::idle);
    host.run(sleep(3600 * SECOND)).unwrap();
    let before = world.now();
    host.run(sleep(SECOND)).unwrap();
    let slept = world.now() - before;
    assert!(slept >= 999 * MILLI && slept < 2 * SECOND, "{slept:?}");
}

#[test]
fn spinning_until_a_deadline_ends() {
    let world = World::new(1);
    let host = world.host("spinner", sim::idle);
    host.run(async {
        let deadline = time::now() + MILLI;
        while time::now() < deadline {}
        let flag = Rc::new(Cell::new(false));
        let other = Rc::clone(&flag);
        drop(annulus::spawn(async move {
            annulus::nop().await.unwrap();
            other.set(true);
        }));
        while !flag.get() {
            annulus::yield_now().await;
        }
    })
    .unwrap();
}

#[test]
fn what_is_said_through_a_bad_link_comes_whole() {
    sim::check(30, |world| {
        let mut faults = Faults::quiet();
        faults.short = 0.5;
        world.set_faults(&faults);
        world.host("echo", echo);
        let client = world.host("client", sim::idle);
        world.run_for(SECOND);
        world.links().latency(MILLI..50 * MILLI).loss(0.1).bandwidth(Some(20_000));
        assert_eq!(client.run(say(20)).unwrap().unwrap(), 20);
    });
}

#[test]
fn a_partition_holds_back_what_is_said_and_loses_nothing() {
    sim::check(30, |world| {
        let server = world.host("echo", echo);
        let client = world.host("client", sim::idle);
        world.run_for(SECOND);
        let said = client.spawn(async {
            let stream = TcpStream::connect("echo:7").await?;
            sleep(SECOND).await;
            stream.write_all("behind the wall").await.0?;
            stream.read_exact(vec![0; 15]).await.0?;
            io::Result::Ok(time::now())
        });
        world.run_for(SECOND / 2);
        let before = world.now();
        world.partition(&[&client], &[&server]);
        world.run_for(20 * SECOND);
        assert!(!said.is_finished());
        world.heal();
        world.run_until(|| said.is_finished()).unwrap();
        assert!(world.now() - before >= 20 * SECOND);
    });
}

#[test]
fn a_partition_that_does_not_heal_ends_a_connection_with_a_time_out() {
    let world = World::new(3);
    let server = world.host("echo", echo);
    let client = world.host("client", sim::idle);
    let said = client.spawn(async {
        let stream = TcpStream::connect("echo:7").await?;
        sleep(SECOND).await;
        stream.write_all("hello?").await.0?;
        stream.read(vec![0; 15]).await.0
    });
    world.run_for(SECOND / 2);
    world.partition(&[&client], &[&server]);
    world.run_until(|| said.is_finished()).unwrap();
    let error = client.run(said).unwrap().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{error}");
    assert!(world.now() > 600 * SECOND, "not before about 15 minutes: {:?}", world.now());
}

#[test]
fn a_crash_takes_what_was_not_synced_and_leaves_what_was() {
    let kept = Cell::new(0);
    sim::check(60, |world| {
        let host = world.host("store", sim::idle);
        host.run(async {
            let file = OpenOptions::new().write(true).create(true).open("/log").await?;
            file.write_all_at(vec![b'a'; 8192], 0).await.0?;
            file.sync_all().await?;
            File::open("/").await?.sync_all().await?;
            file.write_all_at(vec![b'b'; 8192], 8192).await.0
        })
        .unwrap()
        .unwrap();
        host.crash();
        assert!(!host.is_up());
        host.restart();
        assert_eq!(host.names_in("/").unwrap(), ["log", "tmp"]);
        let bytes = host.run(fs::read("/log")).unwrap().unwrap();
        assert!(bytes.len() >= 8192 && bytes[..8192].iter().all(|byte| *byte == b'a'), "what was synced");
        kept.set(kept.get() + usize::from(bytes[8192..].contains(&b'b')));
    });
    assert!((1..60).contains(&kept.get()), "of the rest it is left to chance: {} of 60", kept.get());
}

#[test]
fn a_connection_to_a_host_that_crashed_is_reset_when_it_is_back() {
    sim::check(20, |world| {
        let server = world.host("echo", echo);
        let client = world.host("client", sim::idle);
        world.run_for(SECOND);
        let stream = client.run(TcpStream::connect("echo:7")).unwrap().unwrap();
        server.crash();
        world.run_for(SECOND);
        server.restart();
        let heard = client.run(async move {
            // The first word finds nobody who knows of the connection.
            let _ = stream.write_all("hello?").await;
            stream.read(vec![0; 6]).await.0
        });
        assert_eq!(heard.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(client.run(say(3)).unwrap().unwrap(), 3, "a new one is made");
    });
}

#[test]
fn what_is_killed_leaves_what_it_wrote_and_its_peers_hear_of_it() {
    sim::check(20, |world| {
        let server = world.host("echo", echo);
        let client = world.host("client", sim::idle);
        world.run_for(SECOND);
        let stream = client.run(TcpStream::connect("echo:7")).unwrap().unwrap();
        server.run(fs::write("/note", "not synced")).unwrap().0.unwrap();
        server.kill();
        let heard = client.run(async move { stream.read(vec![0; 6]).await.0 }).unwrap();
        assert!(matches!(heard, Ok(0) | Err(_)), "{heard:?}");
        assert_eq!(server.descriptors(), 0);
        server.restart();
        assert_eq!(server.run(fs::read("/note")).unwrap().unwrap(), b"not synced");
        world.run_for(SECOND);
        assert_eq!(client.run(say(3)).unwrap().unwrap(), 3);
    });
}

#[test]
fn what_a_host_runs_may_crash_it() {
    let world = World::new(5);
    let host = world.host("fragile", sim::idle);
    let itself = host.clone();
    let error = host
        .run(async move {
            itself.crash();
            sleep(SECOND).await;
        })
        .unwrap_err();
    assert!(error.to_string().contains("crashed"), "{error}");
    host.restart();
    host.run(sleep(SECOND)).unwrap();
}

#[test]
fn what_a_host_runs_may_kill_it_and_what_it_wrote_stays() {
    sim::check(20, |world| {
        let host = world.host("fragile", sim::idle);
        let itself = host.clone();
        let ended = host.run(async move {
            fs::write("/note", "not synced").await.0.unwrap();
            itself.kill();
            sleep(SECOND).await;
        });
        assert!(ended.unwrap_err().to_string().contains("crashed") && !host.is_up());
        host.restart();
        assert_eq!(host.run(fs::read("/note")).unwrap().unwrap(), b"not synced");
    });
}

#[test]
fn main_runs_again_after_each_restart() {
    let world = World::new(5);
    let starts = Rc::new(Cell::new(0));
    let counted = Rc::clone(&starts);
    let host = world.host("again", move || {
        counted.set(counted.get() + 1);
        std::future::ready(())
    });
    for _ in 0..3 {
        host.crash();
        host.restart();
    }
    assert_eq!(starts.get(), 4);
}

#[test]
fn clocks_drift_and_are_set_wrong() {
    let world = World::new(1);
    let (right, fast) = (world.host("right", sim::idle), world.host("fast", sim::idle));
    fast.drift_clock(100_000);
    fast.set_wall_clock_ahead(3_600_000_000_000);
    let span = |host: &Host| {
        let before = host.run(async { time::now() }).unwrap();
        world.run_for(10 * SECOND);
        host.run(async move { time::now() - before }).unwrap()
    };
    let (right_span, fast_span) = (span(&right), span(&fast));
    assert!(right_span >= 10 * SECOND && right_span < 10_100 * MILLI, "{right_span:?}");
    assert!(fast_span >= 11 * SECOND && fast_span < 11_100 * MILLI, "{fast_span:?}");
    let of_day = |host: &Host| host.run(async { time::wall_clock() }).unwrap();
    let ahead = of_day(&fast).duration_since(of_day(&right)).unwrap();
    assert!(ahead > 3600 * SECOND && ahead < 3603 * SECOND, "{ahead:?}");
    assert!(of_day(&right) > SystemTime::UNIX_EPOCH + 946_684_800 * SECOND);
}

#[test]
fn a_world_in_which_nothing_can_happen_says_so() {
    let world = World::new(1);
    let host = world.host("waiting", sim::idle);
    let stuck = host.run(std::future::pending::<()>()).unwrap_err();
    assert!(stuck.is_for_ever());
    let text = stuck.to_string();
    assert!(text.contains("nothing can happen") && text.contains("waiting: 1 tasks"), "{text}");
    assert_eq!(format!("{stuck:?}"), text);

    world.set_patience(10 * SECOND);
    let stuck = host.run(sleep(3600 * SECOND)).unwrap_err();
    assert!(!stuck.is_for_ever() && stuck.to_string().contains("patience"), "{stuck}");
}

#[test]
#[should_panic = "the panic of main"]
fn a_panic_of_main_is_the_worlds() {
    let world = World::new(1);
    world.host("wild", || async { panic!("the panic of main") });
    world.run_for(SECOND);
}

#[test]
fn faults_can_be_planned_for_one_connection_and_one_file() {
    let world = World::new(9);
    world.host("echo", echo);
    let client = world.host("client", sim::idle);
    world.run_for(SECOND);
    let (healthy, ill, file) = client
        .run(async {
            let (healthy, ill) = (TcpStream::connect("echo:7").await?, TcpStream::connect("echo:7").await?);
            let mut faults = Faults::none();
            faults.reset = 1.0;
            ill.plan_faults(&faults)?;
            let file = File::create("/ill").await?;
            let mut faults = Faults::none();
            faults.disk_error = 1.0;
            file.plan_faults(&faults)?;
            let healthy = healthy.write_all("word").await.0;
            let ill = ill.read(vec![0; 4]).await.0.map(drop);
            io::Result::Ok((healthy, ill, file.write_at("text", 0).await.0.map(drop)))
        })
        .unwrap()
        .unwrap();
    assert!(healthy.is_ok());
    assert_eq!(ill.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(file.unwrap_err().raw_os_error(), Some(libc::EIO));
}

#[test]
fn a_full_disk_says_so() {
    let world = World::new(9);
    let host = world.host("store", sim::idle);
    host.set_disk_capacity(Some(64 << 10));
    let written = host.run(fs::write("/big", vec![0u8; 1 << 20])).unwrap().0;
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
}

#[test]
fn names_lead_to_hosts_and_unknown_names_to_an_error() {
    let world = World::new(2);
    world.host("echo", echo);
    let client = world.host("client", sim::idle);
    world.run_for(SECOND);
    assert_eq!(client.run(say(1)).unwrap().unwrap(), 1);
    let error = client.run(TcpStream::connect("nobody:7")).unwrap().unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
}

#[test]
fn a_trace_is_text_and_json() {
    let world = World::new(2);
    world.host("echo", echo);
    let client = world.host("client", sim::idle);
    world.run_for(SECOND);
    client.run(say(2)).unwrap().unwrap();
    let trace = world.trace();
    let text = trace.to_string();
    assert!(text.contains("submit    connect") && text.contains("answer    recv"), "{text}");
    assert_eq!(trace.tail(3).lines().count(), 3);
    let json = trace.chrome();
    assert!(json.starts_with("{\"traceEvents\":[") && json.contains("\"ph\":\"b\""), "{json}");
    assert_eq!(json.matches('{').count(), json.matches('}').count());
}

#[test]
fn the_half_that_is_shut_down_ends_and_the_other_goes_on() {
    sim::check(20, |world| {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let into = Rc::clone(&heard);
        world.host("server", move || {
            let into = Rc::clone(&into);
            async move {
                let (stream, _) = TcpListener::bind("0.0.0.0:80").await?.accept().await?;
                loop {
                    let (read, bytes) = stream.read(Vec::with_capacity(100)).await;
                    if read? == 0 {
                        break;
                    }
                    into.borrow_mut().extend(bytes);
                }
                stream.write_all("and good-bye").await.0
            }
        });
        let client = world.host("client", sim::idle);
        world.run_for(SECOND);
        let reply = client.run(async {
            let stream = TcpStream::connect("server:80").await?;
            stream.write_all("the end").await.0?;
            stream.shutdown(Shutdown::Write).await?;
            let (result, reply) = stream.read_exact(vec![0; 12]).await;
            result.map(|()| reply)
        });
        assert_eq!(reply.unwrap().unwrap(), b"and good-bye");
        assert_eq!(*heard.borrow(), b"the end");
    });
}

/// A host asks another's loop, which answers, and crashes after a while.
fn remote_day(seed: u64) -> (u64, Vec<(u32, u64)>) {
    let world = World::new(seed);
    world.set_faults(&Faults::all().swarm(seed));
    let remote: Rc<RefCell<Option<Remote>>> = Rc::default();
    let given = Rc::clone(&remote);
    let server = world.host("server", move || {
        let given = Rc::clone(&given);
        async move {
            given.replace(Some(Runtime::try_current().unwrap().remote()));
            std::future::pending::<()>().await;
        }
    });
    world.run_until(|| remote.borrow().is_some()).unwrap();
    let client = world.host("client", sim::idle);
    let asking = client.spawn(async move {
        let remote = remote.take().unwrap();
        let mut answered = Vec::new();
        loop {
            // Many at once: in which order the other's dice are asked shows in what they say.
            let asked = (1..5).map(|part| {
                remote.spawn(move || async move {
                    let drawn = annulus::random() % 1000;
                    sleep(MILLI * part + Duration::from_nanos(drawn)).await;
                    (part, drawn)
                })
            });
            match join_all(asked.collect::<Vec<_>>()).await.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(drawn) => answered.extend(drawn),
                Err(_) => break,
            }
        }
        assert!(remote.is_closed());
        answered
    });
    world.run_for(SECOND / 10);
    server.crash();
    let answered = client.run(asking).unwrap().unwrap();
    (world.trace().hash(), answered)
}

#[test]
fn what_one_host_asks_of_anothers_loop_is_decided_by_the_seed() {
    for seed in 0..20 {
        let (hash, answered) = remote_day(seed);
        assert!(answered.len() > 10, "seed {seed}: {answered:?}");
        assert_eq!(remote_day(seed), (hash, answered), "seed {seed}");
    }
}
