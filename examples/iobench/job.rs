//! The blocks of one thread: a loop of its own, and as many tasks as are to be under way.

use std::cell::{Cell, RefCell};
use std::io;
use std::ops::DerefMut;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use annulus::buf::{Aligned, IoBufMut};
use annulus::fs::{File, OpenOptions, RegisteredBuffers};
use annulus::{Driver, Runtime, spawn};
use hdrhistogram::Histogram;

use crate::order::Order;
use crate::pace::Pace;
use crate::{Arguments, Rw, pattern};

pub struct Job {
    pub arguments: Arguments,
    pub driver: Driver,
    pub rw: Rw,
    pub files: Vec<PathBuf>,
    pub number: usize,
    pub progress: Arc<Progress>,
}

/// What is done so far, for who looks from outside.
#[derive(Default)]
pub struct Progress {
    pub done: AtomicU64,
}

/// One direction's figures. Latencies are in nanoseconds.
pub struct Side {
    pub blocks: u64,
    pub latencies: Histogram<u64>,
}

impl Default for Side {
    fn default() -> Side {
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("these bounds are allowed");
        Side { blocks: 0, latencies }
    }
}

impl Side {
    fn note(&mut self, begun: Instant) {
        self.blocks += 1;
        self.latencies.saturating_record(begun.elapsed().as_nanos() as u64);
    }

    fn add(&mut self, other: &Side) {
        self.blocks += other.blocks;
        self.latencies.add(&other.latencies).expect("they have the same bounds");
    }
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub reads: Side,
    pub writes: Side,
    pub elapsed: Duration,
    /// Processor time of all jobs: in the program, and in the kernel.
    pub user: Duration,
    pub system: Duration,
    pub driver: &'static str,
    /// The offsets, and files, of blocks that were not what they should be; the first of them.
    pub wrong: Vec<String>,
    pub wrong_blocks: u64,
    /// How many a second, at which second.
    pub series: Vec<(f64, f64)>,
}

impl Outcome {
    pub fn add(&mut self, other: Outcome) {
        self.reads.add(&other.reads);
        self.writes.add(&other.writes);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.user += other.user;
        self.system += other.system;
        self.driver = other.driver;
        self.wrong_blocks += other.wrong_blocks;
        self.wrong.extend(other.wrong);
        self.wrong.truncate(WRONG_TOLD);
    }
}

/// So many wrong blocks are told one by one.
const WRONG_TOLD: usize = 10;
/// Where nothing is known of a file.
const PAGE: usize = 4096;

/// What the tasks of a job share.
struct Shared {
    job: Job,
    files: Vec<File>,
    order: RefCell<Order>,
    pace: Pace,
    until: Option<Instant>,
    outcome: RefCell<Outcome>,
    failed: Cell<bool>,
}

/// O_DIRECT, open(2).
fn past_the_page_cache() -> io::Result<i32> {
    #[cfg(not(target_vendor = "apple"))]
    return Ok(libc::O_DIRECT);
    #[cfg(target_vendor = "apple")]
    Err(io::Error::new(io::ErrorKind::Unsupported, "--direct 1: this system has no O_DIRECT"))
}

impl Job {
    /// Everything, on this thread.
    pub fn run(self) -> io::Result<Outcome> {
        let places = if self.arguments.registerfiles { self.files.len() as u32 } else { 0 };
        let builder =
            Runtime::builder().driver(self.driver).direct_descriptors(places).iopoll(self.arguments.hipri);
        let runtime = self.arguments.inspect.record(builder).build()?;
        let driver = runtime.driver();
        let outcome = runtime.run(self.measured())??;
        Ok(Outcome { driver, ..outcome })
    }

    async fn measured(self) -> io::Result<Outcome> {
        let arguments = &self.arguments;
        let mut options = OpenOptions::new();
        options.read(self.rw.reads()).write(self.rw.writes()).registered(arguments.registerfiles);
        if arguments.direct > 0 {
            options.custom_flags(past_the_page_cache()?);
        }
        let mut files = Vec::new();
        for path in &self.files {
            let told =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
            files.push(options.open(path).await.map_err(told)?);
        }
        let direct_io = files[0].metadata().await?.direct_io();
        let alignment = direct_io.map_or(PAGE, |direct_io| direct_io.memory.max(1));
        let unit = direct_io.filter(|_| arguments.direct > 0).map_or(1, |direct_io| direct_io.offset);
        if arguments.bs % unit != 0 {
            let text =
                format!("--bs {}: this file system wants multiples of {unit} with --direct 1", arguments.bs);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let blocks = arguments.size / arguments.bs * files.len() as u64;
        let seed = arguments.randseed.wrapping_add(self.number as u64);
        let order = Order::new(blocks, self.rw.is_random(), arguments.runtime.is_none(), seed);
        let begun = (Instant::now(), processor_time());
        let shared = Rc::new(Shared {
            pace: Pace::new(arguments.rate_iops),
            until: arguments.runtime.map(|seconds| begun.0 + Duration::from_secs_f64(seconds)),
            order: RefCell::new(order),
            outcome: RefCell::default(),
            failed: Cell::new(false),
            files,
            job: self,
        });
        let (depth, length) = (shared.job.arguments.iodepth, shared.job.arguments.bs as usize);
        let mut workers = Vec::new();
        if shared.job.arguments.fixedbufs {
            let pool = RegisteredBuffers::new(depth, length)?;
            if let Some(refusal) = pool.refusal() {
                eprintln!("--fixedbufs: the buffers are ordinary ones: {refusal}");
            }
            for _ in 0..depth {
                let mut buffer = pool.get().await;
                buffer.set_len(length);
                workers.push(spawn(Rc::clone(&shared).work(buffer)));
            }
        } else {
            let buffers = (0..depth).map(|_| Aligned::zeroed(length, alignment));
            workers.extend(buffers.map(|buffer| spawn(Rc::clone(&shared).work(buffer))));
        }
        for worker in workers {
            worker.await??;
        }
        if shared.job.arguments.end_fsync && shared.job.rw.writes() {
            for file in &shared.files {
                file.sync_all().await?;
            }
        }
        let mut outcome = shared.outcome.take();
        let now = processor_time();
        (outcome.elapsed, outcome.user, outcome.system) =
            (begun.0.elapsed(), now.0 - begun.1.0, now.1 - begun.1.1);
        Ok(outcome)
    }
}

impl Shared {
    /// One block after the other, until there are no more.
    async fn work<B: IoBufMut + DerefMut<Target = [u8]>>(self: Rc<Shared>, mut buffer: B) -> io::Result<()> {
        let arguments = &self.job.arguments;
        let length = arguments.bs as usize;
        while !self.failed.get() && self.until.is_none_or(|until| Instant::now() < until) {
            self.pace.turn().await;
            let Some((block, reads)) = self.next() else { break };
            let (file, number) = (block as usize % self.files.len(), block / self.files.len() as u64);
            let offset = number * arguments.bs;
            if !reads && arguments.verify {
                pattern::write(&mut buffer, number, arguments.randseed);
            }
            let begun = Instant::now();
            let (result, lent) = match reads {
                true => {
                    let (result, slice) =
                        self.files[file].read_exact_at(buffer.slice(..length), offset).await;
                    (result, slice.into_inner())
                }
                false => self.files[file].write_all_at(buffer, offset).await,
            };
            buffer = lent;
            self.done(result, file, offset, reads)?;
            let mut outcome = self.outcome.borrow_mut();
            if reads {
                outcome.reads.note(begun)
            } else {
                outcome.writes.note(begun)
            }
            if reads && arguments.verify && !pattern::is_right(&buffer, number) {
                outcome.wrong_blocks += 1;
                if outcome.wrong.len() < WRONG_TOLD {
                    outcome.wrong.push(format!("{} at {offset}", self.job.files[file].display()));
                }
            }
        }
        Ok(())
    }

    fn next(&self) -> Option<(u64, bool)> {
        let mut order = self.order.borrow_mut();
        let block = order.next()?;
        let reads = match self.job.rw {
            Rw::Mixed | Rw::Randmixed => order.hundred() < self.job.arguments.rwmixread,
            rw => rw.reads(),
        };
        Some((block, reads))
    }

    fn done(&self, result: io::Result<()>, file: usize, offset: u64, reads: bool) -> io::Result<()> {
        result.map_err(|error| {
            self.failed.set(true);
            let did = if reads { "reading" } else { "writing" };
            let text = format!("{did} {} at {offset}: {error}", self.job.files[file].display());
            io::Error::new(error.kind(), text)
        })?;
        self.job.progress.done.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Of this thread: in the program, and in the kernel.
#[allow(unsafe_code)]
fn processor_time() -> (Duration, Duration) {
    // SAFETY: plain numbers: all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    #[cfg(target_os = "linux")]
    let who = libc::RUSAGE_THREAD;
    #[cfg(not(target_os = "linux"))]
    let who = libc::RUSAGE_SELF;
    // SAFETY: a place on this stack.
    unsafe { libc::getrusage(who, &mut usage) };
    let time = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    (time(usage.ru_utime), time(usage.ru_stime))
}
