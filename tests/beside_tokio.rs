//! The example with tokio beside a loop, as a program of its own: what it says is kept is kept.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;

use annulus::Builder;
use support::example::example;
use support::on_real_drivers;

on_real_drivers! {
    because "the program is a process of the machine":
        a_line_that_is_answered_is_kept_also_when_the_program_is_killed,
        the_loop_answers_questions_of_tokios_tasks,
        a_file_that_takes_nothing_ends_the_program_with_the_reason,
        a_file_that_cannot_be_had_ends_the_program_with_the_reason;
}

struct Program {
    child: Child,
    says: BufReader<ChildStderr>,
    address: String,
}

fn start(builder: Builder, file: &Path) -> Child {
    let runtime = builder.build().unwrap();
    let mut command = Command::new(example("beside_tokio"));
    command.args(["--addr", "127.0.0.1:0", "--driver", runtime.driver(), "--file"]).arg(file);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

impl Program {
    fn start(builder: Builder, file: &Path) -> Program {
        let mut child = start(builder, file);
        let mut says = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening at ").unwrap_or_else(|| panic!("{line:?}"));
        Program { address: address.to_owned(), child, says }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(&self.address).unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(connection: &mut BufReader<TcpStream>, line: &str) -> String {
    connection.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    let mut reply = String::new();
    connection.read_line(&mut reply).unwrap();
    reply.trim_end().to_owned()
}

fn a_line_that_is_answered_is_kept_also_when_the_program_is_killed(builder: Builder) {
    const LINES: usize = 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal");
    let mut program = Program::start(builder, &path);
    let clients = ["tea", "coffee", "water", "milk"].map(|word| {
        let mut connection = program.connect();
        thread::spawn(move || {
            let numbered = (0..LINES).map(|number| {
                let reply = ask(&mut connection, &format!("{word} {number}"));
                let place: usize = reply.strip_prefix("line ").expect("it is kept").parse().unwrap();
                (place, format!("{word} {number}"))
            });
            numbered.collect::<Vec<_>>()
        })
    });
    let mut told: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    program.child.kill().unwrap();
    told.sort();
    let kept = fs::read_to_string(path).unwrap();
    let kept: Vec<_> = kept.lines().enumerate().map(|(place, line)| (place + 1, line.to_owned())).collect();
    assert_eq!(kept, told, "each is where it was said to be");
    assert_eq!(kept.len(), 4 * LINES);
}

fn the_loop_answers_questions_of_tokios_tasks(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let program = Program::start(builder, &directory.path().join("journal"));
    let mut connection = program.connect();
    for (line, reply) in [("?", "0 bytes"), ("tea", "line 1"), ("", "line 2"), ("?", "5 bytes")] {
        assert_eq!(ask(&mut connection, line), reply);
    }
}

fn a_file_that_takes_nothing_ends_the_program_with_the_reason(builder: Builder) {
    if !Path::new("/dev/full").exists() {
        return support::skipped("a_file_that_takes_nothing", "there is no /dev/full");
    }
    let mut program = Program::start(builder, Path::new("/dev/full"));
    assert_eq!(ask(&mut program.connect(), "tea"), "", "it is not said to be kept");
    assert!(!program.child.wait().unwrap().success());
    let mut rest = String::new();
    program.says.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("StorageFull"), "{rest}");
}

fn a_file_that_cannot_be_had_ends_the_program_with_the_reason(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    let ended = start(builder, &directory.path().join("no folder/journal")).wait_with_output().unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("NotFound"), "{said}");
}
