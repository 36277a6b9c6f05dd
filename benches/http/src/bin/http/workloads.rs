//! What is asked of the contestants.

use annulus_http_bench::Direction;

use super::contestants::{self, Contestant};
use super::tools::Asked;

/// One table's worth.
pub struct Workload {
    pub name: &'static str,
    pub work: Work,
}

/// How it is loaded.
#[derive(Clone, Copy)]
pub enum Work {
    Http1 {
        asked: Asked,
        connections: usize,
    },
    Http2 {
        asked: Asked,
        connections: usize,
        streams: usize,
    },
    /// One connection over TLS, and as many bytes as go in the time.
    Bulk(Direction),
    /// Connections that have asked once and then are silent.
    Idle,
}

const fn one(name: &'static str, work: Work) -> Workload {
    Workload { name, work }
}

/// All of them, in the order of the tables.
pub const ALL: &[Workload] = &[
    one("h1", Work::Http1 { asked: Asked::Hello, connections: 64 }),
    one("h1-json", Work::Http1 { asked: Asked::Json, connections: 64 }),
    one("h1-echo", Work::Http1 { asked: Asked::Echo(1024), connections: 64 }),
    one("h2", Work::Http2 { asked: Asked::Hello, connections: 8, streams: 16 }),
    one("h2-echo", Work::Http2 { asked: Asked::Echo(1024), connections: 8, streams: 16 }),
    one("tls-down", Work::Bulk(Direction::Down)),
    one("tls-up", Work::Bulk(Direction::Up)),
    one("idle", Work::Idle),
];

impl Work {
    /// What it does, in words.
    pub fn title(self) -> String {
        let asked = |asked: Asked| match asked {
            Asked::Hello => "GET /, a text of 5 bytes".to_owned(),
            Asked::Json => "GET /json, a small object".to_owned(),
            Asked::Echo(size) => format!("POST /echo, a body of {size} bytes and back"),
        };
        match self {
            Work::Http1 { asked: what, connections } => {
                format!("HTTP/1.1 keep-alive, {connections} connections, {} (wrk)", asked(what))
            }
            Work::Http2 { asked: what, connections, streams } => {
                format!("HTTP/2, {connections} connections of {streams} streams, {} (h2load)", asked(what))
            }
            Work::Bulk(Direction::Down) => "TLS 1.3, one connection, the server sends in bulk".to_owned(),
            Work::Bulk(Direction::Up) => "TLS 1.3, one connection, the server takes in bulk".to_owned(),
            Work::Idle => "idle keep-alive connections, after one request each".to_owned(),
        }
    }

    /// What is counted, per second of the server's processor and by the wall.
    pub fn unit(self) -> &'static str {
        if matches!(self, Work::Bulk(_)) { "MiB" } else { "requests" }
    }

    /// Who takes part in it; the first is the reference.
    pub fn contestants(self) -> &'static [Contestant] {
        if matches!(self, Work::Bulk(_)) { contestants::TLS } else { contestants::HTTP }
    }
}
