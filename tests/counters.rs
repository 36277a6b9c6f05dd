//! Each number of `Metrics` is moved by what it is about. The table names all of them: a field without a row is a failure.

mod support;

use std::time::Duration;

use annulus::net::{TcpListener, TcpStream};
use annulus::time::sleep;
use annulus::{Builder, Metrics, nop, spawn_blocking, yield_now};
use support::counted::{self, now, poll_once};
use support::net::pair;
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    each_number_moves_with_what_it_is_about,
    the_most_that_was_in_flight_and_left_behind_is_kept,
    each_request_to_stop_comes_in_time_or_too_late,
}

on_real_drivers! {
    because "a simulated world has no threads":
        helpers_are_counted_with_what_waits_for_them;
}

/// Where a number can move.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Where {
    Everywhere,
    /// Not in a simulated world, which has no other threads and no clock of the processor's.
    Real,
    /// The ring's alone.
    Ring,
    /// Where completions have a queue.
    Queues,
    /// What only a kernel does that is out of order; the simulated one does it by chance.
    Simulated,
}

use Where::{Everywhere, Queues, Real, Ring, Simulated};

/// Its name; its value, or how many values it has; where it moves.
type Row = (&'static str, fn(&Metrics) -> u64, Where);

const TABLE: &[Row] = &[
    ("stalls", |m| m.stalls, Real),
    ("turns", |m| m.turns, Everywhere),
    ("parks", |m| m.parks, Everywhere),
    ("spins", |m| m.spins, Real),
    ("spins_in_vain", |m| m.spins_in_vain, Real),
    ("batches", |m| m.batches.count(), Everywhere),
    ("depths", |m| m.depths.count(), Everywhere),
    ("poll_time", |m| m.poll_time.count(), Everywhere),
    ("wake_to_poll", |m| m.wake_to_poll.count(), Everywhere),
    ("polls", |m| m.polls, Everywhere),
    ("spawned", |m| m.spawned, Everywhere),
    ("alive", |m| m.alive as u64, Everywhere),
    ("remote_wakes", |m| m.remote_wakes, Real),
    ("timers", |m| m.timers as u64, Everywhere),
    ("timers_fired", |m| m.timers_fired, Everywhere),
    ("enters", |m| m.enters, Everywhere),
    ("submitted", |m| m.submitted, Everywhere),
    ("completed", |m| m.completed, Everywhere),
    ("in_flight", |m| m.in_flight as u64, Everywhere),
    ("in_flight_max", |m| m.in_flight_max as u64, Everywhere),
    ("orphans", |m| m.orphans as u64, Everywhere),
    ("orphans_max", |m| m.orphans_max as u64, Everywhere),
    ("fallbacks", |m| m.fallbacks, Ring),
    ("cancels", |m| m.cancels, Everywhere),
    ("cancels_stopped", |m| m.cancels_stopped, Everywhere),
    ("cancels_late", |m| m.cancels_late, Everywhere),
    ("helper_threads", |m| m.helper_threads as u64, Real),
    ("helper_jobs_waiting", |m| m.helper_jobs_waiting as u64, Real),
    ("helper_jobs_done", |m| m.helper_jobs_done, Real),
    ("refusals", |m| m.refusals, Simulated),
    ("overflows", |m| m.overflows, Queues),
    ("stray", |m| m.stray, Simulated),
    ("lease_buffers", |m| m.lease_buffers as u64, Everywhere),
    ("leases_out", |m| m.leases_out as u64, Everywhere),
    ("leases_copied", |m| m.leases_copied, Everywhere),
];

#[test]
fn the_table_has_a_row_for_each_number() {
    let text = format!("{:#?}", Metrics::default());
    let is_field = |line: &&str| line.starts_with("    ") && !line.starts_with("     ");
    let fields: Vec<_> =
        text.lines().filter(is_field).filter_map(|line| line.trim().split_once(':')).collect();
    let mut names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let mut rows: Vec<_> = TABLE.iter().map(|row| row.0).collect();
    names.sort_unstable();
    rows.sort_unstable();
    assert_eq!(rows, names);
}

fn each_number_moves_with_what_it_is_about(builder: Builder) {
    let runtime = counted::set(builder).build().unwrap();
    let mut seen = vec![runtime.metrics()];
    assert!(TABLE.iter().all(|(_, value, _)| value(&seen[0]) == 0), "nothing has happened: {:?}", seen[0]);
    seen.extend(runtime.run(counted::much()).unwrap());
    seen.push(runtime.metrics());
    #[cfg(feature = "sim")]
    if is_simulated() {
        seen.push(counted::in_a_bad_world());
    }
    let moves = |place| match place {
        Everywhere => true,
        Real => !is_simulated(),
        Ring => runtime.driver() == "uring",
        Queues => runtime.driver() != "readiness",
        Simulated => is_simulated(),
    };
    for (name, value, place) in TABLE {
        let most = seen.iter().map(value).max();
        assert_eq!(most > Some(0), moves(*place), "{name}, which moves {place:?}: {most:?}");
    }
}

fn the_most_that_was_in_flight_and_left_behind_is_kept(builder: Builder) {
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let mut streams = Vec::new();
            for _ in 0..10 {
                streams.push(pair().await);
            }
            let (in_flight, orphans) = (now().in_flight_max, now().orphans_max);
            assert!(in_flight < 10 && orphans == 0);
            let mut reads: Vec<_> =
                streams.iter().map(|(_, server)| server.read(Vec::with_capacity(1))).collect();
            reads.iter_mut().for_each(poll_once);
            assert_eq!((now().in_flight, now().in_flight_max), (10, 10));
            drop(reads);
            assert_eq!((now().orphans, now().orphans_max), (10, 10));
            while now().in_flight > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!((now().orphans, now().orphans_max, now().in_flight_max), (0, 10, 10));
        })
        .unwrap();
    assert_eq!(runtime.metrics().in_flight_max, 10, "from run to run");
}

fn each_request_to_stop_comes_in_time_or_too_late(builder: Builder) {
    let mut builders = vec![builder.clone()];
    if !is_simulated() {
        // Where one entry asks two things to stop.
        builders.push(builder.direct_descriptors(8));
    }
    for builder in builders {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                for round in 0..20 {
                    let client = TcpStream::connect(address).await.unwrap();
                    let (server, _) = listener.accept().await.unwrap();
                    poll_once(&mut listener.accept());
                    poll_once(&mut server.read(Vec::with_capacity(1)));
                    if round % 2 == 0 {
                        client.write_all("x").await.0.unwrap();
                    }
                    poll_once(&mut nop());
                    while now().in_flight > 0 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
            })
            .unwrap();
        let Metrics { cancels, cancels_stopped, cancels_late, .. } = runtime.metrics();
        assert!(cancels >= 60 && cancels_stopped > 20 && cancels_late > 0, "{:?}", runtime.metrics());
        assert_eq!(cancels, cancels_stopped + cancels_late, "{:?}", runtime.metrics());
    }
}

fn helpers_are_counted_with_what_waits_for_them(builder: Builder) {
    let runtime = builder.helpers_max(2).build().unwrap();
    runtime
        .run(async {
            assert_eq!((now().helper_threads, now().helper_jobs_waiting, now().helper_jobs_done), (0, 0, 0));
            let (go_on, waits) = std::sync::mpsc::channel::<()>();
            let waits = std::sync::Arc::new(std::sync::Mutex::new(waits));
            let jobs: Vec<_> = (0..5)
                .map(|_| {
                    let waits = std::sync::Arc::clone(&waits);
                    spawn_blocking(move || waits.lock().unwrap().recv().is_err())
                })
                .collect();
            while now().helper_jobs_waiting != 3 {
                yield_now().await;
            }
            assert_eq!((now().helper_threads, now().helper_jobs_done), (2, 0));
            drop(go_on);
            for job in jobs {
                job.await.unwrap();
            }
            assert_eq!((now().helper_threads, now().helper_jobs_waiting, now().helper_jobs_done), (2, 0, 5));
        })
        .unwrap();
}
