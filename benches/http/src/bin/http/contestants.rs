//! Who takes part: a program, and how it is told to serve.

/// A server, in one of its ways.
pub struct Contestant {
    pub name: &'static str,
    pub program: &'static str,
    pub arguments: &'static [&'static str],
    /// Whether it takes part unless others are named.
    pub by_default: bool,
}

const fn one(name: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Contestant {
    Contestant { name, program, arguments, by_default: true }
}

const fn more(name: &'static str, program: &'static str, arguments: &'static [&'static str]) -> Contestant {
    Contestant { by_default: false, ..one(name, program, arguments) }
}

/// Who serves the Router. The first is what the others are compared with.
pub const HTTP: &[Contestant] = &[
    one("tokio", "axum-tokio", &[]),
    one("tokio, auto", "axum-tokio", &["--serve", "auto"]),
    more("tokio, auto, timer", "axum-tokio", &["--serve", "auto-timer"]),
    one("annulus", "axum-annulus", &[]),
    one("annulus, readiness", "axum-annulus", &["--driver", "readiness"]),
    one("annulus, hyper over poll", "axum-annulus", &["--plain-hyper", "--view", "poll"]),
    one("annulus, hyper over buffered", "axum-annulus", &["--plain-hyper", "--view", "buffered"]),
];

/// Who moves bytes over TLS. The first is what the others are compared with.
pub const TLS: &[Contestant] = &[
    one("tokio", "tls-tokio", &[]),
    one("annulus, poll", "tls-annulus", &["--view", "poll"]),
    one("annulus, buffered", "tls-annulus", &["--view", "buffered"]),
    more("annulus, readiness", "tls-annulus", &["--view", "poll", "--driver", "readiness"]),
];
