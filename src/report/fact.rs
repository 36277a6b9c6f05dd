//! One thing that was found: what it is, how it is, what it costs and what helps.

use crate::sys;

/// What a fact is about.
///
/// # Examples
/// As [`Report`](super::Report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// Which driver serves.
    Driver,
    /// What permits or forbids a ring.
    Permission,
    /// What the ring's set-up got.
    Ring,
    /// Limits of the process, and of the container it is in.
    Limits,
    /// Settings of the whole system.
    System,
}

impl Topic {
    /// Its name, in lower case.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn name(self) -> &'static str {
        match self {
            Topic::Driver => "driver",
            Topic::Permission => "permission",
            Topic::Ring => "ring",
            Topic::Limits => "limits",
            Topic::System => "system",
        }
    }
}

/// How good something is. The worse, the greater.
///
/// # Examples
/// As [`Report`](super::Report).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Standing {
    /// As it should be, or nothing that matters here.
    Good,
    /// It works and could work better.
    Fair,
    /// It is not to be had.
    Missing,
}

impl Standing {
    /// Its name, in lower case.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn name(self) -> &'static str {
        match self {
            Standing::Good => "good",
            Standing::Fair => "fair",
            Standing::Missing => "missing",
        }
    }
}

/// One thing that was found.
///
/// # Examples
/// As [`Report`](super::Report).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    topic: Topic,
    name: &'static str,
    value: String,
    number: Option<u64>,
    standing: Standing,
    costs: Option<String>,
    remedy: Option<String>,
}

impl Fact {
    /// What it is about.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn topic(&self) -> Topic {
        self.topic
    }

    /// What it is: the system's own name, where it has one.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn name(&self) -> &str {
        self.name
    }

    /// What was found, in words.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What was found, if that is a number: bytes of memory, otherwise pieces. None also where there is no bound.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn number(&self) -> Option<u64> {
        self.number
    }

    /// How good that is.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// What it costs. None if it is good.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn costs(&self) -> Option<&str> {
        self.costs.as_deref()
    }

    /// What helps. None if it is good.
    ///
    /// # Examples
    /// As [`Report`](super::Report).
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    pub(super) fn good(topic: Topic, name: &'static str, value: impl Into<String>) -> Fact {
        let value = value.into();
        Fact { topic, name, value, number: None, standing: Standing::Good, costs: None, remedy: None }
    }

    /// Its value is also a number.
    pub(super) fn of(self, number: u64) -> Fact {
        Fact { number: (number != u64::MAX).then_some(number), ..self }
    }

    /// It is not at its best.
    pub(super) fn fair(self, costs: impl Into<String>, remedy: impl Into<String>) -> Fact {
        Fact { standing: Standing::Fair, costs: Some(costs.into()), remedy: Some(remedy.into()), ..self }
    }

    /// It is not there.
    pub(super) fn missing(self, costs: impl Into<String>, remedy: impl Into<String>) -> Fact {
        Fact { standing: Standing::Missing, ..self.fair(costs, remedy) }
    }

    /// As `fair`, if so.
    pub(super) fn fair_if(self, is_so: bool, costs: &str, remedy: impl FnOnce() -> String) -> Fact {
        if is_so { self.fair(costs, remedy()) } else { self }
    }
}

/// A number of bytes in words: whole units, where they are whole.
pub(super) fn bytes(count: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| count >= *unit && count % unit == 0) {
        _ if count == u64::MAX => "unlimited".to_owned(),
        Some((unit, name)) => format!("{} {name}", count / unit),
        None => format!("{count} bytes"),
    }
}

/// A number of pieces in words.
pub(super) fn pieces(count: u64) -> String {
    if count == u64::MAX { "unlimited".to_owned() } else { count.to_string() }
}

/// The system by its own words.
pub(super) fn system() -> String {
    sys::limits::system().map(|names| names.join(" ")).unwrap_or_else(|_| std::env::consts::OS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_in_whole_units() {
        assert_eq!(
            [1 << 30, 8 << 20, 1 << 16, 1023, 1025, 0].map(bytes),
            ["1 GiB", "8 MiB", "64 KiB", "1023 bytes", "1025 bytes", "0 bytes"]
        );
        assert_eq!((bytes(u64::MAX), pieces(u64::MAX)), ("unlimited".into(), "unlimited".into()));
        assert_eq!(Fact::good(Topic::Limits, "a", "unlimited").of(u64::MAX).number(), None);
    }
}
