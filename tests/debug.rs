//! Debug mode: polls that hold up the loop, with the line that does; operations that nobody awaited; what is still there at the end.
#![allow(unsafe_code)]

mod support;

use std::future::pending;
use std::io::{Read, Write};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::debug::{Frame, Leak, NeverPolled, SlowPoll, Warning};
use annulus::fs::File;
use annulus::net::TcpListener;
use annulus::task;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, yield_now};
use support::child::{again, alone, name, text};
use support::net::pair;
use support::outside::directory;
use support::quiet::{boom, quietly};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    a_poll_below_the_limit_is_not_told,
    a_slow_poll_is_told_while_it_lasts_and_once_more_when_it_is_over,
    operations_that_were_never_awaited_are_told_with_their_line,
    an_operation_that_was_awaited_and_dropped_is_not_told,
    an_operation_that_waited_for_its_tasks_turn_and_was_dropped_is_not_told,
    tasks_that_the_end_stops_are_told,
    what_outlives_its_loop_is_told,
    nothing_is_told_of_a_clean_program,
    nothing_is_told_when_it_is_off,
    a_hook_that_panics_is_told_the_next_warning_all_the_same,
    a_hook_may_use_a_loop_of_its_own,
}

on_real_drivers! {
    because "they are about the machine's signals and threads":
        a_task_that_sleeps_the_thread_is_told_with_its_name_and_the_line_that_blocks,
        each_way_to_block_is_told_by_its_line,
        calls_of_the_standard_library_go_on_after_they_were_looked_at,
        loops_in_several_threads_are_each_told_of_their_own,
        a_loop_that_ends_while_it_is_told_of_tells_all_first,
        the_programs_own_handler_of_the_signal_is_called_as_before,
        the_environment_switches_it_on,
        off_it_starts_no_thread,
        a_loop_in_a_forked_child_ends,
}

/// What a loop was told of.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Warning>>>);

impl Told {
    fn by(&self, builder: Builder) -> Builder {
        let told = Arc::clone(&self.0);
        // A busy machine makes any poll slow: who wants to be told says from when on.
        let builder = builder.debug(true).slow_poll(Duration::from_secs(1000));
        builder.on_warning(move |warning| told.lock().unwrap().push(warning.clone()))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Warning>> {
        self.0.lock().unwrap()
    }

    fn slow(&self) -> Vec<SlowPoll> {
        let of = |warning: &Warning| match warning {
            Warning::SlowPoll(slow) => Some(slow.clone()),
            _ => None,
        };
        self.all().iter().filter_map(of).collect()
    }

    fn never(&self) -> Vec<NeverPolled> {
        let of = |warning: &Warning| match warning {
            Warning::NeverPolled(never) => Some(never.clone()),
            _ => None,
        };
        self.all().iter().filter_map(of).collect()
    }

    fn leaks(&self) -> Vec<Leak> {
        let of = |warning: &Warning| match warning {
            Warning::Leak(leak) => Some(leak.clone()),
            _ => None,
        };
        self.all().iter().filter_map(of).collect()
    }
}

fn is_here(file: Option<&Path>) -> bool {
    file.is_some_and(|file| file.ends_with(file!()))
}

/// The must-show. A machine that is very busy may not let the thread say where it is in time: then it is asked once more.
fn a_task_that_sleeps_the_thread_is_told_with_its_name_and_the_line_that_blocks(builder: Builder) {
    const ATTEMPTS: usize = 5;
    let is_told = (0..ATTEMPTS).any(|_| a_sleeper_is_told_of(builder.clone()));
    assert!(is_told, "the thread says where it is");
}

fn a_sleeper_is_told_of(builder: Builder) -> bool {
    let told = Told::default();
    let runtime = told.by(builder).slow_poll(Duration::from_millis(100)).build().unwrap();
    let (id, spawned, blocks) = runtime
        .run(async {
            let builder = task::Builder::new().name("sleeper");
            let spawned = line!() + 1;
            let sleeper = builder.spawn(async {
                thread::sleep(Duration::from_millis(300));
                line!() - 1
            });
            (sleeper.id(), spawned, sleeper.await.unwrap())
        })
        .unwrap();
    drop(runtime);
    let slow: Vec<_> = told.slow().into_iter().filter(|slow| slow.task().id() == id).collect();
    let [during, over] = &slow[..] else { panic!("{slow:?}") };
    assert!(!during.is_over() && over.is_over());
    for slow in [during, over] {
        assert_eq!((slow.task().name(), slow.task().spawned_at().line()), (Some("sleeper"), spawned));
        assert_eq!(slow.task().spawned_at().file(), file!());
    }
    assert!(during.time() >= Duration::from_millis(100) && during.time() <= over.time());
    assert!(over.time() >= Duration::from_millis(300), "{over}");
    let Some(line) = during.line() else { return false };
    assert!(is_here(line.file()) && line.line() == Some(blocks), "{during}");
    let said = during.to_string();
    let place = format!("\"sleeper\", spawned at {}:{spawned}:", file!());
    assert!(said.contains(&place), "{said}");
    // Cargo runs tests in the package's directory.
    assert!(said.contains(&format!(", at {}:{blocks} in ", file!())), "from here: {said}");
    assert_eq!(said.matches(&format!("{}:{blocks} in ", file!())).count(), 1, "and once: {said}");
    assert!(said.contains(&format!("\n    called by {}:", file!())), "{said}");
    assert!(told.never().is_empty() && told.leaks().is_empty(), "and nothing else: {:?}", told.all());
    true
}

fn a_slow_poll_is_told_while_it_lasts_and_once_more_when_it_is_over(builder: Builder) {
    let (tell, told) = channel();
    let runtime = builder
        .debug(true)
        .slow_poll(Duration::from_millis(30))
        .on_warning(move |warning| drop(tell.send(warning.clone())))
        .build()
        .unwrap();
    let told = Rc::new(told);
    // What is told of one task; a busy machine may make others slow.
    let next = |told: &Receiver<Warning>, id| loop {
        match told.recv_timeout(Duration::from_secs(60)) {
            Ok(Warning::SlowPoll(slow)) if slow.task().id() == id => return slow,
            Ok(_) => {}
            Err(error) => panic!("it is not told: {error}"),
        }
    };
    runtime
        .run(async {
            for _ in 0..3 {
                let telling = Rc::clone(&told);
                // The poll does not end before it has been told of.
                let task = spawn(async move { next(&telling, task::current().unwrap().id()) });
                let id = task.id();
                let slow = task.await.unwrap();
                assert!(!slow.is_over() && slow.time() >= Duration::from_millis(30), "{slow}");
                let over = next(&told, id);
                assert!(over.is_over() && over.time() >= slow.time() && over.frames().is_empty(), "{over}");
            }
        })
        .unwrap();
}

fn a_poll_below_the_limit_is_not_told(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    runtime
        .run(async {
            for _ in 0..10 {
                thread::sleep(Duration::from_millis(10));
                yield_now().await;
            }
            // What is awaited holds up nobody.
            sleep(Duration::from_millis(20)).await;
        })
        .unwrap();
    drop(runtime);
    assert!(told.all().is_empty(), "{:?}", told.all());
}

/// Blocks until `told` has been told of it, and tells at which line it did.
fn each_way_to_block_is_told_by_its_line(builder: Builder) {
    type Way = fn(Duration) -> u32;
    const WAYS: [(&str, Way); 5] = [
        ("sleep", |time| {
            thread::sleep(time);
            line!() - 1
        }),
        ("spin", |time| {
            support::races::spin(time);
            line!() - 1
        }),
        ("join", |time| {
            let other = thread::spawn(move || thread::sleep(time));
            other.join().unwrap();
            line!() - 1
        }),
        ("receive", |time| {
            let (_sender, receiver) = channel::<()>();
            assert!(receiver.recv_timeout(time).is_err());
            line!() - 1
        }),
        ("read", |time| {
            let (mut reader, writer) = end_later(time);
            let mut all = Vec::new();
            assert_eq!(reader.read_to_end(&mut all).unwrap(), 1);
            let line = line!() - 1;
            writer.join().unwrap();
            line
        }),
    ];
    let told = Told::default();
    let runtime = told.by(builder).slow_poll(Duration::from_millis(20)).build().unwrap();
    let lines = runtime
        .run(async {
            let mut lines = Vec::new();
            for (way, block) in WAYS {
                let task =
                    task::Builder::new().name(way).spawn(async move { block(Duration::from_millis(400)) });
                lines.push((way, task.await.unwrap()));
            }
            lines
        })
        .unwrap();
    drop(runtime);
    for (way, line) in lines {
        let slow = told.slow().into_iter().find(|slow| slow.task().name() == Some(way) && !slow.is_over());
        let slow = slow.unwrap_or_else(|| panic!("nothing of {way}"));
        let told = slow.line().unwrap_or_else(|| panic!("no line of {way}"));
        let is_it = |frame: &Frame| is_here(frame.file()) && frame.line() == Some(line);
        // What spins is in a function of its own.
        let found = if way == "spin" { slow.frames().iter().any(is_it) } else { is_it(told) };
        assert!(found, "{way} at line {line}: {slow}");
    }
}

/// A pipe into which a byte comes after so long, and then the end.
fn end_later(time: Duration) -> (std::fs::File, thread::JoinHandle<()>) {
    let (reader, mut writer) = support::pipe::pipe();
    let later = thread::spawn(move || {
        thread::sleep(time);
        writer.write_all(b"x").unwrap();
    });
    (reader.into(), later)
}

fn calls_of_the_standard_library_go_on_after_they_were_looked_at(builder: Builder) {
    const TIME: Duration = Duration::from_millis(150);
    let told = Told::default();
    let runtime = told.by(builder).slow_poll(Duration::from_millis(5)).build().unwrap();
    runtime
        .run(async {
            let start = Instant::now();
            thread::sleep(TIME);
            assert!(start.elapsed() >= TIME);
            yield_now().await;
            // One read(2), and not one that is made again by the standard library.
            let (mut reader, later) = end_later(TIME);
            assert_eq!(reader.read(&mut [0; 8]).unwrap(), 1);
            later.join().unwrap();
            yield_now().await;
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let later = thread::spawn(move || {
                thread::sleep(TIME);
                let mut stream = std::net::TcpStream::connect(address).unwrap();
                thread::sleep(TIME);
                stream.write_all(b"x").unwrap();
            });
            let (mut stream, _) = listener.accept().unwrap();
            yield_now().await;
            assert_eq!(stream.read(&mut [0; 8]).unwrap(), 1);
            later.join().unwrap();
            yield_now().await;
            let mutex = Arc::new(Mutex::new(0));
            let other = Arc::clone(&mutex);
            let (locked, is_locked) = channel();
            let later = thread::spawn(move || {
                let mut number = other.lock().unwrap();
                locked.send(()).unwrap();
                thread::sleep(TIME);
                *number = 1;
            });
            is_locked.recv().unwrap();
            assert_eq!(*mutex.lock().unwrap(), 1);
            later.join().unwrap();
        })
        .unwrap();
    drop(runtime);
    let asked = told.slow().iter().filter(|slow| !slow.frames().is_empty()).count();
    assert!(asked >= 4, "they were looked at: {:?}", told.slow());
}

fn operations_that_were_never_awaited_are_told_with_their_line(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    let lines = runtime
        .run(async {
            let (client, server) = pair().await;
            let directory = directory().await;
            let file = File::create(directory.path().join("file")).await.unwrap();
            let builder = task::Builder::new().name("forgetful");
            let forgets = builder.spawn(async move {
                let mut lines = Vec::new();
                drop(server.read(Vec::with_capacity(8)));
                lines.push(("recv", line!() - 1));
                drop(client.write_all("never sent"));
                lines.push(("send", line!() - 1));
                drop(file.sync_all());
                lines.push(("fsync", line!() - 1));
                drop(annulus::nop());
                lines.push(("nop", line!() - 1));
                // No operations: the compiler warns of those.
                drop(sleep(Duration::from_secs(1)));
                drop(yield_now());
                lines
            });
            forgets.await.unwrap()
        })
        .unwrap();
    drop(runtime);
    let never = told.never();
    assert_eq!(never.len(), lines.len(), "{never:?}");
    for (never, (operation, line)) in never.iter().zip(lines) {
        assert_eq!(
            (never.operation(), never.task().and_then(|task| task.name())),
            (operation, Some("forgetful"))
        );
        let place = never.line().expect("the line is known");
        assert!(is_here(place.file()) && place.line() == Some(line), "{never}");
        let said = never.to_string();
        assert!(
            said.contains("was never awaited") && said.contains(&format!("debug.rs:{line} in ")),
            "{said}"
        );
    }
    assert!(told.leaks().is_empty());
}

fn an_operation_that_was_awaited_and_dropped_is_not_told(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    runtime
        .run(async {
            let (_client, server) = pair().await;
            assert!(timeout(Duration::from_millis(5), server.read(Vec::with_capacity(8))).await.is_err());
            let reads = spawn(async move {
                // The second one waits for the first.
                let both = futures_util::join!(
                    server.read(Vec::with_capacity(8)),
                    server.read(Vec::with_capacity(8))
                );
                drop(both);
            });
            yield_now().await;
            yield_now().await;
            reads.abort();
            assert!(reads.await.is_err());
            let (_client, server) = pair().await;
            // Stopped before it began, which is what was asked for.
            let mut read = server.read(Vec::with_capacity(8));
            read.cancel();
            drop(read);
            // What is dropped by a panic is another mistake.
            let panics = spawn(async move {
                let _read = server.read(Vec::with_capacity(8));
                boom("in a poll");
            });
            assert!(panics.await.unwrap_err().is_panic());
        })
        .unwrap();
    drop(runtime);
    assert!(told.all().is_empty(), "{:?}", told.all());
}

fn an_operation_that_waited_for_its_tasks_turn_and_was_dropped_is_not_told(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    runtime
        .run(async {
            let (_client, server) = pair().await;
            let spends = spawn(async move {
                let (sender, mut receiver) = annulus::sync::mpsc::channel(1);
                let mut read = server.read(Vec::with_capacity(8));
                let mut nop = annulus::nop();
                let mut cx = Context::from_waker(Waker::noop());
                loop {
                    // Until a poll has used up its budget.
                    let mut round = pin!(async {
                        sender.send(()).await.unwrap();
                        receiver.recv().await.unwrap();
                    });
                    if round.as_mut().poll(&mut cx).is_pending() {
                        break;
                    }
                }
                assert!(
                    pin!(&mut read).poll(&mut cx).is_pending() && pin!(&mut nop).poll(&mut cx).is_pending()
                );
            });
            spends.await.unwrap();
        })
        .unwrap();
    drop(runtime);
    assert!(told.all().is_empty(), "{:?}", told.all());
}

fn tasks_that_the_end_stops_are_told(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    let line = runtime
        .run(async {
            let (client, server) = pair().await;
            let named = |name| task::Builder::new().name(name);
            drop(named("reads").spawn(async move {
                let _client = client;
                server.read(Vec::with_capacity(8)).await
            }));
            yield_now().await;
            yield_now().await;
            let aborted = named("aborted").spawn(pending::<()>());
            aborted.abort();
            let builder = named("never polled");
            let line = line!() + 1;
            drop(builder.spawn(async {}));
            line
        })
        .unwrap();
    drop(runtime);
    let leaks = told.leaks();
    let [
        Leak::Task { task: reads, state, never_polled: false, .. },
        Leak::Task { task: never, never_polled: true, .. },
    ] = &leaks[..]
    else {
        panic!("{leaks:?}")
    };
    assert!(reads.name() == Some("reads") && state.starts_with("waits for recv on descriptor "), "{leaks:?}");
    assert_eq!((never.name(), never.spawned_at().line()), (Some("never polled"), line));
    let said: Vec<_> = leaks.iter().map(Leak::to_string).collect();
    assert!(said[0].contains("was stopped by the end of its loop: it waits for recv"), "{said:?}");
    assert!(said[1].contains("before it began"), "{said:?}");
    assert_eq!(told.all().len(), 2, "what its future had is gone with it: {:?}", told.all());
}

fn what_outlives_its_loop_is_told(builder: Builder) {
    let again = builder.clone();
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    let (stream, lease) = runtime
        .run(async {
            let (client, server) = pair().await;
            client.write_all("kept").await.0.unwrap();
            let lease = server.recv().await.unwrap();
            assert_eq!(*lease, *b"kept");
            client.close().await.unwrap();
            (server, lease)
        })
        .unwrap();
    drop(runtime);
    let leaks = told.leaks();
    assert!(matches!(leaks[..], [Leak::Handles(1), Leak::Leases(1)]), "{leaks:?}");
    assert_eq!(*lease, *b"kept", "they may be used all the same");
    drop((stream, lease));

    let told = Told::default();
    let runtime = told.by(again).build().unwrap();
    runtime
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            std::mem::forget(listener);
        })
        .unwrap();
    drop(runtime);
    let leaks = told.leaks();
    assert!(matches!(leaks[..], [Leak::Handles(1)]), "{leaks:?}");
    assert!(leaks[0].to_string().contains("mem::forget"));
}

fn nothing_is_told_of_a_clean_program(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).build().unwrap();
    for _ in 0..2 {
        runtime
            .run(async {
                let (client, server) = pair().await;
                let directory = directory().await;
                let path = directory.path().join("file");
                let file = File::create(&path).await.unwrap();
                file.write_all("text").await.0.unwrap();
                drop(file);
                let echo = spawn(async move {
                    let lease = server.recv().await.unwrap();
                    server.write_all(lease.to_vec()).await.0.unwrap();
                    // The next one is not answered any more.
                    let _ = timeout(Duration::from_millis(5), server.read(vec![0; 8])).await;
                });
                client.write_all("ping").await.0.unwrap();
                assert_eq!(client.read_exact(vec![0; 4]).await.1, b"ping");
                echo.await.unwrap();
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                assert!(timeout(Duration::from_millis(5), listener.accept()).await.is_err());
                let stopped = spawn(sleep(Duration::from_secs(1000)));
                stopped.abort();
                assert!(stopped.await.is_err());
                annulus::spawn_blocking(|| ()).await.unwrap();
                assert_eq!(annulus::fs::read(&path).await.unwrap(), b"text");
                // Some are still being closed when the loop ends, and some asked to stop.
                spawn(async {}).await.unwrap();
            })
            .unwrap();
    }
    drop(runtime);
    assert!(told.all().is_empty(), "{:?}", told.all());
}

fn nothing_is_told_when_it_is_off(builder: Builder) {
    let told = Told::default();
    let runtime = told.by(builder).debug(false).slow_poll(Duration::from_millis(1)).build().unwrap();
    runtime
        .run(async {
            thread::sleep(Duration::from_millis(20));
            drop(annulus::nop());
            drop(spawn(pending::<()>()));
        })
        .unwrap();
    drop(runtime);
    assert!(told.all().is_empty(), "{:?}", told.all());
}

fn a_hook_that_panics_is_told_the_next_warning_all_the_same(builder: Builder) {
    let calls = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&calls);
    let hook = move |_: &Warning| {
        counting.fetch_add(1, Ordering::Relaxed);
        boom("in a hook");
    };
    let runtime = builder.debug(true).on_warning(hook).build().unwrap();
    runtime
        .run(async {
            for _ in 0..3 {
                drop(annulus::nop());
                sleep(Duration::from_millis(5)).await;
            }
        })
        .unwrap();
    assert!(quietly(AssertUnwindSafe(|| drop(runtime))).is_ok());
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}

fn a_hook_may_use_a_loop_of_its_own(builder: Builder) {
    let (tell, told) = channel();
    let hook = move |warning: &Warning| {
        let text = warning.to_string();
        tell.send(annulus::run(async { spawn(async { text }).await.unwrap() }).unwrap()).unwrap();
    };
    let runtime = builder.debug(true).on_warning(hook).build().unwrap();
    runtime.run(async { drop(annulus::nop()) }).unwrap();
    drop(runtime);
    assert!(told.recv().unwrap().contains("never awaited"));
}

fn loops_in_several_threads_are_each_told_of_their_own(builder: Builder) {
    let threads: Vec<_> = (0..4)
        .map(|number: u64| {
            let builder = builder.clone();
            thread::spawn(move || {
                let told = Told::default();
                let runtime = told.by(builder).slow_poll(Duration::from_millis(10)).build().unwrap();
                let name = format!("of {number}");
                for _ in 0..3 {
                    let builder = task::Builder::new().name(&name);
                    runtime
                        .run(async {
                            builder.spawn(async move { blocks_as(number) }).await.unwrap();
                        })
                        .unwrap();
                }
                drop(runtime);
                let slow: Vec<_> =
                    told.slow().into_iter().filter(|slow| slow.task().name() == Some(&*name)).collect();
                assert_eq!(
                    (slow.len(), slow.iter().filter(|slow| slow.is_over()).count()),
                    (6, 3),
                    "{slow:?}"
                );
                for slow in told.slow() {
                    let own = slow.task().name().is_none_or(|of| of == name);
                    assert!(own, "{name} was told of {slow}");
                    let others = |frame: &Frame| {
                        let function = frame.function();
                        (0..4).any(|other| other != number && function.contains(&format!("blocks_{other}")))
                    };
                    assert!(!slow.frames().iter().any(others), "another thread's calls: {slow}");
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A function for each thread, so that its calls tell whose they are.
fn blocks_as(number: u64) {
    #[inline(never)]
    fn blocks_0() {
        thread::sleep(Duration::from_millis(60));
    }
    #[inline(never)]
    fn blocks_1() {
        thread::sleep(Duration::from_millis(70));
    }
    #[inline(never)]
    fn blocks_2() {
        thread::sleep(Duration::from_millis(80));
    }
    #[inline(never)]
    fn blocks_3() {
        thread::sleep(Duration::from_millis(90));
    }
    [blocks_0, blocks_1, blocks_2, blocks_3][number as usize]();
}

fn a_loop_that_ends_while_it_is_told_of_tells_all_first(builder: Builder) {
    for millis in [0, 1, 5, 20, 60] {
        let told = Told::default();
        let runtime = told.by(builder.clone()).slow_poll(Duration::from_millis(10)).build().unwrap();
        runtime
            .run(async move {
                spawn(async {}).await.unwrap();
                thread::sleep(Duration::from_millis(10 + millis));
            })
            .unwrap();
        drop(runtime);
        let slow = told.slow();
        assert_eq!(slow.iter().map(SlowPoll::is_over).collect::<Vec<_>>(), [false, true], "{slow:?}");
    }
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count_signal(_: libc::c_int) {
    SIGNALS.fetch_add(1, Ordering::Relaxed);
}

fn the_programs_own_handler_of_the_signal_is_called_as_before(builder: Builder) {
    alone(|| {
        // SAFETY: the handler touches nothing but an atomic.
        unsafe { libc::signal(libc::SIGURG, count_signal as *const () as libc::sighandler_t) };
        let told = Told::default();
        let runtime = told.by(builder).slow_poll(Duration::from_millis(10)).build().unwrap();
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::raise(libc::SIGURG) }, 0);
        assert_eq!(SIGNALS.load(Ordering::Relaxed), 1, "its own is called");
        runtime.run(async { thread::sleep(Duration::from_millis(100)) }).unwrap();
        drop(runtime);
        assert!(told.slow()[0].line().is_some(), "and ours, too");
    });
}

fn the_environment_switches_it_on(builder: Builder) {
    let test = name();
    for (value, is_on) in [("1", true), ("0", false), ("", false)] {
        let set = |command: &mut std::process::Command| {
            command.env("ANNULUS_DEBUG", value);
        };
        let Some(output) = again(&test, set) else {
            let runtime = builder.build().unwrap();
            runtime
                .run(async {
                    let builder = task::Builder::new().name("sleeper");
                    builder.spawn(async { thread::sleep(Duration::from_millis(300)) }).await.unwrap();
                    drop(annulus::nop());
                    drop(spawn(pending::<()>()));
                })
                .unwrap();
            return;
        };
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        let lines: Vec<_> = said.lines().filter(|line| line.starts_with("annulus: ")).collect();
        if !is_on {
            assert!(lines.is_empty(), "{value:?}: {said}");
            continue;
        }
        // A busy machine may make another poll slow.
        let told =
            |what| lines.iter().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said}"));
        let slow = told("\"sleeper\", spawned at tests/debug.rs:");
        assert!(
            slow.contains("has kept the loop from everything else for") && slow.contains("debug.rs:"),
            "{said}"
        );
        told("the slow poll is over, after");
        told("was never awaited");
        told("was stopped by the end of its loop");
    }
}

fn off_it_starts_no_thread(builder: Builder) {
    alone(|| {
        let lookers = || {
            let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
            let names = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok());
            names.filter(|name| name.trim_end() == "annulus-debug").count()
        };
        // A thread names itself, and is listed for a moment after it was waited for.
        let become_so_many = |wanted| {
            let come = (0..5000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                lookers() == wanted
            });
            assert!(come, "{} threads, and not {wanted}", lookers());
        };
        let runtime = builder.clone().debug(false).build().unwrap();
        runtime.run(sleep(Duration::from_millis(5))).unwrap();
        assert_eq!(lookers(), 0);
        drop(runtime);
        let runtime = builder.debug(true).build().unwrap();
        become_so_many(1);
        runtime.run(sleep(Duration::from_millis(5))).unwrap();
        drop(runtime);
        become_so_many(0);
    });
}

fn a_loop_in_a_forked_child_ends(builder: Builder) {
    alone(|| {
        let told = Told::default();
        let runtime: Runtime = told.by(builder).build().unwrap();
        runtime.run(async { drop(spawn(pending::<()>())) }).unwrap();
        // SAFETY: the child does little, and ends without running what is registered for the end.
        match unsafe { libc::fork() } {
            0 => {
                drop(runtime);
                // SAFETY: ends the process.
                unsafe { libc::_exit(7) }
            }
            child => {
                let mut status = 0;
                // SAFETY: a child of this process, and room for its status. The watchdog ends a wait without end.
                assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
                assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7, "{status}");
                drop(runtime);
                assert_eq!(told.leaks().len(), 1);
            }
        }
    });
}
