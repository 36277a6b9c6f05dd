//! What the server is started with, and what it says of itself.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use annulus::Driver;
use annulus::launch::{Balance, OnFailure};
use clap::{Parser, ValueEnum};

use crate::inspect::Inspect;
use crate::server::Limits;

/// How long a connection may wait for one more request when the server ends, at most.
const LAST_REQUEST_MAX: Duration = Duration::from_secs(1);

/// What `--help` says after the options.
const MORE: &str = concat!(
    "\
Signals:
  TERM, INT  An orderly end: nobody new is let in, each connection is answered what it has asked, and told that it
             closes; one that waits has up to a second for one more request. The second time, the end at once
  HUP        Looks all files up anew
  USR2       Starts this program once more, with the same arguments and the listening sockets. When it serves, this
             process ends in an orderly way: no connection is refused, and no request lost

systemd: sockets that a unit gives (LISTEN_FDS) are taken in place of --addr; it is told when the server is ready, reads
files anew, and ends. A unit:

",
    include_str!("serve.service"),
    "\nand its socket:\n\n",
    include_str!("serve.socket")
);

/// Serves files over HTTP/1.1.
#[derive(Parser)]
#[command(after_help = "--help says more, of signals and of systemd.", after_long_help = MORE)]
pub struct Arguments {
    /// The directory to serve.
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub addr: String,
    #[command(flatten)]
    pub inspect: Inspect,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    pub driver: Driver,
    /// How many threads serve, each with a loop of its own. By default as many as there are processors that this process may use, within
    /// its quota of their time.
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// Which thread gets a connection.
    #[arg(long, value_enum, default_value_t = Policy::Kernel)]
    pub balance: Policy,
    /// What becomes of the others when a thread fails.
    #[arg(long, value_enum, default_value_t = WhenFailed::Restart)]
    pub on_failure: WhenFailed,
    /// How long what runs may take to end when the server is to, in seconds. Then it is cut off.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub drain_limit: Duration,
    /// How many connections at most, of all threads; who comes beyond that is told 503.
    #[arg(long, default_value_t = 10_000)]
    pub connections_max: usize,
    /// How long a request's head may take, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub header_timeout: Duration,
    /// How long a connection may wait for its next request, in seconds.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// How long a peer may leave what it is sent unread, in seconds.
    #[arg(long, default_value = "30", value_parser = seconds)]
    pub write_timeout: Duration,
    /// No line each second.
    #[arg(long)]
    pub quiet: bool,
}

/// [`Balance`], as one says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Policy {
    /// The one that the kernel chooses, by a hash of the addresses.
    Kernel,
    /// That of the processor on which the connection comes in.
    Cpu,
    /// One after the other.
    RoundRobin,
    /// The one that has the fewest.
    LeastConnections,
    /// The one that took the least processor time lately.
    LeastBusy,
}

impl From<Policy> for Balance {
    fn from(policy: Policy) -> Balance {
        match policy {
            Policy::Kernel => Balance::Kernel,
            Policy::Cpu => Balance::Cpu,
            Policy::RoundRobin => Balance::RoundRobin,
            Policy::LeastConnections => Balance::LeastConnections,
            Policy::LeastBusy => Balance::LeastBusy,
        }
    }
}

/// [`OnFailure`], as one says it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum WhenFailed {
    /// They end in an orderly way, and the program with them.
    Stop,
    /// They go on, and it is started again; the sixth time within a minute all end.
    Restart,
    /// They go on without it.
    GoOn,
}

impl From<WhenFailed> for OnFailure {
    fn from(what: WhenFailed) -> OnFailure {
        match what {
            WhenFailed::Stop => OnFailure::Stop,
            WhenFailed::Restart => OnFailure::restart(5, Duration::from_secs(60)),
            WhenFailed::GoOn => OnFailure::GoOn,
        }
    }
}

impl Arguments {
    pub fn limits(&self) -> Limits {
        Limits {
            connections_max: self.connections_max,
            header_timeout: self.header_timeout,
            idle_timeout: self.idle_timeout,
            // The answer to that request is to have time as well.
            last_request_timeout: LAST_REQUEST_MAX.min(self.drain_limit / 2),
            write_timeout: self.write_timeout,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no number of seconds"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// What a unit's file says of a key.
    fn said<'a>(unit: &'a str, key: &str) -> &'a str {
        let line = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("there is no {key}"))
    }

    #[test]
    fn the_unit_starts_this_program_and_gives_it_the_time_that_it_needs() {
        let unit = include_str!("serve.service");
        let arguments = Arguments::try_parse_from(said(unit, "ExecStart").split(' ')).unwrap();
        let stops_within = seconds(said(unit, "TimeoutStopSec")).unwrap();
        assert!(stops_within > arguments.drain_limit + Duration::from_secs(10), "a launch's cut_off_limit");
        assert_eq!(said(unit, "KillMode"), "mixed");
        assert_eq!((said(unit, "Type"), said(unit, "NotifyAccess")), ("notify", "all"));
        let socket: Result<std::net::SocketAddr, _> =
            said(include_str!("serve.socket"), "ListenStream").parse();
        socket.unwrap();
    }

    #[test]
    fn the_help_says_what_signals_do_and_how_systemd_starts_it() {
        let help = Arguments::command().render_long_help().to_string();
        for word in ["  USR2  ", "  HUP  ", "[Service]", "[Socket]", "least-connections", "go-on"] {
            assert!(help.contains(word), "{word}: {help}");
        }
    }

    #[test]
    fn one_more_request_takes_half_of_the_time_to_end_and_a_second_at_most() {
        let waits = |arguments: &[&str]| {
            let arguments = Arguments::try_parse_from([&["serve"], arguments].concat()).unwrap();
            arguments.limits().last_request_timeout
        };
        assert_eq!(waits(&[]), Duration::from_secs(1));
        assert_eq!(waits(&["--drain-limit", "0.5"]), Duration::from_millis(250));
        assert_eq!(waits(&["--drain-limit", "0"]), Duration::ZERO);
    }
}
