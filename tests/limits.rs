//! Limits of the process, reached or lowered: descriptors, locked memory.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::time::Duration;

use annulus::fs::{File, RegisteredBuffers};
use annulus::net::{TcpListener, TcpStream};
use annulus::time::sleep;
use annulus::{Builder, Error, Metrics, Runtime, spawn, spawn_blocking};
use support::audit;
use support::child::alone;
use support::data::{assert_same, bytes};
use support::limits::{is_root, lower};
use support::on_real_drivers;

on_real_drivers! {
    because "limits are the machine's":
        a_server_without_descriptors_waits_and_then_serves_all,
        opening_without_descriptors_is_an_error_that_passes,
        a_loop_is_made_with_next_to_no_locked_memory,
        beyond_locked_memory_registered_buffers_are_ordinary_and_say_what_to_raise,
        without_any_locked_memory_it_is_said_what_to_raise;
}

const EMFILE: Option<i32> = Some(libc::EMFILE);

fn metrics() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

/// Leaves room for so many more descriptors. They are numbered from below, so those that are open stay.
fn leave_room_for(more: usize) -> u64 {
    // The lowest number that is free is where the next ones begin.
    let next = std::fs::File::open("/dev/null").unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
    drop(next);
    lower!(libc::RLIMIT_NOFILE, number + more as u64)
}

/// Sends a line and waits for it to come back.
fn is_served(mut client: &StdStream, n: u64) {
    let line = bytes(n, 500);
    client.write_all(&line).unwrap();
    let mut got = vec![0; line.len()];
    client.read_exact(&mut got).unwrap();
    assert_same(&got, &line);
}

fn a_server_without_descriptors_waits_and_then_serves_all(builder: Builder) {
    const CLIENTS: usize = 50;
    const ROOM: usize = 3;
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                // A helper that was used, so that the end of the starvation below needs nothing new.
                spawn_blocking(|| ()).await.unwrap();
                let clients: Vec<_> = (0..CLIENTS).map(|_| StdStream::connect(address).unwrap()).collect();
                leave_room_for(ROOM);

                let (served, refused) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
                let counts = (Rc::clone(&served), Rc::clone(&refused));
                let server = spawn(serve(listener, counts.0, counts.1));

                // Clients that stay hold all descriptors: nothing can be accepted.
                while refused.get() == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(served.get(), ROOM);
                let (before, refused_before) = (metrics(), refused.get());
                while refused.get() < refused_before + 20 {
                    sleep(Duration::from_millis(5)).await;
                }
                let (after, attempts) = (metrics(), refused.get() - refused_before);
                assert_eq!(served.get(), ROOM);
                // Each attempt is one operation. There are two naps about: the server's, and the one above.
                let submitted = after.submitted - before.submitted;
                assert!(submitted <= attempts as u64 + 2, "{submitted} operations, {attempts} attempts");
                let naps = after.timers_fired - before.timers_fired;
                let enters = after.enters - before.enters;
                assert!(enters <= 3 * (naps + submitted) + 10, "it spins: {enters} enters, {naps} naps");

                // One after the other they get what they came for, and go.
                let asking = spawn_blocking(move || {
                    for (n, client) in clients.into_iter().enumerate() {
                        is_served(&client, n as u64);
                    }
                });
                asking.await.unwrap();
                server.await.unwrap();
                assert_eq!(served.get(), CLIENTS);
                println!("{} accepts were refused", refused.get());
            })
            .unwrap();
        assert_eq!(runtime.metrics().stray, 0);
    });
}

/// Serves that many clients as the documentation of `accept` says: waits a little, and goes on.
async fn serve(listener: TcpListener, served: Rc<Cell<usize>>, refused: Rc<Cell<usize>>) {
    while served.get() < 50 {
        match listener.accept().await {
            Ok((stream, _)) => {
                served.set(served.get() + 1);
                drop(spawn(echo(stream)));
            }
            Err(error) => {
                assert_eq!(error.raw_os_error(), EMFILE, "{error}");
                refused.set(refused.get() + 1);
                sleep(Duration::from_millis(5)).await;
            }
        }
    }
}

async fn echo(stream: TcpStream) {
    let mut room = Vec::with_capacity(4096);
    loop {
        let (result, filled) = stream.read(room).await;
        if result.unwrap() == 0 {
            return stream.close().await.unwrap();
        }
        let (result, sent) = stream.write_all(filled).await;
        result.unwrap();
        room = sent;
    }
}

fn opening_without_descriptors_is_an_error_that_passes(builder: Builder) {
    alone(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "there").unwrap();
        let runtime = builder.build().unwrap();
        let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = peer.local_addr().unwrap();
        runtime
            .run(async {
                // All that is started once is started, and closed.
                annulus::fs::read(&path).await.unwrap();
                sleep(Duration::from_millis(10)).await;
                let open = audit::descriptors();
                let before = leave_room_for(0);
                for _ in 0..100 {
                    assert_eq!(File::open(&path).await.unwrap_err().raw_os_error(), EMFILE);
                    assert_eq!(annulus::fs::read(&path).await.unwrap_err().raw_os_error(), EMFILE);
                    assert_eq!(TcpStream::connect(address).await.unwrap_err().raw_os_error(), EMFILE);
                    assert_eq!(TcpListener::bind("127.0.0.1:0").await.unwrap_err().raw_os_error(), EMFILE);
                    // What needs none goes on.
                    assert_eq!(annulus::fs::metadata(&path).await.unwrap().len(), 5);
                    sleep(Duration::from_micros(100)).await;
                }
                lower!(libc::RLIMIT_NOFILE, before);
                assert_eq!(annulus::fs::read(&path).await.unwrap(), b"there");
                TcpStream::connect(address).await.unwrap().close().await.unwrap();
                sleep(Duration::from_millis(10)).await;
                assert_eq!(metrics().in_flight, 0);
                audit::comes_back("descriptors", open, audit::descriptors);
            })
            .unwrap();
    });
}

/// As in a container, or for a user without rights: next to no memory may be locked, and nobody is root. Kernels from
/// 6.14 count rings towards that, by user; what a ring that is gone had is given back a little later.
fn a_loop_is_made_with_next_to_no_locked_memory(builder: Builder) {
    if !is_root() {
        let reason = "the other rings of this user count as well, and to be another one has to be root";
        return support::skipped("a loop with next to no locked memory", reason);
    }
    alone(|| {
        let_nothing_be_locked_but(65536);
        let largest = builder.clone().entries(u32::MAX).completions(u32::MAX);
        for _ in 0..5 {
            echoes(&builder.clone().build().unwrap());
            echoes(&largest.clone().build().unwrap());
        }
    });
}

fn beyond_locked_memory_registered_buffers_are_ordinary_and_say_what_to_raise(builder: Builder) {
    if !is_root() {
        let reason = "the rings of this user count as well, and to be another one has to be root";
        return support::skipped("registered buffers beyond locked memory", reason);
    }
    alone(|| {
        let_nothing_be_locked_but(256 * 1024);
        let body = async {
            let pool = RegisteredBuffers::new(4, 1 << 20).unwrap();
            let refusal = pool.refusal().expect("4 MiB are more than may be locked").to_string();
            let is_ring = Runtime::try_current().unwrap().driver() == "uring";
            println!("{refusal}");
            assert_eq!(is_ring, refusal.contains("ulimit -l") || refusal.contains("5.19"), "{refusal}");
            let file = File::open("/proc/self/status").await.unwrap();
            let (result, buffer) = file.read_at(pool.get().await, 0).await;
            assert!(result.unwrap() > 0 && buffer.starts_with(b"Name:"));
        };
        builder.build().unwrap().run(body).unwrap();
    });
}

fn without_any_locked_memory_it_is_said_what_to_raise(builder: Builder) {
    alone(|| {
        let_nothing_be_locked_but(0);
        match builder.build() {
            Ok(runtime) => echoes(&runtime),
            Err(error) => {
                let text = error.to_string();
                assert!(matches!(error, Error::Refused(_)) && text.contains("ulimit -l"), "{text}");
            }
        }
        // Unless told otherwise it serves all the same.
        if std::env::var_os("ANNULUS_DRIVER").is_none() {
            echoes(&Builder::new().build().unwrap());
        }
    });
}

/// Root may lock what it likes, so it becomes a user who is nobody else.
fn let_nothing_be_locked_but(bytes: u64) {
    lower!(libc::RLIMIT_MEMLOCK, bytes);
    if is_root() {
        let user = 3_000_000_000 + std::process::id();
        // SAFETY: no memory is passed.
        assert_eq!(unsafe { libc::setgid(user) }, 0, "{}", std::io::Error::last_os_error());
        // SAFETY: as above.
        assert_eq!(unsafe { libc::setuid(user) }, 0, "{}", std::io::Error::last_os_error());
    }
    assert!(!is_root());
}

/// Whether the loop serves.
fn echoes(runtime: &Runtime) {
    let served = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(async move { echo(listener.accept().await.unwrap().0).await }));
        spawn_blocking(move || is_served(&StdStream::connect(address).unwrap(), 1)).await.unwrap();
        annulus::fs::read("/dev/null").await.unwrap()
    });
    assert_eq!(served.unwrap(), b"");
}
