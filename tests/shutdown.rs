//! The end of a runtime: it does not hang, it closes what it opened, and it frees nothing that the kernel still has.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::io::{Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn, spawn_blocking, yield_now};
use support::audit;
use support::child::{self, alone};
use support::guarded::{self, Guarded, PATTERN};
use support::net::{pair, with_std_peer};
use support::outside::{Peer, arrival, directory, with_peer};
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    operations_of_every_kind_in_flight_do_not_hold_up_the_end,
    futures_held_outside_may_be_dropped_after_the_end,
    futures_held_outside_are_answered_after_the_end,
    a_file_that_outlives_its_runtime_closes,
    destructors_may_use_the_loop_while_it_ends,
    a_runtime_may_end_with_its_thread,
    a_process_may_exit_amid_operations,
    a_runtime_without_a_run_ends_at_once,
    hundreds_of_connections_end_with_their_runtime,
}

on_real_drivers! {
    because "they end or close when the loop is gone, and somebody else looks on":
        buffers_in_flight_are_freed_at_the_end_and_untouched,
        a_stream_that_outlives_its_runtime_closes,
        a_listener_that_outlives_its_runtime_closes,
        what_was_written_arrives_though_the_runtime_ends;
    because "a helper thread is not waited for":
        what_cannot_be_stopped_is_leaked_within_the_limit,
        a_blocking_closure_that_does_not_return_does_not_hold_up_the_end,
        a_blocking_closure_that_returns_in_time_is_waited_for;
}

fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Begins to connect where nobody answers, for the queue is full: all but the first few connects wait.
async fn connect_in_vain() {
    let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 0).await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..8 {
        drop(spawn(async move {
            let _kept = TcpStream::connect(address).await;
            pending::<()>().await;
        }));
    }
    drop(spawn(async move {
        let _kept = listener;
        pending::<()>().await;
    }));
}

/// Drops the runtime, and says how long that took.
fn end(runtime: Runtime) -> Duration {
    let start = Instant::now();
    drop(runtime);
    start.elapsed()
}

/// Begins operations of every kind, in tasks, most of which would never end.
async fn everything_at_once(keep: &mut Vec<Peer>) {
    let directory = directory().await;
    connect_in_vain().await;
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.unwrap());
    for _ in 0..3 {
        let listener = Rc::clone(&listener);
        drop(spawn(async move { listener.accept().await.map(drop) }));
        let streams = [with_peer().await, with_peer().await];
        for (n, (stream, peer)) in streams.into_iter().enumerate() {
            let stream = Rc::new(stream);
            keep.push(peer);
            if n == 0 {
                let own = Rc::clone(&stream);
                drop(spawn(async move { own.read(Guarded::new(100)).await.0 }));
                let own = Rc::clone(&stream);
                drop(spawn(async move { own.write_all(Guarded::of(&vec![1; 8 << 20])).await.0 }));
                let own = Rc::clone(&stream);
                drop(spawn(async move { own.readable().await }));
                // One in the queue behind the others, and one that was given up.
                drop(spawn(async move { stream.read(Guarded::new(100)).await.0 }));
            } else {
                let own = Rc::clone(&stream);
                drop(spawn(async move { own.readv(vec![Guarded::new(100), Guarded::new(100)]).await.0 }));
                let own = Rc::clone(&stream);
                drop(spawn(async move {
                    own.writev(vec![Guarded::of(&vec![1; 4 << 20]), Guarded::of(&vec![2; 4 << 20])]).await.0
                }));
                let mut given_up = stream.readv(vec![Guarded::new(100)]);
                assert!(begin(&mut given_up).is_pending());
            }
        }
        drop(spawn(sleep(Duration::from_secs(1000))));
        drop(spawn(pending::<()>()));
        drop(spawn(annulus::nop()));
        let path = directory.path().join("file");
        let file = Rc::new(File::options().read(true).write(true).create(true).open(&path).await.unwrap());
        for n in 0..3 {
            let own = Rc::clone(&file);
            drop(spawn(async move { own.write_at(Guarded::of(&[n; 5000]), 0).await.0 }));
            let own = Rc::clone(&file);
            drop(spawn(async move { own.read_at(Guarded::new(5000), 0).await.0 }));
            let own = Rc::clone(&file);
            drop(spawn(async move { own.sync_all().await }));
            let own = Rc::clone(&file);
            drop(spawn(async move { own.metadata().await.map(drop) }));
            drop(spawn(annulus::fs::metadata(path.clone())));
            drop(spawn(annulus::fs::read(path.clone())));
            drop(spawn(File::open(path.clone())));
            drop(spawn(spawn_blocking(|| thread::sleep(Duration::from_millis(5)))));
        }
    }
    // All are polled once, and what can be handed over is.
    yield_now().await;
    yield_now().await;
}

fn operations_of_every_kind_in_flight_do_not_hold_up_the_end(builder: Builder) {
    alone(|| {
        for after in [0, 0, 1, 10] {
            let before = audit::descriptors();
            let mut keep = Vec::new();
            let runtime = builder.clone().build().unwrap();
            runtime
                .run(async {
                    everything_at_once(&mut keep).await;
                    if after > 0 {
                        sleep(Duration::from_millis(after)).await;
                    }
                    assert!(Runtime::try_current().unwrap().metrics().in_flight > 10);
                })
                .unwrap();
            let took = end(runtime);
            assert!(took < Duration::from_secs(2), "{took:?}");
            assert_eq!(guarded::mapped(), 0, "everything was answered, so everything was freed");
            drop(keep);
            audit::comes_back("descriptors", before, audit::descriptors);
        }
    });
}

fn buffers_in_flight_are_freed_at_the_end_and_untouched(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let peers = runtime.run(async {
            let mut peers = Vec::new();
            for _ in 0..200 {
                let (stream, peer) = with_std_peer().await;
                peers.push(peer);
                drop(spawn(async move {
                    let (result, buffer) = stream.read(Guarded::new(4096)).await;
                    panic!("nothing came: {result:?} {:?}", buffer.bytes());
                }));
            }
            sleep(Duration::from_millis(5)).await;
            peers
        });
        assert_eq!(guarded::mapped(), 200);
        let took = end(runtime);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(guarded::mapped(), 0);
        // Data that come now have nowhere to go, and go nowhere: the page is another's by now.
        let others: Vec<_> = (0..200).map(|_| Guarded::new(4096)).collect();
        for mut peer in peers.unwrap() {
            let _ = peer.write(b"too late");
        }
        thread::sleep(Duration::from_millis(20));
        assert!(others.iter().all(|other| other.all().iter().all(|byte| *byte == PATTERN)));
    });
}

/// A read that nothing can stop: by a helper thread, of a pipe that stays empty.
fn what_cannot_be_stopped_is_leaked_within_the_limit(builder: Builder) {
    alone(|| {
        let limit = Duration::from_millis(200);
        let runtime = builder.without_operation("read").shutdown_limit(limit).build().unwrap();
        let (reader, mut writer) = support::pipe::pipe();
        let (held, pipe) = runtime
            .run(async {
                let pipe = Rc::new(File::from_std(reader));
                let own = Rc::clone(&pipe);
                drop(spawn(async move { own.read(Guarded::new(100)).await.0 }));
                let other = support::pipe::pipe();
                let other = (File::from_std(other.0), other.1);
                let mut held = other.0.read(Guarded::new(100));
                assert!(begin(&mut held).is_pending());
                sleep(Duration::from_millis(20)).await;
                ((held, other), pipe)
            })
            .unwrap();
        let took = end(runtime);
        assert!(took >= limit && took < limit + Duration::from_millis(800), "{took:?}");
        assert_eq!(guarded::mapped(), 2, "leaked, not freed");
        // The helper writes into what was leaked, and that is sound.
        writer.write_all(b"after the end").unwrap();
        thread::sleep(Duration::from_millis(20));
        drop(held);
        drop(pipe);
        assert_eq!(guarded::mapped(), 2, "also when the future is dropped later");
    });
}

fn a_blocking_closure_that_does_not_return_does_not_hold_up_the_end(builder: Builder) {
    alone(|| {
        let limit = Duration::from_millis(150);
        let runtime = builder.shutdown_limit(limit).build().unwrap();
        let (begun, has_begun) = annulus::sync::across::oneshot::channel();
        runtime
            .run(async {
                drop(spawn_blocking(|| {
                    begun.send(()).unwrap();
                    thread::sleep(Duration::from_secs(1000));
                }));
                // One that has not could still be taken back.
                has_begun.await.unwrap();
            })
            .unwrap();
        let took = end(runtime);
        assert!(took >= limit && took < limit + Duration::from_millis(800), "{took:?}");
    });
}

fn a_blocking_closure_that_returns_in_time_is_waited_for(builder: Builder) {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (runs, drops) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = builder.helpers_max(1).build().unwrap();
    runtime
        .run(async {
            // The first one runs at the end; the second is not begun, and never is.
            for _ in 0..2 {
                let (runs, value) = (Arc::clone(&runs), Counted(Arc::clone(&drops)));
                drop(spawn_blocking(move || {
                    thread::sleep(Duration::from_millis(100));
                    runs.fetch_add(1, Ordering::SeqCst);
                    value
                }));
            }
            sleep(Duration::from_millis(20)).await;
        })
        .unwrap();
    let took = end(runtime);
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(drops.load(Ordering::SeqCst), 2, "both values are gone, each once");
}

fn futures_held_outside_may_be_dropped_after_the_end(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let before = audit::descriptors();
        let held = runtime
            .run(async {
                let (client, server) = pair().await;
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let (mut read, mut queued) = (server.read(Guarded::new(1)), server.read(Guarded::new(1)));
                let (mut readv, mut accept) = (client.readv(vec![Guarded::new(1)]), listener.accept());
                let (mut nop, mut timer) = (annulus::nop(), sleep(Duration::from_secs(1000)));
                let mut open = Box::pin(File::open("/"));
                assert!(begin(&mut read).is_pending() && begin(&mut queued).is_pending());
                assert!(begin(&mut readv).is_pending() && begin(&mut accept).is_pending());
                assert!(begin(&mut nop).is_pending() && begin(&mut timer).is_pending());
                assert!(begin(&mut open).is_pending());
                let never = client.write(Guarded::of(b"never begun"));
                (client, server, listener, (read, queued, readv, accept, nop, timer, open, never))
            })
            .unwrap();
        assert_eq!(guarded::mapped(), 4);
        let took = end(runtime);
        assert!(took < Duration::from_secs(2), "{took:?}");
        drop(held);
        assert_eq!(guarded::mapped(), 0);
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}

fn futures_held_outside_are_answered_after_the_end(builder: Builder) {
    let runtime = builder.clone().build().unwrap();
    let (mut read, mut queued, mut never, mut ready) = runtime
        .run(async {
            let (client, server) = pair().await;
            let (mut read, mut queued) = (server.read(vec![0; 9]), server.read(vec![0; 9]));
            assert!(begin(&mut read).is_pending() && begin(&mut queued).is_pending());
            let mut ready = client.read(Vec::with_capacity(9));
            assert!(begin(&mut ready).is_pending());
            server.write_all("in time").await.0.unwrap();
            arrival().await;
            (read, queued, client.read(vec![0; 9]), ready)
        })
        .unwrap();
    drop(runtime);
    let cancelled = |polled: Poll<(std::io::Result<usize>, Vec<u8>)>| match polled {
        Poll::Ready((Err(error), buffer)) => {
            assert_eq!(error.raw_os_error(), Some(libc::ECANCELED));
            assert_eq!(buffer.len(), 9, "the buffer comes back");
        }
        other => panic!("{other:?}"),
    };
    cancelled(begin(&mut read));
    match begin(&mut ready) {
        Poll::Ready((Ok(7), buffer)) => assert_eq!(buffer, b"in time"),
        other => panic!("{other:?}"),
    }
    // Also under another loop.
    builder
        .build()
        .unwrap()
        .run(async {
            cancelled(begin(&mut queued));
            cancelled(Poll::Ready((&mut never).await));
        })
        .unwrap();
}

fn a_stream_that_outlives_its_runtime_closes(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (stream, mut peer) = runtime.run(with_std_peer()).unwrap();
    drop(runtime);
    peer.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    assert!(peer.read(&mut [0; 8]).is_err(), "it is open as long as somebody has it");
    assert!(format!("{stream:?}").contains("TcpStream"));
    drop(stream);
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(peer.read(&mut [0; 8]).unwrap(), 0);
}

fn a_listener_that_outlives_its_runtime_closes(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (listener, address) = runtime
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            // A connection that was accepted for nobody goes with it.
            let mut accept = listener.accept();
            assert!(begin(&mut accept).is_pending());
            let _client = std::net::TcpStream::connect(address).unwrap();
            sleep(Duration::from_millis(10)).await;
            drop(accept);
            (listener, address)
        })
        .unwrap();
    drop(runtime);
    std::net::TcpStream::connect(address).unwrap();
    drop(listener);
    assert!(std::net::TcpStream::connect(address).is_err());
}

fn a_file_that_outlives_its_runtime_closes(builder: Builder) {
    alone(|| {
        let before = audit::descriptors();
        let runtime = builder.build().unwrap();
        let file = runtime.run(File::open("/")).unwrap().unwrap();
        drop(runtime);
        drop(file);
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}

fn what_was_written_arrives_though_the_runtime_ends(builder: Builder) {
    let runtime = builder.build().unwrap();
    let mut peer = runtime
        .run(async {
            let (stream, peer) = with_std_peer().await;
            stream.write_all("the last words").await.0.unwrap();
            peer
        })
        .unwrap();
    drop(runtime);
    let mut got = String::new();
    peer.read_to_string(&mut got).unwrap();
    assert_eq!(got, "the last words");
}

/// Uses all of the loop when it is dropped.
struct Meddles(Rc<Cell<bool>>, TcpStream);

impl Drop for Meddles {
    fn drop(&mut self) {
        let mut read = self.1.read(Guarded::new(1));
        let _ = begin(&mut read);
        let mut write = self.1.write("bye");
        let _ = begin(&mut write);
        let mut nop = annulus::nop();
        let _ = begin(&mut nop);
        let mut timer = sleep(Duration::from_secs(1000));
        let _ = begin(&mut timer);
        let mut limited = Box::pin(timeout(Duration::from_secs(1000), pending::<()>()));
        let _ = begin(&mut limited);
        drop(spawn(sleep(Duration::from_secs(1000))));
        drop(spawn_blocking(|| thread::sleep(Duration::from_millis(1))));
        std::mem::forget(timer);
        self.0.set(true);
    }
}

fn destructors_may_use_the_loop_while_it_ends(builder: Builder) {
    alone(|| {
        let before = audit::descriptors();
        let runtime = builder.build().unwrap();
        let used = Rc::new(Cell::new(false));
        let peer = runtime
            .run(async {
                let (stream, peer) = with_peer().await;
                let meddles = Meddles(Rc::clone(&used), stream);
                drop(spawn(async move {
                    let _kept = meddles;
                    pending::<()>().await;
                }));
                yield_now().await;
                peer
            })
            .unwrap();
        let took = end(runtime);
        assert!(used.get());
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(guarded::mapped(), 0);
        drop(peer);
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}

fn a_runtime_may_end_with_its_thread(builder: Builder) {
    thread_local! {
        static FIRST: RefCell<Option<Box<dyn std::any::Any>>> = const { RefCell::new(None) };
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
        static LAST: RefCell<Option<Box<dyn std::any::Any>>> = const { RefCell::new(None) };
    }
    let thread = thread::spawn(move || {
        let runtime = builder.build().unwrap();
        // In either order: destroyed before the runtime, and after it.
        for order in 0..2 {
            let kept = runtime
                .run(async {
                    let (client, server) = pair().await;
                    let mut read = server.read(Guarded::new(1));
                    assert!(begin(&mut read).is_pending());
                    drop(spawn(async move { client.read(Guarded::new(1)).await.0 }));
                    yield_now().await;
                    (server, read, spawn(sleep(Duration::from_secs(1000))))
                })
                .unwrap();
            match order {
                0 => FIRST.replace(Some(Box::new(kept))),
                _ => LAST.replace(Some(Box::new(kept))),
            };
        }
        RUNTIME.replace(Some(runtime));
        Instant::now()
    });
    let done = thread.join().unwrap();
    assert!(done.elapsed() < Duration::from_secs(2));
}

fn a_process_may_exit_amid_operations(builder: Builder) {
    let Some(output) = child::again(&child::name(), |_| ()) else {
        let runtime = builder.build().unwrap();
        let mut keep = Vec::new();
        runtime
            .run(async {
                everything_at_once(&mut keep).await;
                std::process::exit(7);
            })
            .unwrap();
        unreachable!();
    };
    assert_eq!(output.status.code(), Some(7), "{}", child::text(&output.stderr));
}

fn a_runtime_without_a_run_ends_at_once(builder: Builder) {
    assert!(end(builder.build().unwrap()) < Duration::from_secs(1));
}

fn hundreds_of_connections_end_with_their_runtime(builder: Builder) {
    alone(|| {
        let before = audit::descriptors();
        let runtime = builder.entries(16).build().unwrap();
        runtime
            .run(async {
                // The limit on descriptors is often 1024.
                for _ in 0..200 {
                    let (client, server) = pair().await;
                    for stream in [client, server] {
                        drop(spawn(async move {
                            loop {
                                if stream.read(Guarded::new(1)).await.0.is_err() {
                                    return;
                                }
                            }
                        }));
                    }
                }
                sleep(Duration::from_millis(5)).await;
            })
            .unwrap();
        let took = end(runtime);
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(guarded::mapped(), 0);
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}
