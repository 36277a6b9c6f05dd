//! The program `hosted` with a real PostgreSQL, which is started for it: on each driver what was answered is kept.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server of its own, in a folder of its own, that is reached by a socket there alone.
struct Postgres {
    child: Child,
    folder: tempfile::TempDir,
}

/// Where Debian and others have the server's programs.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    let places = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&places).collect::<Vec<_>>();
    versions.chain(in_path).find(|place| place.join("initdb").is_file() && place.join("postgres").is_file())
}

/// The number of a user, by id(1).
fn number(option: &str, user: &[&str]) -> Option<u32> {
    let output = Command::new("id").arg(option).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

impl Postgres {
    /// None, said why, where there is no server to start.
    fn start() -> Option<Postgres> {
        let Some(programs) = programs() else {
            eprintln!("skipped: there is no PostgreSQL server (Debian: postgresql)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        // It refuses to be started by root.
        let other = match number("-u", &[]) {
            Some(0) => {
                let ids = (number("-u", &["postgres"]), number("-g", &["postgres"]));
                let (Some(user), Some(group)) = ids else {
                    eprintln!("skipped: PostgreSQL is not started by root, and there is no user postgres");
                    return None;
                };
                chown(folder.path(), Some(user), Some(group)).unwrap();
                Some((user, group))
            }
            _ => None,
        };
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(folder.path()).arg("-D").arg(folder.path().join("data"));
            if let Some((user, group)) = other {
                command.uid(user).gid(group);
            }
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command
        };
        let made = command("initdb").args(["-A", "trust", "-U", "tea", "--no-sync"]).status().unwrap();
        assert!(made.success(), "initdb: {made}");
        let child = command("postgres")
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Postgres { child, folder };
        server.wait();
        Some(server)
    }

    fn wait(&mut self) {
        let patience = Instant::now() + Duration::from_secs(60);
        // It makes its socket before it takes anybody; a connection of sqlx's that is too early is tried again by sqlx.
        while UnixStream::connect(self.folder.path().join(".s.PGSQL.5432")).is_err() {
            assert!(self.child.try_wait().unwrap().is_none(), "the server has ended");
            assert!(Instant::now() < patience, "the server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn url(&self, folder: &Path) -> String {
        let folder = folder.display().to_string().replace('/', "%2F");
        format!("postgres://tea@{folder}/postgres")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT has it end at once and orderly; SIGKILL would leave its shared memory.
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

#[test]
fn reqwest_and_sqlx_work_in_tasks_of_a_hosted_loop() {
    let Some(server) = Postgres::start() else { return };
    for driver in ["uring", "readiness"] {
        let output = Command::new(env!("CARGO_BIN_EXE_hosted"))
            .arg(server.url(server.folder.path()))
            .env("ANNULUS_DRIVER", driver)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if driver == "uring" && err.contains("no driver for the loop") {
            eprintln!("skipped: {err}");
            continue;
        }
        assert!(output.status.success(), "{driver}: {out}{err}");
        assert_eq!(out, format!("200 cups, served by the {driver} driver\n"));
        assert_eq!(err, "");
    }
}

#[test]
fn a_database_that_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().display().to_string().replace('/', "%2F");
    let output = Command::new(env!("CARGO_BIN_EXE_hosted"))
        .arg(format!("postgres://tea@{nowhere}/postgres"))
        .output()
        .unwrap();
    assert!(!output.status.success());
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(err.contains("NotFound") || err.contains("No such file"), "{err}");
}
