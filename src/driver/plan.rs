//! What may go wrong, and how often: the plan of the fault layer and of the simulation.

/// What may go wrong, and how often: 0.0 is never, 1.0 always, of the occasions that there are.
///
/// Each of them a kernel may do at any time. The first group a program need not notice, the second group it sees: as
/// a transfer that moved less than asked, or as an error of the operation.
///
/// ```
/// use annulus::sim::Faults;
///
/// let mut faults = Faults::quiet();
/// faults.short = 0.5;
/// faults.disk_error = 0.01;
/// assert_eq!(faults.reset, 0.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Faults {
    /// Answers that come late, and so in another order.
    pub late: f64,
    /// "Not ready after all": a descriptor that is said to be ready and then is not.
    pub again: f64,
    /// Enters that are refused for now (EAGAIN, EBUSY, ENOMEM, EINTR), and are made again.
    pub enter: f64,
    /// Requests to stop that come too late.
    pub stubborn: f64,
    /// Answers that come a second time. They are counted as stray, and touch nothing.
    pub repeated: f64,

    /// Transfers that move less than asked.
    pub short: f64,
    /// EINTR, of calls on files.
    pub interrupted: f64,
    /// EIO, of reading, writing and syncing files.
    pub disk_error: f64,
    /// ENOSPC, of writing and making files.
    pub disk_full: f64,
    /// EMFILE, of everything that makes a descriptor.
    pub descriptors: f64,
    /// ENOBUFS, of sending.
    pub buffers: f64,
    /// ECONNRESET: connections that the network cuts off.
    pub reset: f64,
    /// ECONNREFUSED, of connecting.
    pub refused: f64,
    /// ETIMEDOUT: connections whose peer is not heard of any more.
    pub lost: f64,
}

impl Faults {
    /// Nothing goes wrong.
    ///
    /// # Examples
    /// As [`swarm`](Self::swarm).
    pub const fn none() -> Faults {
        Faults {
            late: 0.0,
            again: 0.0,
            enter: 0.0,
            stubborn: 0.0,
            repeated: 0.0,
            short: 0.0,
            interrupted: 0.0,
            disk_error: 0.0,
            disk_full: 0.0,
            descriptors: 0.0,
            buffers: 0.0,
            reset: 0.0,
            refused: 0.0,
            lost: 0.0,
        }
    }
}

impl Faults {
    /// What a program need not notice: late answers, refused enters, and the like.
    pub const fn quiet() -> Faults {
        Faults { late: 0.3, again: 0.1, enter: 0.1, stubborn: 0.3, ..Faults::none() }
    }

    /// Everything, often.
    ///
    /// # Examples
    /// As [`swarm`](Self::swarm).
    pub const fn all() -> Faults {
        Faults {
            late: 0.5,
            again: 0.25,
            enter: 0.2,
            stubborn: 0.3,
            repeated: 0.02,
            short: 0.5,
            interrupted: 0.02,
            disk_error: 0.02,
            disk_full: 0.01,
            descriptors: 0.02,
            buffers: 0.01,
            reset: 0.01,
            refused: 0.05,
            lost: 0.002,
        }
    }

    /// Reads a list of faults, with rates or at the rates of [`all`](Self::all), and a seed:
    /// `short,late=0.9,seed=7`. That is what `ANNULUS_FAULTS` holds.
    pub(crate) fn parse(list: &str) -> Result<(Faults, u64), String> {
        let (mut faults, mut seed, mut all) = (Faults::none(), 0, Faults::all());
        for word in list.split(',').filter(|word| !word.is_empty()) {
            let (name, value) =
                word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            let place = all.rates().iter().position(|(known, _)| *known == name);
            let understood = match (place, value) {
                (None, Some(number)) if name == "seed" => number.parse().map(|number| seed = number).is_ok(),
                (None, _) => false,
                (Some(place), None) => {
                    *faults.rates()[place].1 = *all.rates()[place].1;
                    true
                }
                (Some(place), Some(rate)) => rate.parse().map(|rate| *faults.rates()[place].1 = rate).is_ok(),
            };
            if !understood {
                let names = all.rates().map(|(name, _)| name).join(", ");
                return Err(format!(
                    "{word:?} is no fault: there are {names}, each with a rate or without, and seed=7"
                ));
            }
        }
        Ok((faults, seed))
    }

    fn rates(&mut self) -> [(&'static str, &mut f64); 14] {
        [
            ("late", &mut self.late),
            ("again", &mut self.again),
            ("enter", &mut self.enter),
            ("stubborn", &mut self.stubborn),
            ("repeated", &mut self.repeated),
            ("short", &mut self.short),
            ("interrupted", &mut self.interrupted),
            ("disk_error", &mut self.disk_error),
            ("disk_full", &mut self.disk_full),
            ("descriptors", &mut self.descriptors),
            ("buffers", &mut self.buffers),
            ("reset", &mut self.reset),
            ("refused", &mut self.refused),
            ("lost", &mut self.lost),
        ]
    }
}

#[cfg(feature = "sim")]
impl Faults {
    /// These faults, each left out or kept by the seed: a bug may need one fault and the absence of another. After
    /// Groce and others, Swarm testing (2012).
    ///
    /// # Examples
    /// ```
    /// use annulus::sim::Faults;
    ///
    /// // Of all that may go wrong some, chosen by a seed: other tests find other bugs.
    /// let faults = Faults::all().swarm(7);
    /// assert_ne!(faults, Faults::none());
    /// ```
    pub fn swarm(&self, seed: u64) -> Faults {
        let mut dice = crate::dice::Dice::new(seed);
        let mut swarm = self.clone();
        for (_, rate) in swarm.rates() {
            if dice.one_in(2) {
                *rate = 0.0;
            }
        }
        swarm
    }
}

impl Default for Faults {
    fn default() -> Faults {
        Faults::none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_faults_says_which_and_how_often() {
        let (faults, seed) = Faults::parse("short,late=0.9,seed=7").unwrap();
        assert_eq!((faults.short, faults.late, faults.again, seed), (Faults::all().short, 0.9, 0.0, 7));
        let text = Faults::parse("shrt").unwrap_err();
        assert!(text.contains("shrt") && text.contains("short"), "{text}");
    }
}
