//! `top` as a program of its own, beside one that it looks at: this test.

mod support;

use std::future::pending;
use std::path::Path;
use std::process::{Command, Output};

use annulus::inspect::{self, Inspector};
use annulus::net::UdpSocket;
use annulus::{Builder, Runtime, spawn_blocking, task};
use support::child::text;
use support::example::example_with;
use support::on_real_drivers;

on_real_drivers! {
    because "a loop of a simulated world is not looked at: no time passes in it":
        once_prints_the_loop_and_its_tasks_and_what_they_wait_for;
}

/// What it prints, in a terminal that is none, with sockets of processes in this folder.
fn top(arguments: &[&str], sockets: &Path) -> Output {
    let mut command = Command::new(example_with("top", "inspect"));
    command.args(arguments).env("XDG_RUNTIME_DIR", sockets).env_remove("ANNULUS_TOKEN");
    command.output().expect("it runs")
}

fn once_prints_the_loop_and_its_tasks_and_what_they_wait_for(builder: Builder) {
    let runtime = builder.build().expect("a loop is to be had");
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join(format!("annulus-{}.sock", std::process::id()));
    let _inspector = inspect::serve(path.as_path()).expect("there is a socket");
    let printed = runtime.run(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("there is a port");
        let listening = async move { socket.recv_from(vec![0; 64]).await.0.map(drop) };
        let listener = task::Builder::new().name("listener").spawn(listening);
        let lazy = task::Builder::new().name("lazy").spawn(pending::<()>());
        // By the number of the process: its socket is where it is looked for.
        let pid = std::process::id().to_string();
        let output = spawn_blocking(move || top(&[&pid, "--once", "--rows", "50"], folder.path()))
            .await
            .expect("it ends");
        listener.abort();
        lazy.abort();
        output
    });
    let output = printed.expect("the loop runs");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let line = |head: &str| {
        said.lines().find(|line| line.starts_with(head)).unwrap_or_else(|| panic!("no {head:?} in\n{said}"))
    };
    assert!(line("top-").contains(&format!("pid {}", std::process::id())), "{said}");
    assert!(line("listener").contains("waiting") && line("listener").contains("tests/top.rs:"), "{said}");
    assert!(line("listener").contains(" on fd "), "{said}");
    assert!(line("lazy").contains("a channel, a lock"), "{said}");
    assert!(said.contains("in flight: ") && said.contains("for "), "{said}");
}

#[test]
fn who_has_no_inspector_is_told_how_to_have_one() {
    let folder = tempfile::tempdir().expect("there is room");
    let pid = std::process::id().to_string();
    for (target, why) in [
        (&*pid, "ANNULUS_INSPECT"),
        ("127.0.0.1:1", "nobody listens"),
        ("tea", "neither a process's number nor"),
    ] {
        let output = top(&[target, "--once"], folder.path());
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(why), "{target}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_token_is_wanted_and_taken() {
    let runtime = Runtime::new().expect("a loop is to be had");
    let inspector = Inspector::builder().token("correct-horse-battery").start().expect("there is a port");
    let folder = tempfile::tempdir().expect("there is room");
    let address = inspector.address().to_string();
    let refused = top(&[&address, "--once"], folder.path());
    assert!(text(&refused.stderr).contains("token is missing"), "{}", text(&refused.stderr));
    let served = top(&[&address, "--once", "--token", "correct-horse-battery"], folder.path());
    assert!(served.status.success(), "{}", text(&served.stderr));
    // A screen needs a terminal, and says so.
    let screen = top(&[&address, "--token", "correct-horse-battery"], folder.path());
    assert!(text(&screen.stderr).contains("--once"), "{}", text(&screen.stderr));
    drop(runtime);
}
