//! Child processes that end with the test, and what they say, line by line.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use super::{PATIENCE, until};

/// A process that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    name: String,
    lines: Receiver<String>,
    /// All that was said so far.
    said: Vec<String>,
    places: HashMap<String, usize>,
}

impl Process {
    /// Starts it. What it says, on standard output and error, is kept for [`Process::line`].
    pub(crate) fn start(command: &mut Command) -> Process {
        let name = format!("{command:?}");
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{name}: {error}"));
        let (sender, lines) = channel();
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|pipe| Box::new(pipe) as _),
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
        ];
        for pipe in pipes.into_iter().flatten() {
            let sender = sender.clone();
            // Read on, so that it never waits for us.
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Process { child, name, lines, said: Vec::new(), places: HashMap::new() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// The next line with this head of which the closure makes something. Each head has a place of its own from which it goes on, so
    /// what one part of the process says does not hide what another says.
    #[track_caller]
    pub(crate) fn line<T>(&mut self, head: &str, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut place = self.places.get(head).copied().unwrap_or(0);
        loop {
            let waited = until.saturating_duration_since(Instant::now());
            if place == self.said.len() {
                match self.lines.recv_timeout(waited) {
                    Ok(line) => self.said.push(line),
                    Err(_) => {
                        panic!("{}: never said {head}{what}; it said:\n{}", self.name, self.said.join("\n"))
                    }
                }
            }
            let found = self.said[place].strip_prefix(head).and_then(&wanted);
            place += 1;
            if let Some(found) = found {
                self.places.insert(head.to_owned(), place);
                return found;
            }
        }
    }

    /// The next line with this head that has this text in it.
    #[track_caller]
    pub(crate) fn says(&mut self, head: &str, text: &str) -> String {
        self.line(head, text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// All lines, once it has ended.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = until(&format!("the end of {}", self.name), || self.child.try_wait().unwrap());
        self.said.extend(self.lines.iter());
        (status, std::mem::take(&mut self.said))
    }

    /// Sends it a signal, by name.
    pub(crate) fn signal(&self, signal: &str) {
        signal_to(self.id(), signal);
    }

    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that the test, or what it started, has started.
pub(crate) fn signal_to(id: u32, signal: &str) {
    let sent = Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).output();
    assert!(sent.is_ok(), "there is no kill(1)");
}

/// What a command that ends by itself prints, if it ends well.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(done.status.success(), "{command:?}:\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).expect("what it prints is text")
}
