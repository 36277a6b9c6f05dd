//! A disk so slow that its reads are in flight for seconds, while futures are dropped and runtimes end.
//!
//! Closing a ring is no barrier: the kernel goes on writing into the buffers of such reads afterwards. `throttled.sh`
//! makes such a disk (as root, on Linux) and runs this with its path; without it these tests are skipped.
// Control groups throttle it.
#![cfg(target_os = "linux")]

mod support;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use annulus::buf::{IoBuf, IoBufMut};
use annulus::fs::{File, OpenOptions};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Runtime, spawn};
use support::guarded::Guarded;
use support::net::pair;
use support::on_real_drivers;

on_real_drivers! {
    because "the disk is the machine's":
        a_runtime_that_ends_waits_for_a_slow_read_and_frees_its_buffer_afterwards,
        a_runtime_that_may_not_wait_leaks_the_buffer_of_a_slow_read,
        a_dropped_slow_read_keeps_its_buffer_until_it_is_answered,
        slow_reads_do_not_hold_up_the_loop;
}

/// The device's path is in this variable; it gives one MiB a second.
const DEVICE: &str = "ANNULUS_THROTTLED";
const LENGTH: usize = 2 << 20;
/// Longer than the device needs for a read.
const LONG: Duration = Duration::from_secs(6);

fn device(test: &str) -> Option<String> {
    let device = std::env::var(DEVICE).ok();
    if device.is_none() {
        support::skipped(test, "there is no throttled device: run tests/throttled.sh");
    }
    device
}

thread_local! {
    /// What was freed: kept mapped, and filled anew, so that a late write is seen.
    static QUARANTINE: RefCell<Vec<Guarded>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that goes to the quarantine when it is freed.
struct Quarantined(Option<Guarded>);

impl Quarantined {
    fn new() -> Quarantined {
        Quarantined(Some(Guarded::new(LENGTH)))
    }

    fn inner(&self) -> &Guarded {
        self.0.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Quarantined {
    fn drop(&mut self) {
        let mut buffer = self.0.take().expect("there until it is dropped");
        buffer.fill_anew();
        QUARANTINE.with_borrow_mut(|quarantine| quarantine.push(buffer));
    }
}

// SAFETY: as the buffer inside, which the quarantine keeps.
#[allow(unsafe_code)]
unsafe impl IoBuf for Quarantined {
    fn stable_ptr(&self) -> *const u8 {
        self.inner().stable_ptr()
    }

    fn bytes_init(&self) -> usize {
        self.inner().bytes_init()
    }

    fn bytes_total(&self) -> usize {
        self.inner().bytes_total()
    }
}

// SAFETY: as the buffer inside.
#[allow(unsafe_code)]
unsafe impl IoBufMut for Quarantined {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_mut().expect("there until it is dropped").stable_mut_ptr()
    }

    unsafe fn set_init(&mut self, length: usize) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.as_mut().expect("there until it is dropped").set_init(length) }
    }
}

fn freed() -> usize {
    QUARANTINE.with_borrow(Vec::len)
}

/// Asserts that nobody wrote to what was freed, until the device is surely done.
fn nothing_is_written_to_what_was_freed() {
    thread::sleep(LONG);
    QUARANTINE.with_borrow(|quarantine| {
        for buffer in quarantine {
            let late = buffer.all().iter().filter(|byte| **byte != support::guarded::PATTERN).count();
            assert_eq!(late, 0, "the kernel wrote to a buffer that was freed");
        }
    });
}

async fn open(device: &str) -> File {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(device).await.unwrap()
}

/// Begins a read in a task and lets it get to the device.
async fn begin_a_slow_read(device: &str, offset: u64) {
    let file = open(device).await;
    drop(spawn(async move {
        let (result, _buffer) = file.read_at(Quarantined::new(), offset).await;
        result
    }));
    sleep(Duration::from_millis(100)).await;
}

fn a_runtime_that_ends_waits_for_a_slow_read_and_frees_its_buffer_afterwards(builder: Builder) {
    let Some(device) = device("a runtime that ends amid a slow read") else { return };
    let runtime = builder.shutdown_limit(Duration::from_secs(30)).build().unwrap();
    runtime.run(begin_a_slow_read(&device, 0)).unwrap();
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    assert!(took > Duration::from_millis(300), "the device is not slow enough for this test: {took:?}");
    assert_eq!(freed(), 1);
    nothing_is_written_to_what_was_freed();
}

fn a_runtime_that_may_not_wait_leaks_the_buffer_of_a_slow_read(builder: Builder) {
    let Some(device) = device("a runtime that may not wait for a slow read") else { return };
    let limit = Duration::from_millis(200);
    let runtime = builder.shutdown_limit(limit).build().unwrap();
    runtime.run(begin_a_slow_read(&device, 2 << 20)).unwrap();
    let start = Instant::now();
    drop(runtime);
    let took = start.elapsed();
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?}");
    assert_eq!(freed(), 0, "leaked, not freed");
    nothing_is_written_to_what_was_freed();
}

fn a_dropped_slow_read_keeps_its_buffer_until_it_is_answered(builder: Builder) {
    let Some(device) = device("a dropped slow read") else { return };
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let file = open(&device).await;
            let mut read = file.read_at(Quarantined::new(), 4 << 20);
            assert!(Pin::new(&mut read).poll(&mut Context::from_waker(Waker::noop())).is_pending());
            sleep(Duration::from_millis(100)).await;
            drop(read);
            // Neither the future nor the file is there any more; the operation is.
            drop(file);
            assert_eq!(freed(), 0);
            while freed() == 0 {
                assert_eq!(Runtime::try_current().unwrap().metrics().orphans, 1);
                sleep(Duration::from_millis(20)).await;
            }
        })
        .unwrap();
    nothing_is_written_to_what_was_freed();
}

fn slow_reads_do_not_hold_up_the_loop(builder: Builder) {
    let Some(device) = device("slow reads beside an echo") else { return };
    let runtime = builder.shutdown_limit(Duration::from_millis(100)).build().unwrap();
    runtime
        .run(async {
            for n in 0..4 {
                begin_a_slow_read(&device, n * LENGTH as u64).await;
            }
            let (client, server) = pair().await;
            let (mut slowest, mut rounds) = (Duration::ZERO, 0);
            let until = Instant::now() + Duration::from_secs(1);
            while Instant::now() < until {
                let start = Instant::now();
                client.write_all("ping").await.0.unwrap();
                let answer =
                    timeout(Duration::from_secs(5), server.read(Vec::with_capacity(8))).await.unwrap();
                assert_eq!(answer.1, b"ping");
                slowest = slowest.max(start.elapsed());
                rounds += 1;
                sleep(Duration::from_millis(1)).await;
            }
            println!("{rounds} echoes, the slowest in {slowest:?}");
            assert!(slowest < Duration::from_millis(200), "{slowest:?}");
            assert!(
                Runtime::try_current().unwrap().metrics().in_flight > 0,
                "reads were in flight all the while"
            );
        })
        .unwrap();
}
