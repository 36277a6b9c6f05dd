//! Direct descriptors: accepted connections and files in the ring's own table. Nothing that a program sees is different.

mod support;

use std::io::{Read, SeekFrom, Write};
use std::net::{Shutdown, TcpStream as StdStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use annulus::fs::{File, OpenOptions};
use annulus::net::{TcpListener, TcpStream};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn};
use futures_util::FutureExt;
use support::audit;
use support::child::alone;
use support::on_real_drivers;
use support::outside::Peer;

on_real_drivers! {
    because "the table is a ring's":
        connections_take_no_descriptor_of_the_process,
        beyond_the_table_connections_are_kept_as_usual,
        whatever_a_connection_can_do_it_does,
        options_and_names_are_those_of_the_connection,
        a_dropped_accept_loses_no_connection,
        registered_files_take_no_descriptor_of_the_process,
        beyond_the_table_files_are_opened_as_usual,
        whatever_a_file_can_do_a_registered_one_does,
        a_dropped_open_keeps_no_place,
        places_are_used_again,
        a_loop_that_ends_closes_its_table;
}

/// Whether there is a table at all.
fn has_table() -> bool {
    Runtime::try_current().unwrap().driver() == "uring"
}

async fn connections(listener: &TcpListener, count: usize) -> Vec<(Peer, TcpStream)> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!(from, peer.local_addr());
        pairs.push((peer, stream));
    }
    pairs
}

/// What is closed through the ring is closed when the loop has told it, and what was dropped when it was answered.
async fn settle() {
    sleep(Duration::from_millis(20)).await;
    while Runtime::try_current().unwrap().metrics().orphans > 0 {
        sleep(Duration::from_millis(1)).await;
    }
}

async fn is_served((peer, stream): &mut (Peer, TcpStream)) {
    peer.write_all(b"question").await.unwrap();
    let (result, came) = stream.read_exact(Vec::with_capacity(8)).await;
    result.unwrap();
    assert_eq!(came, b"question");
    stream.write_all("answer").await.0.unwrap();
    assert_eq!(peer.read_exact(6).await.unwrap(), b"answer");
}

fn connections_take_no_descriptor_of_the_process(builder: Builder) {
    alone(|| {
        let runtime = builder.direct_descriptors(100).build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                drop(connections(&listener, 1).await);
                settle().await;
                let before = audit::descriptors();
                let pairs = connections(&listener, 50).await;
                let now = audit::descriptors().zip(before).map(|(now, before)| now - before);
                if !has_table() {
                    return println!("skipped: there is no ring");
                }
                let Some(now) = now else { return println!("skipped: nobody tells of descriptors") };
                match now {
                    100 => println!("skipped: this kernel has no table that descriptors can be taken from"),
                    now => assert_eq!(now, 50, "the clients' own"),
                }
                drop(pairs);
            })
            .unwrap();
    });
}

fn beyond_the_table_connections_are_kept_as_usual(builder: Builder) {
    let runtime = builder.direct_descriptors(5).build().unwrap();
    let served = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pairs = connections(&listener, 20).await;
        for pair in &mut pairs {
            is_served(pair).await;
        }
        // Those that are given back are used again, and the listener's stream does the same.
        pairs.drain(..10);
        let mut incoming = listener.incoming();
        for _ in 0..10 {
            let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, from) = incoming.next().await.unwrap().unwrap();
            assert_eq!(from, peer.local_addr());
            pairs.push((peer, stream));
        }
        for pair in &mut pairs {
            is_served(pair).await;
        }
    });
    served.unwrap();
}

fn whatever_a_connection_can_do_it_does(builder: Builder) {
    let run = |builder: Builder| {
        let runtime = builder.build().unwrap();
        let all = async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut pairs = connections(&listener, 2).await;
            let (peer, stream) = &mut pairs[0];
            peer.write_all(b"0123456789").await.unwrap();
            stream.readable().await.unwrap();
            let (result, rooms) = stream.readv(vec![Vec::with_capacity(2), Vec::with_capacity(3)]).await;
            assert_eq!((result.unwrap(), rooms.concat()), (5, b"01234".to_vec()));
            assert_eq!(stream.recv().await.unwrap(), "56789");
            let mut leases = stream.recv_stream();
            peer.write_all(b"more").await.unwrap();
            assert_eq!(leases.next().await.unwrap().unwrap(), "more");
            drop(leases);
            stream.writable().await.unwrap();
            stream.writev(vec!["an", "swer"]).await.0.unwrap();
            assert_eq!(peer.read_exact(6).await.unwrap(), b"answer");
            let (read, write) = pairs.pop().unwrap().1.into_split();
            drop((read, write));
            let (mut peer, stream) = pairs.pop().unwrap();
            let mut read = stream.read(Vec::with_capacity(8));
            assert!((&mut read).now_or_never().is_none());
            read.cancel();
            assert_eq!(read.await.0.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            stream.shutdown(Shutdown::Write).await.unwrap();
            assert!(peer.read_exact(1).await.is_err(), "the end");
            peer.write_all(b"the last").await.unwrap();
            assert_eq!(stream.read_exact(vec![0; 8]).await.1, b"the last");
            stream.close().await.unwrap();
        };
        runtime.run(async { timeout(Duration::from_secs(20), all).await.expect("an end") }).unwrap();
    };
    run(builder.clone().direct_descriptors(10));
    // What the ring does not know is done with a descriptor that is made for it.
    for name in ["recv", "send", "recv_lease", "recv_often", "close", "shutdown", "recvmsg", "sendmsg"] {
        run(builder.clone().direct_descriptors(10).without_operation(name));
    }
}

fn options_and_names_are_those_of_the_connection(builder: Builder) {
    let runtime = builder.direct_descriptors(10).build().unwrap();
    let asked = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut pairs = connections(&listener, 3).await;
        for (peer, stream) in &mut pairs {
            stream.set_nodelay(true).unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(stream.local_addr().unwrap(), listener.local_addr().unwrap());
            assert_eq!(stream.peer_addr().unwrap(), peer.local_addr());
        }
        for pair in &mut pairs {
            is_served(pair).await;
        }
        let (mut peer, stream) = pairs.pop().unwrap();
        // Out of the table, and back as usual.
        let (other_peer, other) = pairs.pop().unwrap();
        let (std, bytes) = other.into_std().await.unwrap();
        assert!(bytes.is_empty());
        assert_eq!(std.peer_addr().unwrap(), other_peer.local_addr());
        is_served(&mut (other_peer, TcpStream::from_std(std).unwrap())).await;
        stream.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        let ended = peer.read_exact(1).await.unwrap_err();
        assert_eq!(ended.kind(), std::io::ErrorKind::ConnectionReset);
    });
    asked.unwrap();
}

fn a_dropped_accept_loses_no_connection(builder: Builder) {
    let runtime = builder.direct_descriptors(10).build().unwrap();
    let served = runtime.run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for round in 0..100 {
            let mut accept = listener.accept();
            assert!((&mut accept).now_or_never().is_none());
            if round % 2 == 0 {
                annulus::yield_now().await;
            }
            let peer = Peer::connect(listener.local_addr().unwrap()).await.unwrap();
            if round % 3 == 0 {
                annulus::yield_now().await;
            }
            drop(accept);
            let (stream, from) = listener.accept().await.unwrap();
            assert_eq!(from, peer.local_addr());
            is_served(&mut (peer, stream)).await;
        }
    });
    served.unwrap();
}

fn places_are_used_again(builder: Builder) {
    alone(|| {
        let runtime = builder.direct_descriptors(8).build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let before = audit::descriptors();
                for round in 0..200 {
                    let mut pairs = connections(&listener, 4).await;
                    if round % 2 == 0 {
                        pairs[0].1.set_nodelay(true).unwrap();
                    }
                    is_served(&mut pairs[round % 4]).await;
                }
                settle().await;
                audit::comes_back("descriptors", before, audit::descriptors);
            })
            .unwrap();
    });
}

fn a_loop_that_ends_closes_its_table(builder: Builder) {
    let runtime = builder.direct_descriptors(8).build().unwrap();
    let (mut client, stream) = runtime
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            // It has a descriptor of the process's as well.
            stream.set_nodelay(true).unwrap();
            drop(spawn(async { std::future::pending::<()>().await }));
            (client, stream)
        })
        .unwrap();
    client.write_all(b"unread").unwrap();
    drop(runtime);
    drop(stream);
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The kernel clears the ring away, and may interrupt the call by that.
    let end = loop {
        match client.read(&mut [0; 8]) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            end => break end,
        }
    };
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(matches!(&end, Ok(0)) || end.as_ref().is_err_and(reset), "{end:?}");
}

async fn registered(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).registered(true).open(path).await.unwrap()
}

fn registered_files_take_no_descriptor_of_the_process(builder: Builder) {
    alone(|| {
        let runtime = builder.direct_descriptors(20).build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        runtime
            .run(async {
                drop(registered(&path).await);
                settle().await;
                let Some(before) = audit::descriptors().filter(|_| has_table()) else {
                    return println!("skipped: there is no ring, or nobody tells of descriptors");
                };
                let mut files = Vec::new();
                for _ in 0..20 {
                    files.push(registered(&path).await);
                }
                let more = audit::descriptors().unwrap() - before;
                if more == 20 {
                    return println!("skipped: this kernel has no table that descriptors can be taken from");
                }
                assert_eq!(more, 0);
                files[7].write_all_at("hello", 3).await.0.unwrap();
                let (result, read) = files[19].read_exact_at(Vec::with_capacity(5), 3).await;
                assert_eq!((result.unwrap(), &read[..]), ((), &b"hello"[..]));
                assert_eq!(audit::descriptors(), Some(before), "nor do transfers");
            })
            .unwrap();
    });
}

fn beyond_the_table_files_are_opened_as_usual(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    for places in [0, 2] {
        let runtime = builder.clone().direct_descriptors(places).build().unwrap();
        let path = directory.path().join("file");
        let body = async {
            let mut files = Vec::new();
            for number in 0..5 {
                files.push(registered(&path).await);
                files[number].write_all_at(number.to_string(), number as u64).await.0.unwrap();
            }
            for file in files {
                assert_eq!(file.read_at(Vec::with_capacity(9), 0).await.1, b"01234");
            }
        };
        runtime.run(body).unwrap();
    }
}

fn whatever_a_file_can_do_a_registered_one_does(builder: Builder) {
    let runtime = builder.direct_descriptors(8).build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (path, other) = (directory.path().join("file"), directory.path().join("other"));
    let body = async {
        let file = registered(&path).await;
        file.write_all("hello ").await.0.unwrap();
        file.write_all("world").await.0.unwrap();
        assert_eq!(file.metadata().await.unwrap().len(), 11);
        file.set_len(8).await.unwrap();
        file.allocate(0, 4096).await.unwrap();
        file.sync_all().await.unwrap();
        assert_eq!(file.seek(SeekFrom::Start(6)).await.unwrap(), 6);
        let (count, read) = file.read(Vec::with_capacity(2)).await;
        assert_eq!((count.unwrap(), &read[..]), (2, &b"wo"[..]));
        file.lock().await.unwrap();
        file.unlock().await.unwrap();
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).await.unwrap();
        assert_eq!(file.read_lease(0).await.unwrap()[..8], b"hello wo"[..]);
        let (result, parts) = file.readv_at(vec![Vec::with_capacity(5), Vec::with_capacity(3)], 0).await;
        assert_eq!((result.unwrap(), parts), (8, vec![b"hello".to_vec(), b" wo".to_vec()]));

        // Both ends of a copy, a link, a duplicate, and one that leaves.
        let target = registered(&other).await;
        assert_eq!(file.copy_range(0, &target, 0, 5).await.unwrap(), 5);
        assert_eq!(annulus::fs::read(&other).await.unwrap(), b"hello");
        target.try_clone().unwrap().write_all_at("j", 0).await.0.unwrap();
        let (target, _) = target.into_std().await.unwrap();
        assert_eq!(std::io::read_to_string(target).unwrap(), "jello", "its own number of the process");
        let (near, mut far) = std::os::unix::net::UnixStream::pair().unwrap();
        let near = annulus::net::UnixStream::from_std(near).unwrap();
        near.send_file(&file, 0, 5).await.unwrap();
        let mut came = [0; 5];
        far.read_exact(&mut came).unwrap();
        assert_eq!(&came, b"hello");
        file.close().await.unwrap();

        // One without a name gets one; the directory's file system may have none such.
        let unnamed =
            OpenOptions::new().write(true).unnamed(true).registered(true).open(directory.path()).await;
        if let Ok(unnamed) = unnamed {
            unnamed.write_all("named").await.0.unwrap();
            unnamed.link_as(directory.path().join("name")).await.unwrap();
            assert_eq!(std::fs::read(directory.path().join("name")).unwrap(), b"named");
        }
    };
    runtime.run(body).unwrap();
}

fn a_dropped_open_keeps_no_place(builder: Builder) {
    let runtime = builder.direct_descriptors(2).build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let body = async {
        for _ in 0..20 {
            let mut open = Box::pin(registered(&path));
            let _ = open.as_mut().now_or_never();
            drop(open);
            annulus::yield_now().await;
        }
        settle().await;
        let before = audit::descriptors();
        let files = [registered(&path).await, registered(&path).await];
        if let (Some(before), true) = (before, has_table()) {
            let more = audit::descriptors().unwrap() - before;
            assert!(more == 0 || more == 2, "both in the table, or no table at all: {more}");
        }
        drop(files);
    };
    alone(|| runtime.run(body).unwrap());
}
