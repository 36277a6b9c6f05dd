//! What is about the machine: thousands of connections, descriptors that are used up, shards.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::sync::Mutex;
use std::time::Duration;

use annulus::http;
use annulus::net::TcpListener;
use annulus::time::{sleep, timeout};
use annulus::{Builder, spawn, spawn_blocking};

use crate::served::{App, Client, until};
use crate::support::limits::{limit_descriptors, raise_descriptors};
use crate::support::{child, skipped};

const CROWD: usize = 5000;

/// Asks and reads the answer, on a thread of its own.
async fn asked(address: SocketAddr, path: &'static str) -> String {
    spawn_blocking(move || asks(address, path)).await.unwrap()
}

fn asks(address: SocketAddr, path: &str) -> String {
    let mut stream = StdStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// So many bytes of this process are in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// A crowd that says so much, and what each of it costs. What it costs to have been served once, with `then_dozes`.
fn crowd(builder: Builder, says: &'static [u8], dozes: bool, most: usize) {
    if !cfg!(target_os = "linux") {
        return skipped(&child::name(), "memory is asked of /proc");
    }
    if raise_descriptors() < 2 * CROWD as u64 + 200 {
        return skipped(&child::name(), "there are too few descriptors for 5,000 connections");
    }
    child::alone(|| {
        raise_descriptors();
        let body = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let long = Duration::from_secs(1000);
            let serve = http::serve(listener, App::default()).header_timeout(long).idle_timeout(long);
            let handle = serve.handle();
            let _serving = spawn(serve.into_future());
            let more = |count: usize| {
                spawn_blocking(move || {
                    let connect = |_| {
                        let mut stream = StdStream::connect(address).unwrap();
                        stream.write_all(says).unwrap();
                        if dozes {
                            let mut room = [0; 1024];
                            assert_ne!(stream.read(&mut room).unwrap(), 0);
                        }
                        stream
                    };
                    (0..count).map(connect).collect::<Vec<_>>()
                })
            };
            let settled = async |count: usize| {
                until(|| handle.connections() == count).await;
                if dozes {
                    until(|| handle.counts().dozing == count as u64).await;
                }
                // What was said is read.
                sleep(Duration::from_millis(300)).await;
            };
            // Those before them have what a server needs once.
            let mut clients = more(200).await.unwrap();
            settled(200).await;
            let before = resident();
            clients.extend(more(CROWD).await.unwrap());
            settled(200 + CROWD).await;
            let each = resident().saturating_sub(before) / CROWD;
            println!("{each} bytes a connection");
            assert!(each <= most, "{each} bytes a connection are more than {most}");
            for _ in 0..10 {
                assert!(asked(address, "/others").await.ends_with("GET /others"));
            }
            drop(clients);
            until(|| handle.connections() == 0).await;
        };
        builder.build().unwrap().run(body).unwrap();
    });
}

pub(crate) fn a_crowd_of_5000_slow_heads_is_cheap_and_others_are_served(builder: Builder) {
    crowd(builder, b"GET /slow HTTP/1.1\r\nhost: h\r\nx-slow: ", false, 4 << 10);
}

pub(crate) fn a_crowd_of_5000_who_were_served_and_idle_is_cheap(builder: Builder) {
    crowd(builder, b"GET /once HTTP/1.1\r\nhost: h\r\n\r\n", true, 4 << 10);
}

pub(crate) fn descriptors_that_are_used_up_cost_no_turns_and_who_waits_is_served_later(builder: Builder) {
    child::alone(|| {
        let body = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let errors = Rc::new(Cell::new(0));
            let told = Rc::clone(&errors);
            let serve = http::serve(listener, App::default()).on_error(move |error| {
                assert!(error.to_string().contains("os error 24"), "{error}");
                told.set(told.get() + 1);
            });
            let handle = serve.handle();
            let clients: Vec<_> = (0..20)
                .map(|_| {
                    let mut stream = StdStream::connect(address).unwrap();
                    stream.write_all(b"GET /late HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n").unwrap();
                    stream
                })
                .collect();
            // The number of a descriptor that could be had now.
            let next = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/null").unwrap());
            let before = limit_descriptors(next as u64);
            let serving = spawn(serve.into_future());
            until(|| errors.get() >= 3).await;
            let begun = errors.get();
            sleep(Duration::from_millis(300)).await;
            // Doubled each time from 5 ms on.
            assert!(errors.get() - begun < 10, "{} errors within 300 ms", errors.get() - begun);
            assert_eq!(handle.counts().accepted, 0);
            limit_descriptors(before);
            for mut client in clients {
                let mut answer = String::new();
                let read = spawn_blocking(move || client.read_to_string(&mut answer).map(|_| answer));
                assert!(
                    timeout(Duration::from_secs(60), read)
                        .await
                        .unwrap()
                        .unwrap()
                        .unwrap()
                        .ends_with("/late")
                );
            }
            handle.stop();
            serving.await.unwrap().unwrap();
        };
        builder.build().unwrap().run(body).unwrap();
    });
}

pub(crate) fn the_connections_of_shards_are_served_and_end_in_order(builder: Builder) {
    let builder = Mutex::new(builder);
    let launched = annulus::launch()
        .shards(2)
        .runtime(move |_, _| builder.lock().unwrap().clone())
        .listen("127.0.0.1:0")
        .start(|shard| async move { http::serve(shard.incoming()?, App::default()).await })
        .unwrap();
    let address = launched.addresses()[0];
    for _ in 0..50 {
        assert!(asks(address, "/of-shards").ends_with("GET /of-shards"));
    }
    let mut idle: Vec<_> = (0..4).map(|_| StdStream::connect(address).unwrap()).collect();
    for stream in &mut idle {
        stream.write_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
    }
    launched.stop();
    for mut stream in idle {
        assert_eq!(stream.read(&mut [0; 1024]).unwrap(), 0, "it ends by an end");
    }
    launched.join().unwrap();
}

pub(crate) async fn a_loop_that_stood_still_is_not_the_clients_fault() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = http::serve(listener, App::default()).header_timeout(Duration::from_millis(400));
    let handle = serve.handle();
    let serving = spawn(serve.into_future());
    let mut client = Client::new(annulus::net::TcpStream::connect(address).await.unwrap());
    assert_eq!(client.asks("/first").await.status, 200);
    // So that the board ticks, and for nothing else.
    let _busy = annulus::net::TcpStream::connect(address).await.unwrap();
    until(|| handle.connections() == 2).await;
    sleep(Duration::from_millis(200)).await;
    for _ in 0..3 {
        client.says("GET /begun HTTP/1.1\r\n").await;
        sleep(Duration::from_millis(50)).await;
        // The rest is there in time, and nobody looks.
        client.says("host: h\r\n\r\n").await;
        std::thread::sleep(Duration::from_millis(600));
        assert_eq!(client.answer().await.body, b"GET /begun");
    }
    handle.stop();
    serving.await.unwrap().unwrap();
}
