//! What the machine gives a loop, and why: as text for people and as JSON for programs.
//!
//! A report is a list of facts, each with what it costs and what helps where it is not at its best, and a list of the
//! operations. Looking changes nothing: a ring that is made for it is closed again.

mod driver;
mod fact;
mod json;
mod limits;
mod operations;
mod permission;
mod proc;
mod ring;
mod text;

pub use fact::{Fact, Standing, Topic};
pub use operations::{Operation, OperationForm};

use crate::runtime::Builder;

/// What this machine gives annulus, and why, with a remedy for each thing that is not at its best.
///
/// It looks at what [`Driver::Auto`](crate::Driver) would choose here, as [`run`](crate::run) does. For other settings there
/// is [`Builder::report`]. It reads some small files of `/proc` and makes a ring for a moment, so it is for a program's start or
/// for its page of status, and not for each request. `cargo run --example doctor` prints it.
///
/// # Examples
/// ```
/// let report = annulus::report();
/// println!("{report}");
/// for fact in report.facts() {
///     if let Some(remedy) = fact.remedy() {
///         eprintln!("{}: {}: {remedy}", fact.name(), fact.value());
///     }
/// }
/// ```
pub fn report() -> Report {
    Builder::new().report()
}

/// What [`report`] found: plain data, of one moment.
///
/// Displayed it is text for a terminal of 100 columns, without colours: those are asked for by [`coloured`](Report::coloured).
///
/// # Examples
/// ```
/// use annulus::report::Standing;
///
/// let report = annulus::report();
/// println!("{:?}, because of {:?}", report.driver(), report.refusal());
/// for fact in report.facts() {
///     println!("{}: {} is {} ({:?})", fact.topic().name(), fact.name(), fact.value(), fact.number());
///     if fact.standing() != Standing::Good {
///         println!("costs {:?}; what helps: {:?}", fact.costs(), fact.remedy());
///     }
/// }
/// for operation in report.operations() {
///     println!("{} by {}, {:?}", operation.name(), operation.form().name(), operation.standing());
///     println!("what helps: {:?}", operation.remedy());
/// }
/// println!("{}, {:?}", report.standing().name(), report.fact("RLIMIT_NOFILE"));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    system: String,
    driver: Option<String>,
    refusal: Option<String>,
    facts: Vec<Fact>,
    operations: Vec<Operation>,
}

impl Builder {
    /// What this machine gives a loop of these settings, and why. See [`report`].
    ///
    /// # Examples
    /// ```
    /// use annulus::{Builder, Driver};
    ///
    /// let report = Builder::new().driver(Driver::Readiness).report();
    /// assert_eq!(report.driver(), Some("readiness"));
    /// ```
    pub fn report(&self) -> Report {
        let machine = driver::look(self);
        let permission = permission::facts(machine.refused_with);
        let mut facts = machine.facts;
        facts.extend(permission);
        facts.extend(machine.ring.iter().flat_map(|ring| ring::facts(ring, self)));
        facts.extend(limits::facts());
        let operations = operations::of(machine.driver.as_deref(), machine.ring.as_ref(), self);
        let system = fact::system();
        Report { system, driver: machine.driver, refusal: machine.refusal, facts, operations }
    }
}

impl Report {
    /// Which driver a loop gets: `"uring"`, `"readiness"` or `"sim"`. None if it gets none.
    pub fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    /// Why there is no ring: what was refused, by which error, and what helps. None where there is one, whether or not it is the
    /// driver, and on systems that never have one.
    pub fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// All facts, by their topics.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The fact of that name, `"RLIMIT_NOFILE"` for example. None if this system has no such thing.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name() == name)
    }

    /// How each operation is done.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// How the worst of all is.
    pub fn standing(&self) -> Standing {
        let facts = self.facts.iter().map(Fact::standing);
        facts.chain(self.operations.iter().map(Operation::standing)).max().unwrap_or(Standing::Good)
    }
}
