//! Reads of a file, so many at a time.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use annulus_peers::{Aligned, BLOCK, Cost, Files, Stopwatch};
use io_uring::{cqueue, opcode, types};

pub fn read(files: &Files) -> io::Result<Cost> {
    let flags = if files.direct { libc::O_DIRECT } else { 0 };
    let file = OpenOptions::new().read(true).custom_flags(flags).open(&files.path)?;
    let blocks = files.blocks()?;
    let mut ring = super::ring(256)?;
    let mut buffers: Vec<_> = (0..files.depth).map(|_| (0, Aligned::new())).collect();
    let mut come: Vec<cqueue::Entry> = Vec::with_capacity(files.depth);
    let mut free: Vec<usize> = (0..files.depth).collect();
    let (mut begun, mut ended) = (0, 0);
    let watch = Stopwatch::start();
    while ended < files.reads {
        while begun < files.reads
            && let Some(place) = free.pop()
        {
            let (offset, buffer) = &mut buffers[place];
            *offset = files.offset(begun, blocks);
            begun += 1;
            let entry = opcode::Read::new(types::Fd(file.as_raw_fd()), buffer.as_mut_ptr(), BLOCK as u32)
                .offset(*offset)
                .build()
                .user_data(place as u64);
            // SAFETY: the buffers stay until all is answered. There is room for as many as there are buffers.
            unsafe { ring.submission().push(&entry) }.expect("room");
        }
        ring.submit_and_wait(1)?;
        come.extend(ring.completion());
        for entry in come.drain(..) {
            let place = entry.user_data() as usize;
            let (offset, buffer) = &buffers[place];
            assert_eq!(entry.result(), BLOCK as i32, "a read at {offset}");
            files.check(*offset, &buffer[..]);
            free.push(place);
            ended += 1;
        }
    }
    Ok(watch.stop(files.reads))
}
