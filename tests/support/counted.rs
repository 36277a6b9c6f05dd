//! A little of everything that a loop counts.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use annulus::time::sleep;
use annulus::{Builder, Metrics, Runtime, nop, spawn, spawn_blocking, yield_now};

use super::is_simulated;
use super::net::pair;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn now() -> Metrics {
    Runtime::try_current().unwrap().metrics()
}

pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(pin!(future).poll(&mut context).is_pending());
}

/// Settings under which all of it happens: too little of what there usually is enough of.
pub(crate) fn set(builder: Builder) -> Builder {
    builder
        .watchdog(Duration::from_millis(20))
        .on_warning(|_| ())
        .spin(Duration::from_micros(200))
        .helpers_max(1)
        .completions(16)
        .entries(8)
        .lease_size(64)
        .leases(4)
        .leases_max(4)
        .without_operation("openat")
}

/// Everything that moves a number; the numbers in between.
pub(crate) async fn much() -> Vec<Metrics> {
    let mut seen = Vec::new();
    // Many at once, beyond what the queues have room for.
    let nops: Vec<_> = (0..200).map(|_| spawn(async { nop().await.unwrap() })).collect();
    yield_now().await;
    seen.push(now());
    for nop in nops {
        nop.await.unwrap();
    }
    for _ in 0..1000 {
        yield_now().await;
    }
    sleep(Duration::from_millis(1)).await;
    let timer = spawn(sleep(Duration::from_secs(60)));
    yield_now().await;
    seen.push(now());
    timer.abort();

    // Left behind; stopped in time, as nothing comes, and too late, as a nop ends at once.
    let (client, server) = pair().await;
    for _ in 0..100 {
        let mut read = server.read(Vec::with_capacity(1));
        poll_once(&mut read);
        drop(read);
        poll_once(&mut nop());
        seen.push(now());
        nop().await.unwrap();
    }

    // Leases that are kept: the others are copies.
    let mut kept = Vec::new();
    let mut leases = server.recv_stream();
    for _ in 0..8 {
        client.write_all(vec![1; 32]).await.0.unwrap();
        kept.push(leases.next().await.unwrap().unwrap());
    }
    seen.push(now());
    drop((kept, leases));

    let _ = annulus::fs::File::open("/").await;
    assert!(annulus::fs::File::open("/is-not-there").await.is_err());
    if !is_simulated() {
        seen.extend(others().await);
        // In one poll, as no task should be.
        let begun = Instant::now();
        while cfg!(target_os = "linux") && now().stalls == 0 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    seen
}

/// What other threads have to do with.
async fn others() -> Vec<Metrics> {
    let (go_on, waits) = mpsc::channel::<()>();
    let first = spawn_blocking(move || waits.recv().is_err());
    let second = spawn_blocking(|| ());
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last: &Metrics| last.helper_jobs_waiting == 0) {
        yield_now().await;
        seen.push(now());
    }
    drop(go_on);
    assert!(first.await.unwrap());
    second.await.unwrap();
    // Woken by another thread, so that it looks for more, until that was in vain.
    let begun = Instant::now();
    let remote = Runtime::try_current().unwrap().remote();
    while now().spins_in_vain == 0 && begun.elapsed() < PATIENCE {
        let remote = remote.clone();
        let (told, mut heard) = annulus::sync::across::oneshot::channel();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(1));
            drop(remote.run(move || told.send(())));
        });
        let _ = (&mut heard).await;
        sleep(Duration::from_millis(1)).await;
    }
    seen
}

/// A kernel that refuses enters and repeats answers.
#[cfg(feature = "sim")]
pub(crate) fn in_a_bad_world() -> Metrics {
    let world = annulus::sim::World::new(super::sim_seed());
    let mut faults = annulus::sim::Faults::quiet();
    (faults.enter, faults.repeated) = (0.2, 0.2);
    world.set_faults(&faults);
    let host = world.host("host", || async {});
    host.run(async {
        for _ in 0..500 {
            nop().await.unwrap();
            sleep(Duration::from_millis(1)).await;
        }
    })
    .unwrap();
    host.metrics()
}
