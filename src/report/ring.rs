//! What the ring's set-up got: its size, flags and features.

use super::Fact;
use super::fact::Topic;
use crate::driver::RingFacts;
use crate::runtime::Builder;

/// What each flag is worth, and the Linux that has it.
const FLAGS: &[(&str, &str, &str)] = &[
    ("SINGLE_ISSUER", "a lock at each enter", "6.0"),
    ("DEFER_TASKRUN", "completions break in on the loop instead of coming in batches", "6.1"),
    ("COOP_TASKRUN", "each completion interrupts the loop", "5.19"),
    ("SUBMIT_ALL", "an entry with an error ends its batch: one more enter", "5.18"),
    ("NO_SQARRAY", "one more look-up an entry", "6.6"),
];

pub(super) fn facts(ring: &RingFacts, builder: &Builder) -> Vec<Fact> {
    let (_, entries, direct) = builder.asked();
    let size = format!("{}, and {} for completions", ring.entries, ring.completions);
    let mut facts = vec![Fact::good(Topic::Ring, "entries", size).of(ring.entries.into()).fair_if(
        // The kernel's own limit is nobody's to raise.
        ring.entries < entries.min(32_768),
        "fewer than were asked for: the kernel is entered more often",
        || "more memory may have to be locked: raise `ulimit -l`".to_owned(),
    )];
    for (name, is_given) in &ring.flags {
        let Some((name, costs, since)) = FLAGS.iter().find(|(flag, ..)| flag == name) else { continue };
        let fact = Fact::good(Topic::Ring, name, if *is_given { "yes" } else { "no" });
        facts.push(fact.fair_if(!is_given, costs, || newer(since)));
    }
    let mut yes_or_no = |name, has: bool, costs: &str, since: &str| {
        let fact = Fact::good(Topic::Ring, name, if has { "yes" } else { "no" });
        facts.push(fact.fair_if(!has, costs, || newer(since)));
    };
    yes_or_no(
        "registered by index",
        ring.is_registered,
        "a look-up of the ring's descriptor each enter",
        "5.18",
    );
    yes_or_no(
        "buffers are picked",
        ring.picks,
        "a receive into a lease waits first and is then a system call",
        "5.19",
    );
    if direct > 0 {
        yes_or_no(
            "direct descriptors",
            ring.is_direct,
            "connections are in the process's table after all",
            "6.8",
        );
    }
    facts.push(Fact::good(Topic::Ring, "features", ring.features.join(", ")));
    facts
}

fn newer(since: &str) -> String {
    format!("a newer kernel: Linux {since} has it")
}
