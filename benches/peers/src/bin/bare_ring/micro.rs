//! What of the small works a ring can do by itself.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::thread;

use annulus_peers::{Cost, Micro, Stopwatch};
use io_uring::{IoUring, opcode, types};

pub fn measure(work: Micro, times: u64) -> io::Result<Option<Cost>> {
    match work {
        Micro::NopOne => nops(1, times).map(Some),
        Micro::NopMany => nops(64, times).map(Some),
        Micro::CrossThread => ping_pong(times).map(Some),
        _ => Ok(None),
    }
}

fn nops(depth: u64, times: u64) -> io::Result<Cost> {
    let mut ring = super::ring(256)?;
    let mut batches = |count| {
        for _ in 0..count {
            for _ in 0..depth {
                // SAFETY: it points to nothing.
                unsafe { ring.submission().push(&opcode::Nop::new().build()) }.expect("room");
            }
            ring.submit_and_wait(depth as usize)?;
            assert_eq!(ring.completion().count() as u64, depth);
        }
        io::Result::Ok(())
    };
    batches(1000)?;
    let watch = Stopwatch::start();
    batches(times / depth)?;
    Ok(watch.stop(times / depth * depth))
}

/// Two rings that wake each other by messages.
fn ping_pong(times: u64) -> io::Result<Cost> {
    fn message(ring: &mut IoUring, to: i32) -> io::Result<()> {
        let entry = opcode::MsgRingData::new(types::Fd(to), 0, 1, None).build();
        // SAFETY: it points to nothing.
        unsafe { ring.submission().push(&entry.user_data(2)) }.expect("room");
        Ok(())
    }
    fn wait(ring: &mut IoUring) -> io::Result<()> {
        loop {
            ring.submit_and_wait(1)?;
            if ring.completion().any(|entry| entry.user_data() == 1) {
                return Ok(());
            }
        }
    }
    let (theirs, ours) = (mpsc::channel(), mpsc::channel());
    let total = times + 100;
    let other = thread::spawn(move || -> io::Result<()> {
        let mut ring = super::ring(8)?;
        theirs.0.send(ring.as_raw_fd()).expect("it waits");
        let to: i32 = ours.1.recv().expect("it sends");
        for _ in 0..total {
            wait(&mut ring)?;
            message(&mut ring, to)?;
        }
        ring.submit()?;
        // The last answer has to arrive before the ring goes.
        thread::sleep(std::time::Duration::from_millis(50));
        Ok(())
    });
    let mut ring = super::ring(8)?;
    ours.0.send(ring.as_raw_fd()).expect("it waits");
    let to = theirs.1.recv().expect("it sends");
    let mut rounds = |count| {
        for _ in 0..count {
            message(&mut ring, to)?;
            wait(&mut ring)?;
        }
        io::Result::Ok(())
    };
    rounds(100)?;
    let watch = Stopwatch::start();
    rounds(times)?;
    let cost = watch.stop(times);
    other.join().expect("it does not panic")?;
    Ok(cost)
}
