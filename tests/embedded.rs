//! The examples in which another loop turns this one, or a program does it by hand, as programs of their own.

mod support;

use std::io::Write;
use std::process::{Command, Output, Stdio};

use annulus::Builder;
use support::child::text;
use support::example::example;
use support::on_real_drivers;

on_real_drivers! {
    because "they are programs of the machine":
        a_server_inside_of_tokio_serves_a_client_of_tokio,
        lines_of_standard_input_are_answered_by_a_loop_over_poll,
        a_file_is_summed_up_by_hand,
        a_file_that_is_not_there_is_told;
}

fn command(builder: &Builder, name: &'static str) -> Command {
    let driver = builder.clone().build().unwrap().driver();
    let mut command = Command::new(example(name));
    command.env("ANNULUS_DRIVER", driver).stdin(Stdio::null());
    command
}

#[track_caller]
fn told(output: &Output) -> String {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{}: {out}{err}", output.status);
    out
}

fn a_server_inside_of_tokio_serves_a_client_of_tokio(builder: Builder) {
    let output = command(&builder, "inside_tokio").output().unwrap();
    let driver = builder.build().unwrap().driver();
    let expected = format!("1000 bytes echoed by the {driver} driver\nand tokio's timer ticked\n");
    assert_eq!(told(&output), expected);
}

fn lines_of_standard_input_are_answered_by_a_loop_over_poll(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("five"), "12345").unwrap();
    let mut child = command(&builder, "inside_poll")
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // A line in two pieces, and two lines at once.
    for piece in ["fi", "ve\nnot ", "there\nfive\n"] {
        input.write_all(piece.as_bytes()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    drop(input);
    let out = told(&child.wait_with_output().unwrap());
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort();
    assert_eq!(lines[..2], ["five: 5 bytes", "five: 5 bytes"], "{out}");
    assert!(lines.len() == 3 && lines[2].starts_with("not there: No such file"), "{out}");
}

/// FNV-1a once more.
fn sum(bytes: &[u8]) -> u64 {
    let next = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, next)
}

fn a_file_is_summed_up_by_hand(builder: Builder) {
    let directory = tempfile::tempdir().unwrap();
    // No block, a part of one, and more than are under way at once.
    for length in [0, 1, 64 << 10, 3_000_017] {
        let bytes: Vec<u8> =
            (0..length).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let path = directory.path().join("file");
        std::fs::write(&path, &bytes).unwrap();
        let out = told(&command(&builder, "driver").arg(path).output().unwrap());
        let driver = builder.clone().build().unwrap().driver();
        assert_eq!(out, format!("{:016x} {length} bytes by the {driver} driver\n", sum(&bytes)));
    }
}

fn a_file_that_is_not_there_is_told(builder: Builder) {
    let output = command(&builder, "driver").arg("/nowhere/at/all").output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("NotFound"), "{}", text(&output.stderr));
}

#[cfg(feature = "sim")]
#[test]
fn by_hand_it_works_in_a_simulated_world_as_well() {
    // Which has no such file, so that it says so at once and does not wait for ever.
    let output = Command::new(example("driver")).env("ANNULUS_DRIVER", "sim:1").output().unwrap();
    assert!(text(&output.stderr).contains("NotFound"), "{}", text(&output.stderr));
}
