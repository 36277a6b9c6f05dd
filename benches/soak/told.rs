//! What was seen, as a table, and what is to be said of it.

use std::fmt;

use crate::Run;
use crate::load::ENDINGS;

/// What a server holds at one moment, and what it has counted until then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub seconds: u64,
    pub resident: u64,
    pub heap: u64,
    pub descriptors: u64,
    pub tasks: u64,
    pub operations: u64,
    pub orphans: u64,
    pub timers: u64,
    pub leases: u64,
    pub buffers: u64,
    pub accepted: u64,
    pub timed_out: u64,
    pub aborted: u64,
    pub reset: u64,
    pub completed: u64,
    pub stray: u64,
    pub overflows: u64,
}

impl Sample {
    fn words(&self) -> [u64; 17] {
        let Sample {
            seconds, resident, heap, descriptors, tasks, operations, orphans, timers, leases, ..
        } = *self;
        let Sample { buffers, accepted, timed_out, aborted, reset, completed, stray, overflows, .. } = *self;
        [
            seconds,
            resident,
            heap,
            descriptors,
            tasks,
            operations,
            orphans,
            timers,
            leases,
            buffers,
            accepted,
            timed_out,
            aborted,
            reset,
            completed,
            stray,
            overflows,
        ]
    }

    pub fn parse(line: &str) -> Option<Sample> {
        let words: Vec<u64> = line.split(' ').map(|word| word.parse().ok()).collect::<Option<_>>()?;
        let [seconds, resident, heap, descriptors, tasks, operations, orphans, timers, leases, rest @ ..] =
            &words[..]
        else {
            return None;
        };
        let [buffers, accepted, timed_out, aborted, reset, completed, stray, overflows] = rest else {
            return None;
        };
        Some(Sample {
            seconds: *seconds,
            resident: *resident,
            heap: *heap,
            descriptors: *descriptors,
            tasks: *tasks,
            operations: *operations,
            orphans: *orphans,
            timers: *timers,
            leases: *leases,
            buffers: *buffers,
            accepted: *accepted,
            timed_out: *timed_out,
            aborted: *aborted,
            reset: *reset,
            completed: *completed,
            stray: *stray,
            overflows: *overflows,
        })
    }

    /// What a server that nobody talks to has to give back to the last one.
    fn held(&self) -> [(&'static str, u64); 6] {
        [
            ("descriptors", self.descriptors),
            ("tasks", self.tasks),
            ("operations", self.operations),
            ("dropped operations", self.orphans),
            ("timers", self.timers),
            ("leases", self.leases),
        ]
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().map(|word| word.to_string()).join(" "))
    }
}

/// Ten moments under the load, and the two around it.
pub fn table(run: &Run) -> String {
    let mut lines = vec![
        "| | resident, MiB | heap, MiB | descriptors | tasks | operations | dropped | timers | leases | of buffers | accepted |"
            .to_owned(),
        format!("|---|{}", "--:|".repeat(10)),
    ];
    let mut row = |when: String, sample: &Sample| {
        let Sample { descriptors, tasks, operations, orphans, timers, leases, buffers, accepted, .. } =
            *sample;
        let [resident, heap] = [sample.resident, sample.heap].map(|bytes| bytes as f64 / f64::from(1 << 20));
        lines.push(format!(
            "| {when} | {resident:.1} | {heap:.1} | {descriptors} | {tasks} | {operations} | {orphans} | {timers} | {leases} | {buffers} | {accepted} |"
        ));
    };
    row("before".to_owned(), &run.before);
    for tenth in 1..=10 {
        let Some(sample) = (run.under.len() * tenth / 10).checked_sub(1).and_then(|at| run.under.get(at))
        else {
            continue;
        };
        row(format!("{} s", sample.seconds), sample);
    }
    row("after".to_owned(), &run.after);
    lines.join("\n") + "\n"
}

/// Whether something grew, or was not given back.
pub struct Verdict {
    lines: Vec<(bool, String)>,
}

impl Verdict {
    pub fn of(run: &Run) -> Verdict {
        let mut lines = Vec::new();
        for ((what, before), (_, after)) in run.before.held().into_iter().zip(run.after.held()) {
            lines.push((
                after == before,
                format!("{what}: {before} before the first client, {after} after the last"),
            ));
        }
        // What grows with connections has grown by the first third. A look is too short to tell growth from chance.
        let is_look = run.under.last().is_none_or(|last| last.seconds < 280);
        let [second, last] =
            [1, 2].map(|third| &run.under[run.under.len() * third / 3..run.under.len() * (third + 1) / 3]);
        for (what, of) in [
            ("resident memory", (|sample| sample.resident) as fn(&Sample) -> u64),
            ("heap", |sample| sample.heap),
            ("descriptors", |sample| sample.descriptors),
            ("tasks", |sample| sample.tasks),
            ("operations", |sample| sample.operations),
            ("timers", |sample| sample.timers),
            ("leases' buffers", |sample| sample.buffers),
        ] {
            let [second, last] = [second, last].map(|samples| median(samples.iter().map(of).collect()));
            let growth = (last as f64 / second.max(1) as f64 - 1.0) * 100.0;
            let told = format!(
                "{what}: in the last third {growth:+.2} % of what it was in the second (medians; 2 % are allowed)"
            );
            lines.push((growth <= 2.0 || is_look, told));
        }
        let left = run.after.heap as f64 / f64::from(1 << 20);
        lines.push((true, format!("heap after the last client: {left:.1} MiB, tables and buffers that are kept for the next ones")));
        let Sample { stray, overflows, .. } = run.after;
        lines.push((
            stray == 0,
            format!("{stray} completions of nothing that is known, {overflows} times a queue that ran over"),
        ));
        let load = &run.clients;
        lines.push((
            load.wrong == 0 && load.echoed > 0,
            format!(
                "{} messages, {} MiB, came back as they were sent, {} did not",
                load.echoed,
                load.bytes >> 20,
                load.wrong
            ),
        ));
        let Sample { accepted, timed_out, aborted, reset, completed, .. } = run.after;
        lines.push((
            timed_out > 0 && aborted > 0 && reset > 0 && run.kills > 0,
            format!(
                "the server: {accepted} connections accepted, {completed} operations; {timed_out} connections were silent too long, {aborted} aborted, {reset} broken by the other side; {} processes of clients killed",
                run.kills
            ),
        ));
        let endings = ENDINGS.iter().zip(&load.endings).map(|(how, count)| format!("{count} {how}"));
        lines.push((
            load.endings.iter().all(|count| *count > 0),
            format!(
                "the clients' connections ended: {}; {} by the server",
                endings.collect::<Vec<_>>().join(", "),
                load.ended
            ),
        ));
        lines.push((true, format!("{} connections could not be made", load.refused)));
        Verdict { lines }
    }

    pub fn is_well(&self) -> bool {
        self.lines.iter().all(|(well, _)| *well)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (well, line) in &self.lines {
            writeln!(f, "- {}{line}", if *well { "" } else { "**not as it should be**: " })?;
        }
        Ok(())
    }
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
