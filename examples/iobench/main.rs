//! How fast a disk, or the page cache, is: reads and writes blocks as `fio` does, on annulus.
//!
//! ```sh
//! cargo run --release --example iobench -- --filename /tmp/blocks --size 256m --rw randread --bs 4k --iodepth 32 --runtime 5
//! cargo run --release --example iobench -- --filename /tmp/blocks --size 1g --rw randrw --direct 1 --iodepth 128 --numjobs 2
//! cargo run --release --example iobench -- --filename /tmp/blocks --size 64m --rw write --verify        # and reads it back
//! cargo run --release --example iobench -- --filename /tmp/blocks --size 64m --rw read --verify          # finds a wrong byte
//! cargo run --release --example iobench -- --filename /tmp/blocks --size 256m --driver uring,readiness --runtime 5 --plot /tmp/plot.svg
//! cargo run --release --example iobench -- ... --output-format json --plot /tmp/plot.svg
//! ```
//! The options are named as fio names them, and mean the same. **What it writes to is overwritten.**
//!
//! - `main`: arguments, files, start and end
//! - `size`: numbers as people write them: 4k, 1g
//! - `job`: the blocks of one thread, each with a loop of its own
//! - `order`: which block is next
//! - `pattern`: what stands in a block, so that a wrong byte is found
//! - `pace`: so many a second and no more
//! - `report`: what came of it, for people and as JSON
//! - `plot`: latencies, and what was done each moment, as SVG

#[path = "../shared/inspect.rs"]
mod inspect;
mod job;
mod order;
mod pace;
mod pattern;
mod plot;
mod report;
mod size;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use annulus::Driver;
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use job::{Job, Outcome, Progress};
use report::Report;

/// Reads and writes blocks of files, and says how fast that was.
#[derive(Parser, Clone, Debug)]
pub(crate) struct Arguments {
    /// The file; several have a number behind it. What is written to is overwritten.
    #[arg(long)]
    filename: PathBuf,
    /// How long each file is; k, m and g are powers of 1024. A file that is there and is only read may be longer.
    #[arg(long, default_value = "256m", value_parser = size::parse)]
    size: u64,
    /// What to do, and in which order.
    #[arg(long, value_enum, default_value_t = Rw::Randread)]
    rw: Rw,
    /// Of a mixture, how many in a hundred are reads.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u8).range(0..=100))]
    rwmixread: u8,
    /// How long a block is.
    #[arg(long, default_value = "4k", value_parser = size::parse)]
    bs: u64,
    /// How many are under way at a time, for each job.
    #[arg(long, default_value_t = 1)]
    iodepth: usize,
    /// How many threads, each with a loop of its own.
    #[arg(long, default_value_t = 1)]
    numjobs: usize,
    /// How many files each job spreads its blocks over.
    #[arg(long, default_value_t = 1)]
    nrfiles: usize,
    /// 1: past the page cache, by O_DIRECT.
    #[arg(long, default_value_t = 0)]
    direct: u8,
    /// Buffers that the ring knows.
    #[arg(long)]
    fixedbufs: bool,
    /// Files that the ring knows.
    #[arg(long)]
    registerfiles: bool,
    /// Asks the device whether it is done, instead of being interrupted: with --direct 1, where it has queues for that.
    #[arg(long)]
    hipri: bool,
    /// How long it lasts, in seconds. Without: until each block was had once.
    #[arg(long)]
    runtime: Option<f64>,
    /// At most so many a second, for each job.
    #[arg(long = "rate_iops")]
    rate_iops: Option<u64>,
    /// Writes blocks that tell their place, and checks each block that is read. What was only written is read back.
    #[arg(long)]
    verify: bool,
    /// Brings all that was written to the disk before it ends: fsync(2).
    #[arg(long = "end_fsync")]
    end_fsync: bool,
    /// The seed of the order.
    #[arg(long, default_value_t = 1)]
    randseed: u64,
    /// auto, uring or readiness; several, with commas between them, are compared: each does the work in its turn.
    #[arg(long, default_value = "auto", value_delimiter = ',')]
    driver: Vec<Driver>,
    /// How the figures are told.
    #[arg(long, value_enum, default_value_t = Format::Normal)]
    output_format: Format,
    /// Where a picture goes: latencies, and what was done each tenth of a second. SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Removes the files at the end.
    #[arg(long)]
    unlink: bool,
    #[command(flatten)]
    inspect: inspect::Inspect,
}

/// What to do, in the words of fio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rw {
    Read,
    Write,
    #[value(name = "rw")]
    Mixed,
    Randread,
    Randwrite,
    #[value(name = "randrw")]
    Randmixed,
}

impl Rw {
    fn is_random(self) -> bool {
        matches!(self, Rw::Randread | Rw::Randwrite | Rw::Randmixed)
    }

    fn reads(self) -> bool {
        !matches!(self, Rw::Write | Rw::Randwrite)
    }

    fn writes(self) -> bool {
        !matches!(self, Rw::Read | Rw::Randread)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Normal,
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("iobench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every block was what it should be.
fn run(arguments: &Arguments) -> io::Result<bool> {
    check(arguments)?;
    let _inspector = arguments.inspect.start()?;
    let files = prepare(arguments)?;
    let reports = arguments
        .driver
        .iter()
        .map(|driver| report(arguments, *driver, &files))
        .collect::<io::Result<Vec<_>>>()?;
    match arguments.output_format {
        Format::Normal => println!("{}", report::told(&reports)),
        Format::Json => println!("{}", report::json(&reports)),
    }
    if let Some(path) = &arguments.plot {
        std::fs::write(path, plot::svg(&reports).map_err(io::Error::other)?)?;
    }
    if arguments.unlink {
        files.iter().try_for_each(std::fs::remove_file)?;
    }
    Ok(reports.iter().all(|report| report.wrong_blocks() == 0))
}

/// All of the work on one driver.
fn report(arguments: &Arguments, driver: Driver, files: &[PathBuf]) -> io::Result<Report> {
    let mut report = Report::new(arguments, work(arguments, driver, arguments.rw, files)?);
    if arguments.verify && !arguments.rw.reads() {
        // What was only written is read back, once.
        let again = Arguments { runtime: None, ..arguments.clone() };
        report.verified = Some(work(&again, driver, Rw::Read, files)?);
    }
    Ok(report)
}

fn check(arguments: &Arguments) -> io::Result<()> {
    let refused = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    match arguments {
        Arguments { bs: 0, .. } => refused("--bs 0: a block has at least one byte"),
        Arguments { iodepth: 0, .. } => refused("--iodepth 0: at least one has to be under way"),
        Arguments { numjobs: 0, .. } | Arguments { nrfiles: 0, .. } => {
            refused("there is to be one job and one file at least")
        }
        Arguments { rate_iops: Some(0), .. } => refused("--rate_iops 0: nothing would ever be done"),
        Arguments { bs, size, .. } if bs > size => refused("--bs is more than --size: no block fits in"),
        Arguments { hipri: true, direct: 0, .. } => {
            refused("--hipri needs --direct 1: what the page cache answers is asked of no device")
        }
        Arguments { verify: true, bs, .. } if *bs < pattern::LEAST => {
            refused("--verify needs blocks of 16 bytes at least, for their number and their sum")
        }
        _ => Ok(()),
    }
}

/// Makes what is to be read, and what is to be written to as long as it will be.
fn prepare(arguments: &Arguments) -> io::Result<Vec<PathBuf>> {
    let count = arguments.numjobs * arguments.nrfiles;
    let name = |number: usize| match count {
        1 => arguments.filename.clone(),
        _ => PathBuf::from(format!("{}.{number}", arguments.filename.display())),
    };
    let files: Vec<_> = (0..count).map(name).collect();
    for path in &files {
        let length = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        if length < arguments.size {
            eprintln!("making {} of {}", path.display(), size::told(arguments.size));
            pattern::fill(path, arguments.size, arguments.bs)?;
        }
    }
    Ok(files)
}

fn work(arguments: &Arguments, driver: Driver, rw: Rw, files: &[PathBuf]) -> io::Result<Outcome> {
    let progress = Arc::new(Progress::default());
    let blocks = arguments.size / arguments.bs * arguments.nrfiles as u64;
    let total = blocks * arguments.numjobs as u64;
    let started = Instant::now();
    let jobs: Vec<_> = files
        .chunks(arguments.nrfiles)
        .enumerate()
        .map(|(number, files)| {
            let job = Job {
                arguments: arguments.clone(),
                driver,
                rw,
                files: files.to_vec(),
                number,
                progress: progress.clone(),
            };
            std::thread::Builder::new().name(format!("job {number}")).spawn(move || job.run())
        })
        .collect::<io::Result<_>>()?;

    let bar = match arguments.runtime {
        Some(seconds) => ProgressBar::new((seconds * 1000.0) as u64),
        None => ProgressBar::new(total),
    };
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}").map_err(io::Error::other)?;
    bar.set_style(style);
    let mut series = Vec::new();
    let mut before = (Instant::now(), 0);
    while !jobs.iter().all(|job| job.is_finished()) {
        std::thread::sleep(Duration::from_millis(100));
        let (now, done) = (Instant::now(), progress.done.load(Ordering::Relaxed));
        let each_second = (done - before.1) as f64 / (now - before.0).as_secs_f64();
        series.push((started.elapsed().as_secs_f64(), each_second));
        before = (now, done);
        bar.set_position(match arguments.runtime {
            Some(_) => started.elapsed().as_millis() as u64,
            None => done,
        });
        let bytes = size::told((each_second * arguments.bs as f64) as u64);
        bar.set_message(format!("{each_second:.0} IOPS, {bytes}/s"));
    }
    bar.finish_and_clear();
    let mut all = Outcome { series, ..Outcome::default() };
    for job in jobs {
        all.add(job.join().map_err(|_| io::Error::other("a job panicked"))??);
    }
    Ok(all)
}
