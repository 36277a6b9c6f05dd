//! Which driver a runtime gets, and why not another.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Once;

use super::Driver;
use super::helpers::HelperPlan;
use crate::executor::Inbox;

/// Which driver a runtime uses.
///
/// `Auto` takes io_uring where the kernel has it and permits it, and readiness otherwise, saying once on
/// standard error why. The environment variable `ANNULUS_DRIVER` (`uring`, `readiness`, `sim:7` or `auto`) replaces
/// `Auto`; it does not touch an explicit choice.
///
/// ```
/// let driver: annulus::Driver = "readiness".parse()?;
/// assert_eq!(driver, annulus::Driver::Readiness);
/// # Ok::<(), annulus::UnknownDriver>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choice {
    /// io_uring if it can be had, readiness otherwise.
    #[default]
    Auto,
    /// io_uring, or an error that says what refused it.
    Uring,
    /// Readiness over epoll or kqueue, with helper threads for what can only block.
    Readiness,
    /// A small world in memory with one host, in which this seed decides what happens, and when: see `annulus::sim`.
    /// Needs the feature `sim`, which is on by default.
    Sim(u64),
}

/// A name that is not a driver's.
///
/// # Examples
/// ```
/// let unknown = "rings".parse::<annulus::Driver>().unwrap_err();
/// println!("{unknown}");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownDriver(pub(crate) String);

/// The text, for `main` and `unwrap`.
impl fmt::Debug for UnknownDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for UnknownDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no driver {:?}: say auto, uring, readiness, or sim:7 with any number", self.0)
    }
}

impl std::error::Error for UnknownDriver {}

impl FromStr for Choice {
    type Err = UnknownDriver;

    fn from_str(name: &str) -> Result<Choice, UnknownDriver> {
        match name {
            "auto" | "" => Ok(Choice::Auto),
            "uring" => Ok(Choice::Uring),
            "readiness" => Ok(Choice::Readiness),
            "sim" => Ok(Choice::Sim(0)),
            _ => {
                let seed = name.strip_prefix("sim:").and_then(|seed| seed.parse().ok());
                seed.map(Choice::Sim).ok_or_else(|| UnknownDriver(name.to_owned()))
            }
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Uring => f.write_str("uring"),
            Choice::Readiness => f.write_str("readiness"),
            Choice::Sim(seed) => write!(f, "sim:{seed}"),
        }
    }
}

/// Why a driver could not be had: what was asked of the system, what it said, and what helps.
#[derive(Debug)]
pub struct Refusal {
    pub(crate) what: &'static str,
    pub(crate) error: io::Error,
    pub(crate) remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.what, self.error, self.remedy)
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What a driver is made by.
#[cfg_attr(not(annulus_uring), allow(dead_code, reason = "most of it is the ring's"))]
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Places in the submission queue and in the completion queue.
    pub(crate) entries: u32,
    pub(crate) completions: u32,
    pub(crate) helpers: HelperPlan,
    /// Opcodes of operations that are to be done as if the ring did not know them.
    pub(crate) masked: Vec<u8>,
    /// How many places the ring's own table of descriptors has; 0 for none.
    pub(crate) direct: u32,
    /// Whether devices are asked, of files past the page cache.
    pub(crate) iopoll: bool,
    /// How many threads the kernel may have for it: for files, and for what may wait for ever. 0: as many as it likes.
    pub(crate) kernel_workers: [u32; 2],
}

impl Choice {
    /// Makes the driver, or says why not.
    pub(crate) fn open(self, settings: &Settings, inbox: &'static Inbox) -> Result<Driver, Refusal> {
        let driver = self.choose(settings, inbox)?;
        #[cfg(annulus_faults)]
        let driver = match driver {
            #[cfg(feature = "sim")]
            Driver::Sim(_) => driver,
            _ => super::faults::over(driver),
        };
        Ok(driver)
    }

    fn choose(self, settings: &Settings, inbox: &'static Inbox) -> Result<Driver, Refusal> {
        match self {
            Choice::Uring => uring(settings, inbox),
            Choice::Readiness => readiness(settings, inbox),
            Choice::Sim(seed) => simulated(seed, settings, inbox),
            Choice::Auto => uring(settings, inbox).or_else(|refusal| {
                say_once(&refusal);
                readiness(settings, inbox)
            }),
        }
    }
}

fn say_once(refusal: &Refusal) {
    static SAID: Once = Once::new();
    // On a system that never had io_uring there is nothing to say.
    if cfg!(annulus_uring) {
        SAID.call_once(|| eprintln!("annulus: no io_uring, so the readiness driver serves: {refusal}"));
    }
}

#[cfg(annulus_uring)]
fn uring(settings: &Settings, inbox: &'static Inbox) -> Result<Driver, Refusal> {
    super::uring::Ring::new(settings, inbox).map(|ring| Driver::Uring(Box::new(ring)))
}

#[cfg(not(annulus_uring))]
fn uring(_: &Settings, _: &'static Inbox) -> Result<Driver, Refusal> {
    Err(Refusal {
        what: "io_uring",
        error: io::Error::from(io::ErrorKind::Unsupported),
        remedy: match cfg!(target_os = "linux") {
            true => "annulus knows it on 64-bit x86, ARM, RISC-V, LoongArch and POWER alone",
            false => "this system has none",
        }
        .to_owned()
            + "; choose Driver::Readiness or Driver::Auto",
    })
}

#[cfg(annulus_readiness)]
fn readiness(settings: &Settings, inbox: &'static Inbox) -> Result<Driver, Refusal> {
    match super::readiness::Readiness::new(settings, inbox) {
        Ok(readiness) => Ok(Driver::Readiness(Box::new(readiness))),
        Err(error) => Err(Refusal {
            what: "the readiness driver's poller",
            error,
            remedy: "it needs three descriptors: raise `ulimit -n`, or close some".to_owned(),
        }),
    }
}

#[cfg(feature = "sim")]
fn simulated(seed: u64, settings: &Settings, inbox: &'static Inbox) -> Result<Driver, Refusal> {
    Ok(Driver::Sim(Box::new(super::sim::Sim::alone(seed, settings, inbox))))
}

#[cfg(not(feature = "sim"))]
fn simulated(_: u64, _: &Settings, _: &'static Inbox) -> Result<Driver, Refusal> {
    Err(Refusal {
        what: "the simulated driver",
        error: io::Error::from(io::ErrorKind::Unsupported),
        remedy: "annulus was built without its feature `sim`: switch it on".to_owned(),
    })
}
