//! A PostgreSQL of the test's own: in a temporary folder, at a port of loopback and at a Unix socket, ended with the test.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, output, signal_to};
use super::{found, free_port, until};

pub(crate) struct Postgres {
    server: Option<Process>,
    pub(crate) port: u16,
    folder: TempDir,
    settings: Vec<String>,
}

impl Postgres {
    /// None if there is none on this machine, which is said. The settings are `name=value`, as in its configuration.
    pub(crate) fn start(settings: &[&str]) -> Option<Postgres> {
        let initdb = found::program("initdb")?;
        found::program("psql")?;
        let folder = TempDir::with_prefix("annulus-postgres-").expect("there is room for a folder");
        if let Some((user, group)) = unprivileged() {
            chown(folder.path(), Some(user), Some(group)).expect("root may give things away");
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut postgres = Postgres { server: None, port: free_port(), folder, settings };
        output(as_somebody(Command::new(initdb)).arg("-D").arg(postgres.data()).args([
            "-U",
            "annulus",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
            "--no-instructions",
        ]));
        if postgres.settings.iter().any(|setting| setting == "ssl=on") {
            postgres.certificate("server");
            postgres.settings.extend(["cert", "key"].map(|kind| {
                format!(
                    "ssl_{kind}_file={}",
                    postgres.folder.path().join("server").with_extension(kind).display()
                )
            }));
        }
        postgres.begin();
        Some(postgres)
    }

    /// Starts the server, at first or again, and waits until it takes connections.
    pub(crate) fn begin(&mut self) {
        let mut command =
            as_somebody(Command::new(found::program("postgres").expect("it comes with initdb")));
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in ["fsync=off", "shared_buffers=16MB", "max_connections=50", "restart_after_crash=off"] {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut server = Process::start(&mut command);
        server.says("", "database system is ready to accept connections");
        self.server = Some(server);
    }

    /// How one connects to it: over TCP, and over its Unix socket.
    pub(crate) fn tcp(&self) -> String {
        format!("host=127.0.0.1 port={} user=annulus dbname=postgres", self.port)
    }

    pub(crate) fn unix(&self) -> String {
        format!("host={} port={} user=annulus dbname=postgres", self.folder.path().display(), self.port)
    }

    /// Where its files are; tests may put their own into the folder.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What makes a client trust it: nothing is needed without TLS.
    pub(crate) fn trusted(&self) -> Vec<(&'static str, PathBuf)> {
        vec![("PGSSLROOTCERT", self.folder.path().join("server.cert"))]
    }

    /// One that says the same of itself, and is another's.
    pub(crate) fn another_certificate(&self) -> PathBuf {
        self.certificate("other")
    }

    /// A certificate for 127.0.0.1, which nobody but itself has signed, and its key: a file of the server's, that only it may read.
    fn certificate(&self, name: &str) -> PathBuf {
        let place = |kind: &str| self.folder.path().join(name).with_extension(kind);
        let wanted = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = more\n[name]\nCN = 127.0.0.1\n\
                      [more]\nsubjectAltName = IP:127.0.0.1\nbasicConstraints = critical, CA:FALSE\n";
        fs::write(place("wanted"), wanted).expect("it is the test's folder");
        let openssl = found::program("openssl").expect("tests that want TLS have looked");
        let mut command = as_somebody(Command::new(openssl));
        command
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-config"])
            .arg(place("wanted"));
        output(command.arg("-keyout").arg(place("key")).arg("-out").arg(place("cert")));
        place("cert")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What psql prints, without decoration.
    #[track_caller]
    pub(crate) fn psql(&self, sql: &str) -> String {
        let psql = found::program("psql").expect("it was there at the start");
        let mut command = Command::new(psql);
        command.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.tcp(), "-c", sql]);
        output(&mut command).trim_end().to_owned()
    }

    /// Ends it at once, and all that serve connections, in the middle of what they do.
    pub(crate) fn crash(&mut self) {
        let backends = self.psql("select pid from pg_stat_activity");
        let mut server = self.server.take().expect("it runs");
        // Held first, for otherwise each sees the end of another and says farewell.
        server.signal("STOP");
        for id in backends.lines().filter_map(|line| line.parse().ok()) {
            signal_to(id, "KILL");
            // It cannot be started again before nobody has its memory any more.
            until("the end of a backend", || is_gone(id).then_some(()));
        }
        server.kill();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // The quick end, by which nobody who serves a connection is left behind.
        server.signal("INT");
        for _ in 0..500 {
            if server.has_ended() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

/// Whether a process has ended: it is not there, or nobody has asked yet how it did.
fn is_gone(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// It refuses to be root's. So root's tests start it as nobody.
fn unprivileged() -> Option<(u32, u32)> {
    let id = |arguments: &[&str]| -> u32 {
        output(Command::new("id").args(arguments)).trim().parse().expect("id(1) prints numbers")
    };
    (id(&["-u"]) == 0).then(|| (id(&["-u", "nobody"]), id(&["-g", "nobody"])))
}

fn as_somebody(mut command: Command) -> Command {
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    // Whatever the surroundings want of a client is not meant for the server, and it is not to depend on where the test runs.
    command.current_dir("/").env("LC_ALL", "C");
    command
}
