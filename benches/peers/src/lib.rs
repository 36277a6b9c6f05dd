//! What all contestants share, so that they differ in their runtime only: one command line, one listener, one set of
//! offsets, one stop-watch.
//!
//! A contestant is a program `src/bin/NAME/main.rs` that implements [`Contestant`] and calls [`run`]:
//!
//! ```text
//! NAME [--variant V] [--core N] echo --size BYTES        serves until it is killed; prints its address first
//! NAME [--variant V] [--core N] http                     likewise, a fixed answer to every request
//! NAME [--variant V] [--core N] files --path P --depth D --reads N [--direct]   prints one line of JSON
//! NAME [--variant V] [--core N] micro WORK --times N     prints one line of JSON
//! NAME variants                                          prints the variants, one a line
//! ```

mod files;
mod measure;
mod micro;
mod server;
pub mod tasks;

pub use files::{Aligned, BLOCK, Files};
pub use measure::{Cost, Stopwatch, pin};
pub use micro::Micro;
pub use server::{ANSWER, Requests};
pub use tasks::{Reads, Tasks};

use std::io::{self, Write};
use std::net::TcpListener;

use clap::{Parser, Subcommand};

/// A runtime, or a loop without one, that takes part.
///
/// What it cannot do it leaves out: the row then says *not to be had*.
pub trait Contestant {
    /// The ways in which it takes part; the first is its default.
    const VARIANTS: &'static [&'static str];

    /// Echoes what each connection sends, as soon as it comes. A connection reads at most `size` bytes at once.
    /// Serves for ever.
    fn echo(variant: &str, listener: TcpListener, size: usize) -> io::Result<()>;

    /// Answers every HTTP/1.1 request on each connection with [`ANSWER`]. Serves for ever.
    fn http(variant: &str, listener: TcpListener) -> io::Result<()>;

    /// Reads `files.reads` blocks, `files.depth` of them at a time, and checks each.
    fn files(_variant: &str, _files: &Files) -> io::Result<Option<Cost>> {
        Ok(None)
    }

    /// Does `work` as often as `times` says, after a warm-up of its own, and says what that cost.
    fn micro(_variant: &str, _work: Micro, _times: u64) -> io::Result<Option<Cost>> {
        Ok(None)
    }
}

#[derive(Parser)]
struct Arguments {
    /// The way in which it takes part.
    #[arg(long, global = true)]
    variant: Option<String>,
    /// The core that its threads are bound to.
    #[arg(long, global = true)]
    core: Option<usize>,
    #[command(subcommand)]
    work: Work,
}

#[derive(Subcommand)]
enum Work {
    Echo {
        #[arg(long, default_value_t = 4096)]
        size: usize,
    },
    Http,
    Files(Files),
    Micro {
        work: Micro,
        #[arg(long)]
        times: u64,
    },
    Variants,
}

/// The `main` of a contestant.
pub fn run<C: Contestant>() -> io::Result<()> {
    let arguments = Arguments::parse();
    let variant = arguments.variant.as_deref().unwrap_or(C::VARIANTS[0]);
    if !C::VARIANTS.contains(&variant) {
        let known = C::VARIANTS.join(", ");
        return Err(io::Error::other(format!("there is no variant {variant:?}; there are: {known}")));
    }
    if let Some(core) = arguments.core {
        measure::pin(core)?;
    }
    match arguments.work {
        Work::Echo { size } => C::echo(variant, server::listen()?, size),
        Work::Http => C::http(variant, server::listen()?),
        Work::Files(files) => say(C::files(variant, &files)?),
        Work::Micro { work, times } => say(C::micro(variant, work, times)?),
        Work::Variants => C::VARIANTS.iter().try_for_each(|variant| writeln!(io::stdout(), "{variant}")),
    }
}

/// The figures, or `null` where there are none.
fn say(cost: Option<Cost>) -> io::Result<()> {
    let line = serde_json::to_string(&cost).map_err(io::Error::other)?;
    writeln!(io::stdout(), "{line}")
}
