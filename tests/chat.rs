//! The chat of the examples, as processes of their own that talk to each other.
#![allow(unsafe_code)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use annulus::Builder;
use support::example::example;
use support::on_real_drivers;
use tempfile::TempDir;

on_real_drivers! {
    because "the programs are processes of the machine":
        what_one_says_the_others_hear,
        a_name_is_had_by_one,
        who_does_not_read_is_disconnected_and_holds_up_nobody,
        the_end_is_told_to_everybody,
        a_second_server_is_told_what_to_do;
}

struct Server {
    child: Child,
    driver: &'static str,
    path: PathBuf,
    _directory: TempDir,
}

impl Server {
    fn start(builder: Builder) -> Server {
        let driver = builder.build().unwrap().driver();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chat");
        let mut child = command(driver, &path, &["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.starts_with("chatting at "), "{first:?}");
        Server { child, driver, path, _directory: directory }
    }

    /// A member, who is there.
    fn member(&self, name: &str) -> Member {
        let mut member = self.candidate(name);
        let mut line = String::new();
        member.hears.read_line(&mut line).unwrap();
        assert!(line.starts_with(&format!("* welcome, {name}; ")), "{line:?}");
        member
    }

    /// Somebody who would like to be one.
    fn candidate(&self, name: &str) -> Member {
        let mut child = command(self.driver, &self.path, &["talk", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (says, hears) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Member { child, says: Some(says), hears }
    }

    fn end(&mut self) {
        // SAFETY: no memory is passed; the child is ours, and not yet waited for.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, libc::SIGINT) }, 0);
        assert!(self.child.wait().unwrap().success());
        assert!(!self.path.exists(), "the path is removed");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(driver: &str, path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(example("chat"));
    command.args(arguments).arg("--addr").arg(path).args(["--driver", driver]);
    command
}

struct Member {
    child: Child,
    says: Option<ChildStdin>,
    hears: BufReader<ChildStdout>,
}

impl Member {
    fn say(&mut self, line: &str) {
        writeln!(self.says.as_mut().unwrap(), "{line}").unwrap();
    }

    #[track_caller]
    fn hears(&mut self, expected: &str) {
        let mut line = String::new();
        self.hears.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }

    /// Says nothing more, and hears the rest.
    fn leave(mut self) -> String {
        drop(self.says.take());
        let mut rest = String::new();
        self.hears.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

fn what_one_says_the_others_hear(builder: Builder) {
    let mut server = Server::start(builder);
    let mut ann = server.member("ann");
    let mut bob = server.member("bob");
    ann.hears("* bob has come");
    let mut eve = server.member("eve");
    ann.hears("* eve has come");
    bob.hears("* eve has come");
    for round in 0..20 {
        ann.say(&format!("hello {round}"));
        bob.hears(&format!("ann: hello {round}"));
        eve.hears(&format!("ann: hello {round}"));
        eve.say("hello yourself");
        ann.hears("eve: hello yourself");
        bob.hears("eve: hello yourself");
    }
    assert_eq!(bob.leave(), "* the end\n");
    ann.hears("* bob has gone");
    eve.hears("* bob has gone");
    assert_eq!(ann.leave(), "* the end\n");
    assert_eq!(eve.leave(), "* ann has gone\n* the end\n");
    server.end();
}

fn a_name_is_had_by_one(builder: Builder) {
    let mut server = Server::start(builder);
    let ann = server.member("ann");
    let mut other = server.candidate("ann");
    other.hears("* somebody else is called ann");
    assert_eq!(other.leave(), "");
    assert_eq!(ann.leave(), "* the end\n");
    assert_eq!(server.member("ann").leave(), "* the end\n", "the name is free again");
    server.end();
}

fn who_does_not_read_is_disconnected_and_holds_up_nobody(builder: Builder) {
    let mut server = Server::start(builder);
    let mut slow = UnixStream::connect(&server.path).unwrap();
    slow.write_all(b"slow\n").unwrap();
    let mut welcome = [0; 9];
    slow.read_exact(&mut welcome).unwrap();
    let (mut ann, mut bob) = (server.member("ann"), server.member("bob"));
    ann.hears("* bob has come");
    // More than the socket and the mailbox take together, said and heard one by one.
    let line = "x".repeat(2000);
    let mut heard = String::new();
    for _ in 0..1000 {
        ann.say(&line);
        heard.clear();
        bob.hears.read_line(&mut heard).unwrap();
        if heard == "* slow has gone\n" {
            break;
        }
        assert_eq!(heard.trim_end(), format!("ann: {line}"));
    }
    assert_eq!(heard, "* slow has gone\n");
    // It may still read what was on its way, and then it is the end.
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).unwrap();
    assert!(rest.len() < 2_000_000, "{}", rest.len());
    server.end();
}

fn the_end_is_told_to_everybody(builder: Builder) {
    let mut server = Server::start(builder);
    let (ann, bob) = (server.member("ann"), server.member("bob"));
    server.end();
    for member in [ann, bob] {
        assert!(member.leave().ends_with("* the end\n"));
    }
}

fn a_second_server_is_told_what_to_do(builder: Builder) {
    let mut server = Server::start(builder);
    let second = command(server.driver, &server.path, &["serve"]).output().unwrap();
    assert!(!second.status.success());
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("remove it if no server uses it"), "{said}");
    server.end();
}
