//! The example that watches a directory, as a program of its own: it says what happens there, as it happens.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use annulus::Builder;
use rustix::process::{Pid, Signal, kill_process};
use support::example::example;
use support::on_real_drivers;
use tempfile::TempDir;

on_real_drivers! {
    because "it is about a directory of the machine":
        what_happens_is_told_as_it_happens,
        much_at_once_is_told_in_order,
        it_ends_with_the_directory,
        what_is_no_directory_is_told;
}

struct Watch {
    directory: TempDir,
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Watch {
    fn start(builder: Builder) -> Watch {
        let directory = tempfile::tempdir().unwrap();
        let mut child = command(builder, directory.path()).stdout(Stdio::piped()).spawn().unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut watch = Watch { directory, child, says };
        assert_eq!(watch.line(), format!("watching {:?}", watch.directory.path()));
        watch
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn says(&mut self, lines: &[&str]) {
        for expected in lines {
            assert_eq!(self.line(), *expected);
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ctrl-C, and the rest of what it says.
    fn end(mut self) -> String {
        self.signal(Signal::INT);
        let mut rest = String::new();
        self.says.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success());
        rest
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(builder: Builder, path: &Path) -> Command {
    let runtime = builder.build().unwrap();
    let mut command = Command::new(example("watch_dir"));
    command.arg(path).env("ANNULUS_DRIVER", runtime.driver());
    command
}

fn what_happens_is_told_as_it_happens(builder: Builder) {
    let mut watch = Watch::start(builder);
    let path = watch.directory.path().to_owned();
    fs::write(path.join("one"), "text").unwrap();
    watch.says(&["made \"one\"", "written \"one\""]);
    fs::write(path.join("one"), "more").unwrap();
    watch.says(&["written \"one\""]);
    let mut permissions = fs::metadata(path.join("one")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path.join("one"), permissions).unwrap();
    watch.says(&["attributes of \"one\""]);
    fs::rename(path.join("one"), path.join("two\nlines")).unwrap();
    watch.says(&["renamed from \"one\"", "renamed to \"two\\nlines\""]);
    fs::remove_file(path.join("two\nlines")).unwrap();
    watch.says(&["removed \"two\\nlines\""]);
    fs::create_dir(path.join("folder")).unwrap();
    fs::remove_dir(path.join("folder")).unwrap();
    watch.says(&["made \"folder\"/", "removed \"folder\"/"]);
    assert_eq!(watch.end(), "");
}

fn much_at_once_is_told_in_order(builder: Builder) {
    let mut watch = Watch::start(builder);
    // It stands still meanwhile, so that there is more than it reads at once, and more than one event in each read.
    watch.signal(Signal::STOP);
    for number in 0..2000 {
        fs::create_dir(watch.directory.path().join(number.to_string())).unwrap();
    }
    watch.signal(Signal::CONT);
    for number in 0..2000 {
        watch.says(&[&format!("made \"{number}\"/")]);
    }
    assert_eq!(watch.end(), "");
}

fn it_ends_with_the_directory(builder: Builder) {
    let mut watch = Watch::start(builder);
    fs::remove_dir(watch.directory.path()).unwrap();
    watch.says(&["removed the directory itself", ""]);
    assert!(watch.child.wait().unwrap().success());
}

fn what_is_no_directory_is_told(builder: Builder) {
    let output = command(builder, Path::new("Cargo.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("Cargo.toml: Not a directory"), "{text}");
}
