//! The profile for containers, docs/seccomp.json, put into force: what annulus needs is in it, and what a container should not do is not.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod support;

use std::process::Command;

use annulus::Builder;
use annulus::report::Standing;

use seccompiler::{BpfProgram, TargetArch};
use serde_json::{Value, json};
use support::child::{alone, text};
use support::everything::everything;
use support::example::example;
use support::on_real_drivers;

on_real_drivers! {
    because "policies are the kernel's":
        all_that_annulus_does_is_permitted_by_the_profile,
        a_program_under_the_profile_is_told_that_all_is_well,
        without_the_ring_in_the_profile_the_report_says_what_to_add_and_the_other_driver_serves,
        what_reaches_out_of_a_container_is_refused_by_the_profile;
}

const RING: [&str; 3] = ["io_uring_enter", "io_uring_register", "io_uring_setup"];

fn architecture() -> TargetArch {
    std::env::consts::ARCH.try_into().expect("an architecture that filters are made for")
}

/// Filters of that form: what is listed is answered one way, and all else the other.
fn compile(listed: Vec<Value>, matches: Value, otherwise: Value) -> Result<BpfProgram, seccompiler::Error> {
    let filter = json!({"main": {"match_action": matches, "mismatch_action": otherwise, "filter": listed}});
    let programs = seccompiler::compile_from_json(filter.to_string().as_bytes(), architecture())?;
    Ok(programs.into_values().next().expect("the one filter"))
}

/// As a container's runtime does, what another architecture alone has is passed over.
fn is_known(name: &str) -> bool {
    compile(vec![json!({"syscall": name})], json!("allow"), json!({"errno": 1})).is_ok()
}

/// What the profile says of an argument, in the words of the crate that makes filters.
fn condition(of: &Value) -> Value {
    let (index, value) = (&of["index"], &of["value"]);
    match of["op"].as_str().unwrap() {
        "SCMP_CMP_NE" => json!({"index": index, "type": "dword", "op": "ne", "val": value}),
        "SCMP_CMP_MASKED_EQ" => {
            json!({"index": index, "type": "qword", "op": {"masked_eq": value}, "val": of["valueTwo"]})
        }
        other => panic!("a comparison that this test does not know: {other}"),
    }
}

/// The profile as filters, without some of its names: one that permits what is listed, and one for each that is refused by another
/// number. Of several the kernel takes the one that permits least.
fn filters(without: &[&str]) -> Vec<BpfProgram> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/seccomp.json");
    let profile: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let (mut permitted, mut filters) = (Vec::new(), Vec::new());
    let mut seen = Vec::new();
    for entry in profile["syscalls"].as_array().unwrap() {
        let conditions =
            entry.get("args").map(|all| all.as_array().unwrap().iter().map(condition).collect::<Vec<_>>());
        let names = entry["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        for name in names.filter(|name| !without.contains(name)) {
            assert!(!seen.contains(&name.to_owned()), "{name} is listed twice");
            seen.push(name.to_owned());
            if !is_known(name) {
                continue;
            }
            let rule = match &conditions {
                Some(conditions) => json!({"syscall": name, "args": conditions}),
                None => json!({"syscall": name}),
            };
            if entry["action"] == "SCMP_ACT_ERRNO" {
                filters.push(
                    compile(vec![rule.clone()], json!({"errno": entry["errnoRet"]}), json!("allow")).unwrap(),
                );
            } else {
                assert_eq!(entry["action"], "SCMP_ACT_ALLOW");
            }
            permitted.push(rule);
        }
    }
    assert!(RING.iter().all(|call| without.contains(call) || seen.iter().any(|name| name == call)));
    assert!(permitted.len() > 100, "{} names are known here", permitted.len());
    filters.push(compile(permitted, json!("allow"), json!({"errno": profile["defaultErrnoRet"]})).unwrap());
    filters
}

/// From now on the profile holds for this thread and all that it starts.
fn put_into_force(filters: &[BpfProgram]) {
    for filter in filters {
        seccompiler::apply_filter(filter).unwrap();
    }
}

/// Every operation, and a child that makes children.
async fn everything_and_children() {
    everything().await;
    let output =
        annulus::process::Command::new("sh").args(["-c", "echo hello | cat; exit 7"]).output().await.unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(7), &b"hello\n"[..]));
    let mut child = annulus::process::Command::new("sleep").arg("60").spawn().unwrap();
    child.send_signal(libc::SIGTERM).unwrap();
    assert!(!child.wait().await.unwrap().success());
}

fn all_that_annulus_does_is_permitted_by_the_profile(builder: Builder) {
    alone(|| {
        put_into_force(&filters(&[]));
        builder.build().unwrap().run(everything_and_children()).unwrap();
    });
}

fn a_program_under_the_profile_is_told_that_all_is_well(builder: Builder) {
    // Cargo is not what the profile is for.
    let doctor = example("doctor");
    alone(|| {
        let driver = builder.clone().build().unwrap().driver();
        put_into_force(&filters(&[]));
        let report = builder.report();
        assert_eq!(report.driver(), Some(driver));
        let policy = report.fact("seccomp").unwrap();
        assert!(policy.value().contains("filters"), "{policy:?}");
        let has_ring = report.refusal().is_none();
        assert_eq!(policy.standing() == Standing::Good, has_ring, "{report}");
        let output = Command::new(&doctor).args(["--driver", driver]).output().unwrap();
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{printed}{}", text(&output.stderr));
        assert!(printed.contains(&format!("driver {driver}\n")), "{printed}");
    });
}

fn without_the_ring_in_the_profile_the_report_says_what_to_add_and_the_other_driver_serves(builder: Builder) {
    alone(|| {
        let has_ring = builder.report().refusal().is_none();
        put_into_force(&filters(&RING));
        let report = Builder::new().report();
        assert_eq!(report.driver(), Some("readiness"));
        let runtime = Builder::new().build().unwrap();
        assert_eq!(runtime.driver(), "readiness");
        runtime.run(everything_and_children()).unwrap();
        if has_ring {
            let policy = report.fact("seccomp").unwrap();
            assert_eq!(policy.standing(), Standing::Missing);
            let remedy = policy.remedy().unwrap();
            assert!(
                remedy.contains("docs/seccomp.json") && RING.iter().all(|call| remedy.contains(call)),
                "{remedy}"
            );
        }
    });
}

fn what_reaches_out_of_a_container_is_refused_by_the_profile(_: Builder) {
    alone(|| {
        put_into_force(&filters(&[]));
        let refused = |call: libc::c_long, first: libc::c_long| {
            // SAFETY: no call does anything with such arguments, also where no filter answers it: the kernel has another error then.
            let answer = unsafe { libc::syscall(call, first, 0, 0, 0, 0) };
            assert_eq!(answer, -1, "call {call} is permitted");
            std::io::Error::last_os_error().raw_os_error().unwrap()
        };
        let calls = [libc::SYS_unshare, libc::SYS_setns, libc::SYS_mount, libc::SYS_ptrace, libc::SYS_keyctl];
        for call in calls {
            assert_eq!(refused(call, -1), libc::EPERM, "call {call}");
        }
        // Together they are EINVAL where a new namespace is permitted.
        let of_a_user = libc::c_long::from(libc::CLONE_NEWUSER | libc::CLONE_FS);
        assert_eq!(refused(libc::SYS_clone, of_a_user), libc::EPERM);
        assert_eq!(refused(libc::SYS_socket, libc::AF_VSOCK.into()), libc::EPERM);
        assert_eq!(refused(libc::SYS_clone3, 0), libc::ENOSYS);
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7);
    });
}
