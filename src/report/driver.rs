//! Which driver a loop gets and why: asked by making one, so that what is said is what happens.

use super::Fact;
use super::fact::Topic;
use crate::driver::{Choice, Refusal, RingFacts};
use crate::runtime::{Builder, Error};

/// What was found.
pub(super) struct Machine {
    pub(super) driver: Option<String>,
    /// Why there is no ring.
    pub(super) refusal: Option<String>,
    /// By which number the system said so.
    pub(super) refused_with: Option<i32>,
    pub(super) ring: Option<RingFacts>,
    pub(super) facts: Vec<Fact>,
}

const WITHOUT_A_RING: &str =
    "each transfer is a system call of its own, and files are opened, read and written by helper threads";

pub(super) fn look(builder: &Builder) -> Machine {
    let (asked, ..) = builder.asked();
    let ring = match cfg!(annulus_uring) {
        true => Some(builder.clone().driver(Choice::Uring).build()),
        // There never is one here.
        false => None,
    };
    let (ring, refused) = match ring {
        Some(Ok(runtime)) => (runtime.ring_facts(), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let refusal = refused.as_ref().map(words);
    let environment = std::env::var("ANNULUS_DRIVER").ok();
    let by = match (asked, &environment) {
        (Choice::Auto, Some(_)) => "ANNULUS_DRIVER",
        _ => "the program",
    };
    let mut machine = Machine {
        driver: None,
        refused_with: refused.as_ref().and_then(system_error),
        refusal: refusal.clone(),
        ring,
        facts: Vec::new(),
    };
    let has_ring = machine.ring.is_some();
    let fact = match builder.choice() {
        Err(unknown) => Fact::good(Topic::Driver, "driver", "none")
            .missing("no loop is made", format!("ANNULUS_DRIVER: {unknown}")),
        Ok(Choice::Auto) if has_ring => serves(&mut machine, "uring", "uring".to_owned()),
        Ok(Choice::Uring) if has_ring => serves(&mut machine, "uring", format!("uring, as {by} asks")),
        Ok(Choice::Uring) => Fact::good(Topic::Driver, "driver", format!("none: {by} asks for uring"))
            .missing("no loop is made", "permit io_uring, as said below, or choose auto, which does without"),
        Ok(Choice::Sim(seed)) => {
            let value =
                format!("sim:{seed}, as {by} asks: a world in memory, of which nothing below is true");
            serves(&mut machine, "sim", value)
        }
        Ok(choice) => match builder.clone().driver(Choice::Readiness).build() {
            Err(error) => {
                Fact::good(Topic::Driver, "driver", "none").missing("no loop is made", words(&error))
            }
            Ok(_) if !cfg!(annulus_uring) => serves(&mut machine, "readiness", "readiness".to_owned()),
            Ok(_) if choice == Choice::Auto => {
                serves(&mut machine, "readiness", "readiness, since there is no ring".to_owned())
                    .fair(WITHOUT_A_RING, "have io_uring permitted: the next line says how")
            }
            Ok(_) => {
                let fact = serves(&mut machine, "readiness", format!("readiness, as {by} asks"));
                let remedy = match (has_ring, by) {
                    (true, "ANNULUS_DRIVER") => "unset ANNULUS_DRIVER: there is a ring to be had".to_owned(),
                    (true, _) => "choose Driver::Auto: there is a ring to be had".to_owned(),
                    (false, _) => {
                        format!("have io_uring permitted, as the next line says, and let {by} ask for auto")
                    }
                };
                fact.fair(WITHOUT_A_RING, remedy)
            }
        },
    };
    machine.facts.push(fact);
    if let Some(refused) = &refused {
        let (value, remedy) = told(refused);
        machine.facts.push(
            Fact::good(Topic::Driver, "io_uring", value)
                .missing("there is no ring, whoever asks for one", remedy),
        );
    } else if has_ring {
        machine.facts.push(Fact::good(Topic::Driver, "io_uring", "can be had"));
    }
    let environment = environment.unwrap_or_else(|| "not set".to_owned());
    machine.facts.push(Fact::good(Topic::Driver, "ANNULUS_DRIVER", environment));
    // Good all the same: whoever looks may not be what is slow.
    let build = match cfg!(debug_assertions) {
        true => "with debug assertions: for speed, build with --release",
        false => "without debug assertions",
    };
    machine.facts.push(Fact::good(Topic::Driver, "build", build));
    machine
}

fn serves(machine: &mut Machine, name: &str, value: String) -> Fact {
    machine.driver = Some(name.to_owned());
    Fact::good(Topic::Driver, "driver", value)
}

/// The refusal within an error.
fn refusal(error: &Error) -> Option<&Refusal> {
    match error {
        Error::Refused(refusal) => refusal.downcast_ref(),
        _ => None,
    }
}

fn words(error: &Error) -> String {
    refusal(error).map_or_else(|| error.to_string(), Refusal::to_string)
}

fn system_error(error: &Error) -> Option<i32> {
    refusal(error).and_then(|refusal| refusal.error.raw_os_error())
}

/// What was refused, and what helps.
fn told(error: &Error) -> (String, String) {
    match refusal(error) {
        Some(Refusal { what, error, remedy }) => (format!("{what}: {error}"), remedy.clone()),
        None => ("none".to_owned(), error.to_string()),
    }
}
