//! Who takes part, and in which ways.

use std::path::{Path, PathBuf};

/// One line of every table.
pub struct Contestant {
    /// As the tables call it.
    pub name: &'static str,
    /// Its program, beside this one.
    program: &'static str,
    pub variant: &'static str,
    /// The crate whose version is told, and how its ring is made.
    pub package: &'static str,
    pub flags: &'static str,
}

/// What all others are compared with.
pub const REFERENCE: &str = "bare ring";

const STRONGEST: &str = "SINGLE_ISSUER, DEFER_TASKRUN, SUBMIT_ALL";

pub const ALL: &[Contestant] = &[
    of(REFERENCE, "bare_ring", "bare ring", "io-uring", STRONGEST),
    of("bare epoll", "bare_epoll", "bare epoll", "", "no ring"),
    of("annulus", "annulus", "owned", "annulus", STRONGEST),
    of("annulus, leases", "annulus", "leases", "annulus", STRONGEST),
    of("annulus, readiness", "annulus", "readiness", "annulus", "no ring"),
    of("tokio", "tokio", "tokio", "tokio", "no ring"),
    of("smol", "smol", "default", "smol", "no ring"),
    of("monoio", "monoio", "default", "monoio", "none"),
    of("monoio, tuned", "monoio", "tuned", "monoio", "SINGLE_ISSUER, COOP_TASKRUN, TASKRUN_FLAG"),
    of("compio", "compio", "default", "compio", "its own"),
    of("compio, tuned", "compio", "tuned", "compio", "SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG"),
    of("compio, multishot", "compio", "multishot", "compio", "SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG"),
    of("glommio", "glommio", "default", "glommio", "its own"),
    of("tokio-uring", "tokio_uring", "default", "tokio-uring", "none"),
    of(
        "tokio-uring, tuned",
        "tokio_uring",
        "tuned",
        "tokio-uring",
        "SINGLE_ISSUER, COOP_TASKRUN, TASKRUN_FLAG",
    ),
    of("kimojio", "kimojio", "default", "kimojio", "its own"),
];

const fn of(
    name: &'static str,
    program: &'static str,
    variant: &'static str,
    package: &'static str,
    flags: &'static str,
) -> Contestant {
    Contestant { name, program, variant, package, flags }
}

impl Contestant {
    pub fn path(&self, programs: &Path) -> PathBuf {
        programs.join(self.program)
    }

    /// The version that the lock file names.
    pub fn version(&self) -> String {
        let lock = include_str!("../../../Cargo.lock");
        let entry = format!("name = \"{}\"\nversion = \"", self.package);
        let found = lock.split_once(&entry).and_then(|(_, rest)| rest.split('"').next());
        found.unwrap_or("-").to_owned()
    }
}
