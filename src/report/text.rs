//! The report as text: aligned, at most 100 columns wide but for words that are longer, remedies below what they are for.

use std::fmt;

use super::{Fact, Operation, OperationForm, Report, Standing};

const COLUMNS: usize = 100;
/// Where values begin: the longest name fits.
const VALUES_AT: usize = 32;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, false)
    }
}

struct Coloured<'a>(&'a Report);

impl fmt::Display for Coloured<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, true)
    }
}

impl Report {
    /// The same text with colours of ANSI terminals: green, yellow and red marks.
    ///
    /// ```
    /// use std::io::IsTerminal;
    ///
    /// let report = annulus::report();
    /// match std::io::stdout().is_terminal() {
    ///     true => print!("{}", report.coloured()),
    ///     false => print!("{report}"),
    /// }
    /// ```
    pub fn coloured(&self) -> impl fmt::Display + '_ {
        Coloured(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, has_colours: bool) -> fmt::Result {
        let driver = self.driver().map_or("no loop can be made".to_owned(), |name| format!("driver {name}"));
        writeln!(f, "annulus {} on {}: {driver}", env!("CARGO_PKG_VERSION"), self.system)?;
        let mut page = Page { f, has_colours };
        let mut topic = None;
        for fact in &self.facts {
            if topic.replace(fact.topic()) != Some(fact.topic()) {
                write!(page.f, "\n{}\n", fact.topic().name())?;
            }
            page.fact(fact)?;
        }
        write!(page.f, "\noperations\n")?;
        for (form, title) in FORMS {
            page.operations(title, self.operations.iter().filter(|operation| operation.form() == form))?;
        }
        for operation in self.operations.iter().filter(|operation| operation.remedy().is_some()) {
            page.line(
                Standing::Fair,
                operation.name(),
                &format!("not by the ring, but by a {}", operation.form().name()),
            )?;
            page.below("remedy", operation.remedy())?;
        }
        page.sum(self)
    }
}

const FORMS: [(OperationForm, &str); 4] = [
    (OperationForm::Ring, "by the ring"),
    (OperationForm::Call, "by a system call"),
    (OperationForm::Helper, "by a helper thread"),
    (OperationForm::World, "by a world in memory"),
];

struct Page<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    has_colours: bool,
}

impl Page<'_, '_> {
    fn fact(&mut self, fact: &Fact) -> fmt::Result {
        self.line(fact.standing(), fact.name(), fact.value())?;
        self.below("costs", fact.costs())?;
        self.below("remedy", fact.remedy())
    }

    fn line(&mut self, standing: Standing, name: &str, value: &str) -> fmt::Result {
        let (mark, colour) = mark(standing);
        let (on, off) = if self.has_colours { (colour, "\x1b[0m") } else { ("", "") };
        let width = VALUES_AT - 6;
        write!(self.f, "  {on}{mark:<2}{off}  {name:<width$}")?;
        self.wrapped(value, VALUES_AT)
    }

    /// What belongs to the line above.
    fn below(&mut self, title: &str, text: Option<&str>) -> fmt::Result {
        let Some(text) = text else { return Ok(()) };
        let width = VALUES_AT;
        write!(self.f, "{:<width$}", "")?;
        self.wrapped(&format!("{title}: {text}"), VALUES_AT + 2)
    }

    fn operations<'a>(&mut self, title: &str, all: impl Iterator<Item = &'a Operation>) -> fmt::Result {
        let names: Vec<_> =
            all.filter(|operation| operation.remedy().is_none()).map(Operation::name).collect();
        match names.is_empty() {
            true => Ok(()),
            false => self.line(Standing::Good, title, &names.join(", ")),
        }
    }

    /// Text from here on, its further lines from that column on.
    fn wrapped(&mut self, text: &str, indent: usize) -> fmt::Result {
        let mut column = VALUES_AT;
        for (place, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 && column + 1 + length > COLUMNS {
                write!(self.f, "\n{:<indent$}", "")?;
                column = indent;
            } else if place > 0 {
                self.f.write_str(" ")?;
                column += 1;
            }
            self.f.write_str(word)?;
            column += length;
        }
        self.f.write_str("\n")
    }

    /// What there is to do, last: it is what stays in sight.
    fn sum(&mut self, report: &Report) -> fmt::Result {
        let names = |standing| -> Vec<_> {
            let facts = report.facts.iter().filter(|fact| fact.standing() == standing).map(Fact::name);
            let all = report.operations.iter().filter(|operation| operation.standing() == standing);
            facts.chain(all.map(Operation::name)).collect()
        };
        let (fair, missing) = (names(Standing::Fair), names(Standing::Missing));
        self.f.write_str("\n")?;
        if fair.is_empty() && missing.is_empty() {
            return self.f.write_str(
                "All is at its best. For a program that is slow all the same there is Runtime::metrics.\n",
            );
        }
        for (title, names) in [("missing", missing), ("could be better", fair)] {
            if !names.is_empty() {
                let width = VALUES_AT;
                let (mark, _) = mark(if title == "missing" { Standing::Missing } else { Standing::Fair });
                write!(self.f, "{:<width$}", format!("  {mark:<2}  {title}: {}", names.len()))?;
                self.wrapped(&names.join(", "), VALUES_AT)?;
            }
        }
        Ok(())
    }
}

fn mark(standing: Standing) -> (&'static str, &'static str) {
    match standing {
        Standing::Good => ("ok", "\x1b[32m"),
        Standing::Fair => ("~", "\x1b[33m"),
        Standing::Missing => ("!!", "\x1b[31m"),
    }
}
