//! The doctor of the examples, as a program of its own, in good and in bad surroundings.
#![allow(unsafe_code)]

mod support;

use std::process::{Command, Output};

use annulus::Builder;
use serde_json::Value;
use support::child::{self, again};
use support::example::example;
use support::limits::lower;
use support::on_every_driver;

on_every_driver! {
    a_loop_that_works_is_said_to_work_as_text_and_as_json,
}

fn doctor(arguments: &[&str]) -> Output {
    let mut command = Command::new(example("doctor"));
    command.args(arguments).output().unwrap()
}

/// What it prints, of a machine on which a loop works.
fn printed(arguments: &[&str]) -> String {
    let output = doctor(arguments);
    let text = child::text(&output.stdout);
    assert!(output.status.success(), "{}\n{text}{}", output.status, child::text(&output.stderr));
    text
}

fn json(arguments: &[&str]) -> Value {
    let arguments: Vec<_> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&printed(&arguments)).unwrap()
}

/// One fact of the JSON.
fn fact<'a>(json: &'a Value, name: &str) -> &'a Value {
    json["facts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|fact| fact["name"] == name)
        .unwrap_or_else(|| panic!("{name}: {json}"))
}

const CHECKS: [&str; 4] = ["a file", "a nop", "a socket pair", "a timer"];

fn a_loop_that_works_is_said_to_work_as_text_and_as_json(builder: Builder) {
    let driver = match builder.build().unwrap().driver() {
        "sim" => "sim:7",
        name => name,
    };
    let name = driver.split(':').next().unwrap();
    let text = printed(&["--driver", driver]);
    assert!(text.lines().next().unwrap().ends_with(&format!("driver {name}")), "{text}");
    let checks = text.split_once("\nself-check\n").unwrap().1;
    assert_eq!(checks.lines().filter(|line| line.ends_with(" works")).count(), CHECKS.len(), "{text}");
    assert!(!text.contains('\x1b'), "no colours where there is no terminal");

    let json = json(&["--driver", driver]);
    assert_eq!(json["driver"], name);
    let works: Vec<_> = json["checks"].as_object().unwrap().iter().collect();
    let works: Vec<_> = works.into_iter().map(|(name, words)| (name.as_str(), words.as_str())).collect();
    assert_eq!(works, CHECKS.map(|name| (name, Some("works"))));
    // A value may go on in the next line.
    let words: Vec<_> = text.split_whitespace().collect();
    assert!(words.join(" ").contains(fact(&json, "driver")["value"].as_str().unwrap()), "{text}");
    assert!(json["operations"].as_array().unwrap().len() > 20);
}

/// The rest of a test in a child of its own, whose children are in the same surroundings.
fn in_a_child(test: &str, body: impl FnOnce()) {
    // Built where nothing is refused yet.
    example("doctor");
    let set = |command: &mut Command| {
        command.env_remove("ANNULUS_DRIVER");
    };
    match again(test, set) {
        None => body(),
        Some(output) => {
            let said = format!("{}{}", child::text(&output.stdout), child::text(&output.stderr));
            assert!(output.status.success(), "{said}");
        }
    }
}

#[test]
fn an_environment_that_asks_for_less_is_told_what_to_do() {
    in_a_child("an_environment_that_asks_for_less_is_told_what_to_do", || {
        let has_ring = Builder::new().report().refusal().is_none() && cfg!(target_os = "linux");
        // SAFETY: this process has no other thread that looks at its environment.
        unsafe { std::env::set_var("ANNULUS_DRIVER", "readiness") };
        let text = printed(&[]);
        assert!(text.contains("readiness, as ANNULUS_DRIVER asks"), "{text}");
        assert_eq!(text.contains("remedy: unset ANNULUS_DRIVER"), has_ring, "{text}");
        assert_eq!(json(&[])["driver"], "readiness");
    });
}

#[test]
fn without_a_loop_it_ends_with_1_and_the_reason() {
    in_a_child("without_a_loop_it_ends_with_1_and_the_reason", || {
        // SAFETY: this process has no other thread that looks at its environment.
        unsafe { std::env::set_var("ANNULUS_DRIVER", "nonsense") };
        for arguments in [&[][..], &["--json"]] {
            let output = doctor(arguments);
            let text = child::text(&output.stdout);
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains("nonsense") && text.contains("say auto, uring, readiness"), "{text}");
        }
    });
}

#[test]
fn few_descriptors_are_told_with_the_remedy() {
    in_a_child("few_descriptors_are_told_with_the_remedy", || {
        lower!(libc::RLIMIT_NOFILE, 200);
        let json = json(&[]);
        let limit = fact(&json, "RLIMIT_NOFILE");
        assert_eq!((&limit["number"], &limit["standing"]), (&Value::from(200), &Value::from("fair")));
        assert!(printed(&[]).contains("remedy: `ulimit -n "), "{limit}");
    });
}

#[cfg(target_os = "linux")]
mod linux {
    use super::*;
    use support::seccomp::{SETUP, refuse};

    #[test]
    fn little_locked_memory_is_told_with_the_remedy() {
        in_a_child("linux::little_locked_memory_is_told_with_the_remedy", || {
            const CAP_IPC_LOCK: libc::c_ulong = 14;
            lower!(libc::RLIMIT_MEMLOCK, 65536);
            // Root may lock what it likes; the programs that it starts may not, then. Others may not drop what they do not have.
            // SAFETY: no memory is passed.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0) };
            let json = json(&[]);
            let limit = fact(&json, "RLIMIT_MEMLOCK");
            assert_eq!((&limit["number"], &limit["standing"]), (&Value::from(65536), &Value::from("fair")));
            let text = printed(&[]);
            assert!(text.contains("64 KiB") && text.contains("remedy: `ulimit -l 65536`"), "{text}");
        });
    }

    #[test]
    fn a_policy_as_containers_have_it_is_told_with_the_remedy() {
        in_a_child("linux::a_policy_as_containers_have_it_is_told_with_the_remedy", || {
            let has_ring = Builder::new().report().refusal().is_none();
            refuse(&[SETUP], libc::EPERM);
            let (text, json) = (printed(&[]), json(&[]));
            assert_eq!(json["driver"], "readiness");
            if !has_ring {
                return;
            }
            assert!(json["refusal"].as_str().unwrap().starts_with("io_uring_setup: "), "{json}");
            assert_eq!(fact(&json, "seccomp")["standing"], "missing");
            assert!(fact(&json, "seccomp")["remedy"].as_str().unwrap().contains("io_uring_enter"), "{json}");
            assert!(text.contains("!!  seccomp"), "{text}");
            // Who wants the ring or nothing gets nothing, and is told why.
            let output = doctor(&["--driver", "uring"]);
            assert_eq!(output.status.code(), Some(1));
            assert!(child::text(&output.stdout).contains("no loop can be made"));
        });
    }
}
