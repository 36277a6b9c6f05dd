//! No runtime at all: a loop around a ring, as fast as it gets. What the others are compared with.
//!
//! SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL; multishot accept, multishot receive into a ring of buffers, one enter a turn.

mod buffers;
mod files;
mod micro;
mod serve;

use std::io;
use std::net::TcpListener;

use annulus_peers::{ANSWER, Contestant, Cost, Files, Micro, Requests};
use io_uring::IoUring;

struct BareRing;

fn main() -> io::Result<()> {
    annulus_peers::run::<BareRing>()
}

impl Contestant for BareRing {
    const VARIANTS: &'static [&'static str] = &["bare ring"];

    fn echo(_: &str, listener: TcpListener, size: usize) -> io::Result<()> {
        serve::serve(listener, size, || |lease: &[u8]| Ok(serve::Reply::Same(lease.len())))
    }

    fn http(_: &str, listener: TcpListener) -> io::Result<()> {
        serve::serve(listener, 4096, || {
            let mut requests = Requests::default();
            move |lease: &[u8]| Ok(serve::Reply::Fixed(ANSWER, requests.ended_in(lease)?))
        })
    }

    fn files(_: &str, files: &Files) -> io::Result<Option<Cost>> {
        files::read(files).map(Some)
    }

    fn micro(_: &str, work: Micro, times: u64) -> io::Result<Option<Cost>> {
        micro::measure(work, times)
    }
}

/// A ring with the flags that suit one thread.
fn ring(entries: u32) -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_submit_all()
        .setup_cqsize(entries * 16)
        .build(entries)
}
