//! A recording as Chrome's trace events, which ui.perfetto.dev and chrome://tracing open: the Trace Event Format, as JSON.
//!
//! One track a loop with its polls and sleeps, operations as spans of their own, arrows from who wakes to who is woken, and counters.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};
use std::panic::Location;
use std::path::Path;

use super::recording::{Event, Recording, What};
use crate::json::Object;

impl Recording {
    /// Writes it as JSON for [Perfetto](https://ui.perfetto.dev) or `chrome://tracing`: polls and sleeps on one track a loop, operations
    /// as spans of their own, arrows from who wakes to who is woken, how much is ready and in flight as counters.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_chrome_trace(&self, out: impl Write) -> io::Result<()> {
        write_all(std::slice::from_ref(self), out)
    }
}

/// Writes several loops into one file, as [`Recording::write_chrome_trace`] does one.
///
/// # Errors
/// Those of the writer.
///
/// # Examples
/// As [`flight::recordings`](crate::flight::recordings).
pub fn write_all(recordings: &[Recording], out: impl Write) -> io::Result<()> {
    let mut file = Trace { out: BufWriter::new(out), is_first: true, arrows: 0 };
    file.out.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[")?;
    recordings.iter().try_for_each(|recording| file.recording(recording))?;
    file.out.write_all(b"\n]}\n")?;
    file.out.flush()
}

struct Trace<W: Write> {
    out: BufWriter<W>,
    is_first: bool,
    /// Arrows so far.
    arrows: u64,
}

/// What is open while the events go by.
#[derive(Default)]
struct Open {
    /// The poll that goes on.
    poll: Option<(u64, u64, &'static Location<'static>)>,
    /// Since when the loop sleeps.
    sleep: Option<u64>,
    /// Arrows to tasks that were woken and are not polled yet.
    arrows: HashMap<u64, u64>,
    /// Operations that were submitted and are not done.
    operations: HashMap<u64, &'static str>,
}

/// An event with what all have: its phase, its track, its time in microseconds.
fn event(recording: &Recording, phase: &str, at: u64) -> Object {
    let mut object = Object::new();
    object.text("ph", Some(phase));
    object.number("pid", Some(u64::from(std::process::id())));
    object.number("tid", Some(recording.place.number));
    object.microseconds("ts", at);
    object
}

impl<W: Write> Trace<W> {
    fn put(&mut self, object: Object) -> io::Result<()> {
        self.out.write_all(if std::mem::take(&mut self.is_first) { b"\n" } else { b",\n" })?;
        self.out.write_all(object.end().as_bytes())
    }

    fn recording(&mut self, recording: &Recording) -> io::Result<()> {
        let place = &recording.place;
        let thread = place.thread.as_deref().unwrap_or("a thread without a name");
        self.named(recording, "thread_name", &format!("loop {}: {thread}, {}", place.number, place.driver))?;
        self.named(recording, "process_name", &program())?;
        let mut open = Open::default();
        for event in &recording.events {
            self.event(recording, *event, &mut open)?;
        }
        self.ends(recording, recording.until, &mut open)
    }

    fn named(&mut self, recording: &Recording, what: &str, name: &str) -> io::Result<()> {
        let mut named = event(recording, "M", 0);
        named.text("name", Some(what));
        named.object("args", |args| args.text("name", Some(name)));
        self.put(named)
    }

    fn event(&mut self, recording: &Recording, Event { at, what }: Event, open: &mut Open) -> io::Result<()> {
        match what {
            What::Look { ready, in_flight } => {
                self.ends(recording, at, open)?;
                self.counter(recording, at, "ready tasks", ready)?;
                self.counter(recording, at, "operations in flight", in_flight)
            }
            What::Poll { task, spawned_at } => {
                self.ends(recording, at, open)?;
                if let Some(arrow) = open.arrows.remove(&task) {
                    self.arrow(recording, "f", at, arrow)?;
                }
                open.poll = Some((at, task, spawned_at));
                Ok(())
            }
            What::Wake { task, .. } => {
                self.arrows += 1;
                open.arrows.insert(task, self.arrows);
                self.arrow(recording, "s", at, self.arrows)
            }
            What::Submit { token, operation, descriptor, task } => {
                open.operations.insert(token, operation);
                let mut begin = self.operation(recording, "b", at, token, operation);
                begin.object("args", |args| {
                    args.number("descriptor", descriptor.map(u64::from));
                    args.number("task", (task > 0).then_some(task));
                });
                self.put(begin)
            }
            What::Complete { token, result, more } => {
                self.completes(recording, at, (token, result, more), open)
            }
            What::Park { in_flight } => {
                self.ends(recording, at, open)?;
                open.sleep = Some(at);
                self.counter(recording, at, "operations in flight", in_flight)
            }
            What::Unpark => self.ends(recording, at, open),
            What::Panic { task } => {
                let mut panic = event(recording, "i", at);
                panic.text("name", Some(&format!("task {task} panicked")));
                panic.text("s", Some("t"));
                self.put(panic)
            }
        }
    }

    fn completes(
        &mut self,
        recording: &Recording,
        at: u64,
        (token, result, more): (u64, i32, bool),
        open: &mut Open,
    ) -> io::Result<()> {
        let found = if more { open.operations.get(&token).copied() } else { open.operations.remove(&token) };
        // Who was submitted before the oldest record has no name.
        let Some(operation) = found else { return Ok(()) };
        let mut end = self.operation(recording, if more { "n" } else { "e" }, at, token, operation);
        end.object("args", |args| match u64::try_from(result) {
            Ok(result) => args.number("result", Some(result)),
            Err(_) => {
                let error = io::Error::from_raw_os_error(result.wrapping_neg());
                args.text("error", Some(&error.to_string()));
            }
        });
        self.put(end)
    }

    /// What goes on until now ends.
    fn ends(&mut self, recording: &Recording, at: u64, open: &mut Open) -> io::Result<()> {
        if let Some((since, task, spawned_at)) = open.poll.take() {
            let mut poll = event(recording, "X", since);
            poll.microseconds("dur", at.saturating_sub(since));
            let file = Path::new(spawned_at.file()).file_name().unwrap_or_default().to_string_lossy();
            poll.text("name", Some(&format!("{file}:{} #{task}", spawned_at.line())));
            poll.text("cat", Some("poll"));
            poll.object("args", |args| {
                args.number("task", Some(task));
                args.text("spawned at", Some(&spawned_at.to_string()));
            });
            self.put(poll)?;
        }
        if let Some(since) = open.sleep.take() {
            let mut sleep = event(recording, "X", since);
            sleep.microseconds("dur", at.saturating_sub(since));
            sleep.text("name", Some("sleeps"));
            sleep.text("cat", Some("loop"));
            self.put(sleep)?;
        }
        Ok(())
    }

    fn counter(&mut self, recording: &Recording, at: u64, name: &str, value: u64) -> io::Result<()> {
        let mut counter = event(recording, "C", at);
        // Counters are a process's: each loop has its own.
        counter.text("name", Some(&format!("{name}, loop {}", recording.place.number)));
        counter.object("args", |args| args.number("value", Some(value)));
        self.put(counter)
    }

    fn arrow(&mut self, recording: &Recording, phase: &str, at: u64, number: u64) -> io::Result<()> {
        let mut arrow = event(recording, phase, at);
        arrow.text("name", Some("wakes"));
        arrow.text("cat", Some("wake"));
        arrow.number("id", Some(number));
        if phase == "f" {
            // To the slice that begins then.
            arrow.text("bp", Some("e"));
        }
        self.put(arrow)
    }

    fn operation(&self, recording: &Recording, phase: &str, at: u64, token: u64, name: &str) -> Object {
        let mut object = event(recording, phase, at);
        object.text("cat", Some("operation"));
        object.text("name", Some(name));
        // The process's own, or it would be shown apart from it.
        object.object("id2", |id| id.text("local", Some(&format!("{:x}.{token:x}", recording.place.number))));
        object
    }
}

/// What the program is called.
fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "a program".to_owned())
}
