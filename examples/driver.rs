//! The driver without tasks: a file is read by blocks, eight under way at a time, by futures that are polled by hand.
//!
//! ```sh
//! cargo run --example driver -- Cargo.lock
//! ANNULUS_DRIVER=readiness cargo run --example driver -- Cargo.lock
//! ```
//! Nobody is woken, so the waker is one that does nothing: after each turn those are asked that are not done. A program with
//! many under way has wakers that note who is.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use annulus::Runtime;
use annulus::fs::File;

const BLOCK: u64 = 64 << 10;
const DEPTH: usize = 8;

/// Turns until a future is done, which is polled between the turns.
fn wait_for<F: Future + Unpin>(runtime: &Runtime, mut future: F) -> io::Result<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match runtime.enter(|| Pin::new(&mut future).poll(&mut cx)) {
            Poll::Ready(output) => return Ok(output),
            Poll::Pending => runtime.turn(None)?,
        };
    }
}

/// FNV-1a, which goes on from the sum so far.
fn sum(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn main() -> io::Result<()> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| "Cargo.toml".into());
    let runtime = Runtime::new()?;
    let file = wait_for(&runtime, Box::pin(File::open(path)))??;
    let length = wait_for(&runtime, Box::pin(file.metadata()))??.len();

    let mut cx = Context::from_waker(Waker::noop());
    let mut offsets = (0..length).step_by(BLOCK as usize);
    let mut under_way = VecDeque::new();
    let (mut bytes, mut checksum) = (0, 0xcbf2_9ce4_8422_2325);
    loop {
        while under_way.len() < DEPTH {
            let Some(offset) = offsets.next() else { break };
            let room = BLOCK.min(length - offset) as usize;
            let mut read = Box::pin(file.read_exact_at(Vec::with_capacity(room), offset));
            // The first poll submits it. What is answered at once is asked again below, where its turn is: so it is kept.
            let answer = runtime.enter(|| read.as_mut().poll(&mut cx));
            under_way.push_back((read, answer));
        }
        let Some((mut read, answer)) = under_way.pop_front() else { break };
        let (result, block) = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => wait_for(&runtime, &mut read)?,
        };
        result?;
        bytes += block.len();
        checksum = sum(checksum, &block);
    }
    println!("{checksum:016x} {bytes} bytes by the {} driver", runtime.driver());
    wait_for(&runtime, Box::pin(file.close()))?
}
