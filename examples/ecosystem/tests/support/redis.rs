//! A redis-server of the test's own, at a port of loopback and at a Unix socket. It keeps nothing.

use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, output};
use super::{found, free_port};

pub(crate) struct Redis {
    server: Option<Process>,
    pub(crate) port: u16,
    folder: TempDir,
}

impl Redis {
    /// None if there is none on this machine, which is said.
    pub(crate) fn start() -> Option<Redis> {
        found::program("redis-server")?;
        found::program("redis-cli")?;
        let folder = TempDir::with_prefix("annulus-redis-").expect("there is room for a folder");
        let mut redis = Redis { server: None, port: free_port(), folder };
        redis.begin();
        Some(redis)
    }

    /// Starts the server, at first or again, and waits until it takes connections.
    pub(crate) fn begin(&mut self) {
        let mut command = Command::new(found::program("redis-server").expect("it was there at the start"));
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(self.folder.path()).arg("--unixsocket").arg(self.socket());
        let mut server = Process::start(&mut command);
        // Each of its two, when it is there.
        server.says("", "The server is now ready to accept connections at");
        self.server = Some(server);
    }

    pub(crate) fn socket(&self) -> std::path::PathBuf {
        self.folder.path().join("socket")
    }

    /// What redis-cli prints.
    #[track_caller]
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let cli = found::program("redis-cli").expect("it was there at the start");
        output(Command::new(cli).args(["-p", &self.port.to_string()]).args(arguments)).trim_end().to_owned()
    }

    /// Ends it at once, in the middle of what it does.
    pub(crate) fn crash(&mut self) {
        self.server.take().expect("it runs").kill();
    }
}
