//! Where it listens, what it leaves, and how it is started.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Instant;

use annulus::Driver;
use annulus::inspect::{self, Address};
use serde_json::Value;

use crate::client::*;
use crate::support::child::{again, alone};

#[test]
fn a_program_without_a_loop_is_shown_as_that() {
    let _named = crate::support::child::Named::new("doors::a_program_without_a_loop_is_shown_as_that");
    alone(|| {
        let inspector = inspector();
        let snapshot = snapshot(&inspector, "");
        assert_eq!(snapshot["loops"], Value::Array(Vec::new()));
        assert_eq!((&snapshot["tasks"]["total"], &snapshot["in_flight"]["total"]), (&0.into(), &0.into()));
    });
}

#[test]
fn the_page_runs_nobody_elses_scripts_and_is_kept_by_nobody() {
    let inspector = inspector();
    let page = get(&inspector, "/");
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    assert!(page.body.starts_with("<!doctype html>") || page.body.starts_with("<!DOCTYPE html>"));
    let policy = page.header("content-security-policy").unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(page.body.contains(&format!("<script nonce=\"{nonce}\">")), "{policy}");
    for part in ["default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!get(&inspector, "/").body.contains(nonce), "each has a word of its own");
    for reply in [page, get(&inspector, "/api/snapshot"), get(&inspector, "/no")] {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{}", reply.head);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
        assert!(reply.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }
}

#[test]
fn the_doctor_is_asked_once() {
    let inspector = inspector();
    let report = get(&inspector, "/api/doctor");
    assert_eq!(report.status, 200, "{report:?}");
    assert!(report.json()["facts"].as_array().unwrap().len() > 3);
    assert_eq!(get(&inspector, "/api/doctor").body, report.body);
    assert_eq!(inspector.counts().surveys, 0);
}

#[test]
fn the_trace_is_that_of_all_recorders_and_without_one_it_is_said_how_to_have_it() {
    let name = "doors::the_trace_is_that_of_all_recorders_and_without_one_it_is_said_how_to_have_it";
    let _named = crate::support::child::Named::new(name);
    alone(|| {
        let inspector = inspector();
        let builder = annulus::Builder::new().driver(Driver::Readiness);
        let without = Program::start(&builder, || async {});
        let reply = get(&inspector, "/api/trace");
        assert_eq!(reply.status, 404, "{reply:?}");
        assert!(reply.error().contains("Builder::flight_recorder"), "{reply:?}");
        let builder = builder.flight_recorder(1024);
        let two = [(); 2].map(|()| Program::start(&builder, || async { annulus::yield_now().await }));
        let reply = get(&inspector, "/api/trace");
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.header("content-disposition").unwrap().starts_with("attachment; filename="));
        let trace = reply.json();
        let events = trace["traceEvents"].as_array().unwrap();
        for program in &two {
            let number = program.number(&inspector);
            assert!(events.iter().any(|event| event["tid"] == number), "loop {number} is in it");
        }
        let number = without.number(&inspector);
        assert!(events.iter().all(|event| event["tid"] != number), "loop {number} records nothing");
    });
}

#[test]
fn a_unix_socket_is_its_owners_and_is_gone_at_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a socket");
    let inspector = inspect::serve(&*path).unwrap();
    assert_eq!(inspector.address(), &Address::Unix(path.clone()));
    assert!(
        inspector.url().starts_with("http+unix://%2F") && inspector.url().ends_with("a%20socket/"),
        "{inspector:?}"
    );
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    assert_eq!(get(&inspector, "/api/snapshot").status, 200);

    // Somebody listens: it is not taken from them.
    let refused = inspect::serve(format!("unix:{}", path.display())).unwrap_err();
    assert!(
        refused.kind() == ErrorKind::AddrInUse && refused.to_string().contains("another path"),
        "{refused}"
    );
    assert_eq!(get(&inspector, "/api/snapshot").status, 200, "nor disturbed");
    drop(inspector);
    assert!(!path.exists());
}

#[test]
fn a_unix_socket_that_nobody_listens_at_is_replaced_and_other_files_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("left");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "as a process leaves it that was killed");
    let inspector = inspect::serve(&*path).unwrap();
    assert_eq!(get(&inspector, "/api/snapshot").status, 200);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    // Somebody else has taken the place: that is theirs.
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(inspector);
    assert!(path.exists());
    drop(other);

    let file = directory.path().join("precious");
    fs::write(&file, "text").unwrap();
    let refused = inspect::serve(&*file).unwrap_err();
    assert!(refused.to_string().contains("no socket"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "text");
    let refused = inspect::serve(directory.path().join("no/such")).unwrap_err();
    assert!(refused.kind() == ErrorKind::NotFound && refused.to_string().contains("directory"), "{refused}");
    let refused = inspect::serve(directory.path().join("x".repeat(200))).unwrap_err();
    assert!(
        refused.kind() == ErrorKind::InvalidInput && refused.to_string().contains("shorter"),
        "{refused}"
    );
}

#[test]
fn what_is_wrong_with_an_address_is_told_with_what_helps() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = inspect::serve(taken.local_addr().unwrap()).unwrap_err();
    assert!(refused.kind() == ErrorKind::AddrInUse && refused.to_string().contains("port 0"), "{refused}");
    let refused = inspect::serve("7070").unwrap_err();
    assert!(
        refused.kind() == ErrorKind::InvalidInput && refused.to_string().contains("127.0.0.1:7070"),
        "{refused}"
    );
}

#[test]
fn a_dropped_inspector_ends_with_its_connections_and_its_thread() {
    let inspector = inspector();
    let Address::Tcp(address) = *inspector.address() else { unreachable!() };
    let mut idle = connect(&inspector);
    assert_eq!(get(&inspector, "/api/snapshot").status, 200);
    let begun = Instant::now();
    drop(inspector);
    assert!(begun.elapsed() < PATIENCE / 2, "its end is waited for, with a bound");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens");
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0, "who is connected is let go");
}

#[test]
fn the_environment_starts_one_and_an_error_of_it_is_none_of_the_programs() {
    const NAME: &str = "doors::the_environment_starts_one_and_an_error_of_it_is_none_of_the_programs";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let with = |address: &str| again(NAME, |command| _ = command.env("ANNULUS_INSPECT", address));
    let Some(output) = with(&format!("unix:{}", path.display())) else {
        // The program: it knows of no inspector.
        for _ in 0..2 {
            let runtime = annulus::Builder::new().driver(Driver::Readiness).build().unwrap();
            let asked = std::env::var("ANNULUS_INSPECT").unwrap();
            runtime
                .run(async {
                    named("of-the-program", std::future::pending::<()>());
                    let Some(path) = asked.strip_prefix("unix:") else { return };
                    let stream = annulus::net::UnixStream::connect(path).await.unwrap();
                    let request =
                        "GET /api/snapshot HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
                    stream.write_all(request).await.0.unwrap();
                    let (result, answer) =
                        annulus::io::AsyncRead::read_to_string(&mut &stream, String::new()).await;
                    result.unwrap();
                    assert!(answer.contains("of-the-program"), "{answer}");
                })
                .unwrap();
        }
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("the inspector is at http+unix://").count(), 1, "it is said once: {said}");
    for (address, why) in [("nowhere", "no address"), ("0.0.0.0:0", "other machines")] {
        let output = with(address).unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains(why) && said.contains("ANNULUS_INSPECT"), "{said}");
    }
}
