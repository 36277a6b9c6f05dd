//! What the kernel and the loop hold when everything was given up: nothing.

mod support;

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use annulus::fs::File;
use annulus::net::TcpListener;
use annulus::time::{now, sleep};
use annulus::{Builder, Runtime, spawn_blocking, yield_now};
use support::net::pair;
use support::outside::{self, directory};
use support::{audit, child, on_every_driver, on_real_drivers};

on_every_driver! {
    what_was_given_up_is_held_neither_by_the_kernel_nor_by_the_loop,
}

on_real_drivers! {
    because "it counts the machine's threads":
        workers_end_with_their_loops_thread;
}

fn begin<F: Future + Unpin>(future: &mut F) {
    let _ = Pin::new(future).poll(&mut Context::from_waker(Waker::noop()));
}

/// Begins operations of each kind that waits, and drops them.
async fn give_up(rounds: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) = pair().await;
    let directory = directory().await;
    let path = directory.path().join("file");
    outside::write(&path, [0; 4096]).await;
    let file = File::open(&path).await.unwrap();
    for _ in 0..rounds {
        let mut accept = listener.accept();
        begin(&mut accept);
        let mut read = server.read(Vec::with_capacity(64));
        begin(&mut read);
        let mut vectored = client.readv(vec![vec![0; 8].into_boxed_slice(); 3]);
        begin(&mut vectored);
        let mut recv = server.recv();
        begin(&mut recv);
        let mut leases = server.recv_stream();
        begin(&mut Box::pin(leases.next()));
        let mut incoming = listener.incoming();
        begin(&mut Box::pin(incoming.next()));
        let mut write = client.write_all("bytes");
        begin(&mut write);
        let mut at_offset = file.read_at(Vec::with_capacity(4096), 0);
        begin(&mut at_offset);
        let mut readable = Box::pin(client.readable());
        begin(&mut readable);
        yield_now().await;
    }
}

async fn settle() {
    let patience = now() + Duration::from_secs(20);
    loop {
        let metrics = Runtime::try_current().unwrap().metrics();
        if metrics.in_flight == 0 {
            assert_eq!((metrics.orphans, metrics.stray), (0, 0));
            return;
        }
        assert!(now() < patience, "{metrics:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

fn what_was_given_up_is_held_neither_by_the_kernel_nor_by_the_loop(builder: Builder) {
    child::alone(|| {
        // So small that completions run over.
        let runtime = builder.entries(16).completions(16).build().unwrap();
        runtime
            .run(async {
                give_up(200).await;
                settle().await;
            })
            .unwrap();
        let metrics = runtime.metrics();
        assert_eq!((metrics.in_flight, metrics.orphans, metrics.alive, metrics.timers), (0, 0, 0, 0));
        for ring in audit::rings() {
            assert!(ring.polls <= 1, "only the bell is polled: {ring:?}");
            assert_eq!(ring.overflown, 0, "{ring:?}");
        }
        assert_eq!(audit::rings().len(), usize::from(runtime.driver() == "uring"));
        assert_eq!(runtime.shutdown(Duration::from_secs(5)), 0);
        assert!(audit::rings().is_empty());
    });
}

fn workers_end_with_their_loops_thread(builder: Builder) {
    child::alone(|| {
        let before = audit::threads();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = builder.build().unwrap();
                runtime
                    .run(async {
                        let directory = tempfile::tempdir().unwrap();
                        let file = File::create(directory.path().join("file")).await.unwrap();
                        // What the kernel, or we, have threads for.
                        for _ in 0..20 {
                            file.write_all_at(vec![1; 100_000], 0).await.0.unwrap();
                            file.sync_all().await.unwrap();
                        }
                        spawn_blocking(|| ()).await.unwrap();
                        assert!(audit::threads() > before.map(|before| before + 1));
                    })
                    .unwrap();
            });
        });
        audit::comes_back("threads", before, audit::threads);
    });
}
