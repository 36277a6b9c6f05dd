//! `--inspect` of the examples: a live page of what the program's loops do. Included by those that have it.

use std::io;

use annulus::Builder;
use clap::Args;

/// What the flight recorder keeps where somebody looks: half a megabyte.
const RECORDS: usize = 16_384;

#[derive(Args, Clone, Debug, Default)]
pub struct Inspect {
    /// Shows what the program's loops do, live, at an address of loopback (127.0.0.1:7070) or at a socket (unix:/run/x.sock).
    #[arg(long = "inspect", value_name = "ADDRESS")]
    address: Option<String>,
}

#[cfg(feature = "inspect")]
pub type Inspector = annulus::inspect::Inspector;
/// There is none without the feature.
#[cfg(not(feature = "inspect"))]
pub type Inspector = std::convert::Infallible;

impl Inspect {
    /// Starts it, if it was asked for, and says where it is. It ends with what this gives.
    #[cfg(feature = "inspect")]
    pub fn start(&self) -> io::Result<Option<Inspector>> {
        let Some(address) = &self.address else { return Ok(None) };
        let inspector = annulus::inspect::serve(address.as_str())?;
        eprintln!("look at {}", inspector.url());
        Ok(Some(inspector))
    }

    /// Starts it, if it was asked for.
    #[cfg(not(feature = "inspect"))]
    pub fn start(&self) -> io::Result<Option<Inspector>> {
        let text = "--inspect: this program was built without it; cargo run --features inspect --example ... builds one that has it";
        if self.address.is_some() { Err(io::Error::new(io::ErrorKind::Unsupported, text)) } else { Ok(None) }
    }

    /// A loop of which more is recorded, if somebody looks.
    pub fn record(&self, builder: Builder) -> Builder {
        if self.address.is_some() { builder.flight_recorder(RECORDS) } else { builder }
    }
}
