//! What the machine gives, as `annulus::report` tells it.

#[path = "../src/json.rs"]
#[allow(dead_code, reason = "a report needs a part of it")]
mod json;
mod support;

use std::collections::BTreeSet;
use std::process::Command;

use annulus::report::{OperationForm, Report, Standing, Topic};
use annulus::{Builder, Driver, Error};
use json::Object;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::audit;
use support::child::{self, again, alone};
use support::{is_simulated, on_every_driver, on_real_drivers};

on_every_driver! {
    the_driver_that_serves_is_named,
    every_operation_is_told,
    what_is_not_at_its_best_has_a_price_and_a_remedy,
    what_the_program_does_without_is_told_with_its_remedy,
    the_text_is_for_a_terminal_of_100_columns_and_has_no_colours_unless_asked_for,
    the_json_says_what_the_report_says,
    the_processors_are_told_as_the_topology_has_them,
}

on_real_drivers! {
    because "descriptors and threads are the machine's": looking_leaves_nothing_behind_and_may_be_done_on_a_loop;
}

fn the_driver_that_serves_is_named(builder: Builder) {
    let report = builder.report();
    let serves = builder.build().unwrap().driver();
    assert_eq!(report.driver(), Some(serves));
    let first = report.to_string().lines().next().unwrap().to_owned();
    assert!(first.ends_with(&format!("driver {serves}")), "{first}");
    let fact = report.fact("driver").unwrap();
    assert_eq!((fact.topic(), fact.value().starts_with(serves)), (Topic::Driver, true), "{fact:?}");
    // What is not the driver may be had all the same, and that is said.
    assert_eq!(report.refusal().is_none(), Builder::new().driver(Driver::Uring).build().is_ok());
}

fn every_operation_is_told(builder: Builder) {
    let report = builder.report();
    let told: BTreeSet<_> = report.operations().iter().map(|operation| operation.name()).collect();
    let Error::UnknownOperation(_) = builder.clone().without_operation("fly").build().unwrap_err() else {
        panic!()
    };
    let error = builder.without_operation("fly").build().unwrap_err().to_string();
    let wanted: BTreeSet<_> = error.split_once("there are ").unwrap().1.split(", ").collect();
    assert_eq!(told, wanted);
    assert_eq!(report.operations().len(), told.len(), "each once");
    let form = |name| report.operations().iter().find(|operation| operation.name() == name).unwrap().form();
    use OperationForm::{Call, Helper, Ring, World};
    let (read, receive, realpath) = match report.driver().unwrap() {
        "uring" => (Ring, Ring, Helper),
        "readiness" => (Helper, Call, Helper),
        _ => (World, World, World),
    };
    assert_eq!((form("read"), form("recv"), form("realpath")), (read, receive, realpath));
    let text = report.to_string();
    let words: BTreeSet<_> = text.split([',', ' ', '\n']).collect();
    assert!(told.iter().all(|name| words.contains(name)), "{text}");
}

fn what_is_not_at_its_best_has_a_price_and_a_remedy(builder: Builder) {
    let report = builder.report();
    assert!(report.facts().len() > 5, "{report}");
    let mut names = BTreeSet::new();
    let mut topics = Vec::new();
    for fact in report.facts() {
        let is_good = fact.standing() == Standing::Good;
        assert_eq!((fact.costs().is_none(), fact.remedy().is_none()), (is_good, is_good), "{fact:?}");
        assert!(!fact.value().is_empty() && fact.standing() <= report.standing(), "{fact:?}");
        assert!(names.insert(fact.name()), "{} is told twice", fact.name());
        topics.push(fact.topic());
    }
    assert!(topics.is_sorted(), "{topics:?}");
    // Where there is a ring, readiness is not the best that can be had.
    let is_second_best = report.driver() == Some("readiness") && cfg!(target_os = "linux");
    assert_eq!(report.fact("driver").unwrap().standing() == Standing::Fair, is_second_best, "{report}");
}

fn what_the_program_does_without_is_told_with_its_remedy(builder: Builder) {
    let report = builder.without_operation("statx").without_operation("lseek").report();
    let find = |name| report.operations().iter().find(|operation| operation.name() == name).unwrap();
    // A ring has no lseek in any case.
    assert_eq!(find("lseek").remedy(), None);
    if report.driver() == Some("uring") {
        assert_eq!((find("statx").form(), find("statx").standing()), (OperationForm::Helper, Standing::Fair));
        assert!(find("statx").remedy().unwrap().contains("Builder::without_operation"));
        assert!(report.standing() >= Standing::Fair);
        let text = report.to_string();
        assert!(text.contains("~   statx") && text.contains("remedy: the program asks for that"), "{text}");
        let last = text.lines().last().unwrap();
        assert!(last.contains("could be better") && last.contains("statx"), "{text}");
    } else {
        assert_eq!(find("statx").remedy(), None, "there is no ring to do it");
    }
}

fn the_text_is_for_a_terminal_of_100_columns_and_has_no_colours_unless_asked_for(builder: Builder) {
    let report = builder.without_operation("statx").report();
    let text = report.to_string();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line.trim_end(), line, "nothing at the end of a line");
    }
    assert!(!text.contains('\x1b') && text.ends_with('\n'));
    let coloured = report.coloured().to_string();
    assert!(coloured.contains("\x1b[32mok\x1b[0m"), "{coloured}");
    let codes = ["\x1b[0m", "\x1b[31m", "\x1b[32m", "\x1b[33m"];
    assert_eq!(codes.iter().fold(coloured, |text, code| text.replace(code, "")), text);
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    assert!(value.get(key).is_some(), "there is a {key} in {value}");
    value[key].as_str()
}

fn the_json_says_what_the_report_says(builder: Builder) {
    let report = builder.without_operation("statx").report();
    let json = report.to_json();
    assert!(!json.contains('\n'));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(text(&json, "annulus"), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!((text(&json, "driver"), text(&json, "refusal")), (report.driver(), report.refusal()));
    assert_eq!(text(&json, "standing"), Some(report.standing().name()));
    let facts = json["facts"].as_array().unwrap();
    assert_eq!(facts.len(), report.facts().len());
    for (fact, json) in report.facts().iter().zip(facts) {
        let wanted = [Some(fact.topic().name()), Some(fact.name()), Some(fact.value())];
        assert_eq!(["topic", "name", "value"].map(|key| text(json, key)), wanted);
        let wanted = [Some(fact.standing().name()), fact.costs(), fact.remedy()];
        assert_eq!(["standing", "costs", "remedy"].map(|key| text(json, key)), wanted);
        assert_eq!(json["number"].as_u64(), fact.number());
    }
    let operations = json["operations"].as_array().unwrap();
    assert_eq!(operations.len(), report.operations().len());
    for (operation, json) in report.operations().iter().zip(operations) {
        let wanted =
            [Some(operation.name()), Some(operation.form().name()), Some(operation.standing().name())];
        assert_eq!(["name", "form", "standing"].map(|key| text(json, key)), wanted);
        assert_eq!(text(json, "remedy"), operation.remedy());
    }
}

fn the_processors_are_told_as_the_topology_has_them(builder: Builder) {
    let topology = annulus::topology::Topology::read();
    let report = builder.report();
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let told = json["facts"].as_array().unwrap().iter().find(|fact| fact["name"] == "topology").unwrap();
    assert_eq!(told["value"], topology.to_string());
    // The number is that of the loops that are right here.
    assert_eq!(told["number"], topology.loops());
    assert_eq!(told["standing"] == "good", topology.quota().is_none_or(|quota| quota >= 1.0), "{told}");
}

fn looking_leaves_nothing_behind_and_may_be_done_on_a_loop(builder: Builder) {
    assert!(!is_simulated());
    alone(|| {
        builder.report();
        let before = (audit::descriptors(), audit::threads());
        let runtime = builder.clone().build().unwrap();
        runtime.run(async { assert_eq!(builder.report().driver(), Some(runtime.driver())) }).unwrap();
        drop(runtime);
        for _ in 0..10 {
            builder.report();
        }
        audit::comes_back("descriptors", before.0, audit::descriptors);
        audit::comes_back("threads", before.1, audit::threads);
    });
}

proptest! {
    #[test]
    fn any_text_is_read_back_from_json_as_it_was(name in any::<String>(), text in any::<String>(), number in any::<u64>()) {
        let mut inner = Object::new();
        inner.text(&name, Some(&text));
        let mut object = Object::new();
        object.number("number", Some(number));
        object.text("none", None);
        object.list("list", [inner.end(), "{}".to_owned()].into_iter());
        let read: Value = serde_json::from_str(&object.end()).unwrap();
        prop_assert_eq!(read, json!({"number": number, "none": null, "list": [{name: text}, {}]}));
    }
}

#[test]
fn every_character_that_could_end_a_text_of_json_is_escaped() {
    let all: String = (0..0x80u8).map(char::from).chain(['\u{2028}', '\u{10ffff}']).collect();
    let mut object = Object::new();
    object.text("all", Some(&all));
    assert_eq!(serde_json::from_str::<Value>(&object.end()).unwrap(), json!({"all": all}));
    assert_eq!(Object::new().end(), "{}");
}

/// In a child of this test with that ANNULUS_DRIVER: the report, of which nothing is said past its reader.
fn report_with(test: &str, driver: &str, look: impl FnOnce(Report)) {
    let set = |command: &mut Command| {
        command.env("ANNULUS_DRIVER", driver);
    };
    match again(test, set) {
        None => look(annulus::report()),
        Some(output) => {
            let said = child::text(&output.stderr);
            assert!(output.status.success(), "{}{said}", child::text(&output.stdout));
            assert!(!said.contains("annulus:"), "a report says nothing past its reader: {said}");
        }
    }
}

#[test]
fn a_driver_that_the_environment_asks_for_is_told_with_what_it_costs() {
    let test = "a_driver_that_the_environment_asks_for_is_told_with_what_it_costs";
    report_with(test, "readiness", |report| {
        assert_eq!(report.driver(), Some("readiness"));
        let driver = report.fact("driver").unwrap();
        assert!(driver.value().contains("as ANNULUS_DRIVER asks"), "{driver:?}");
        let has_ring = report.refusal().is_none() && cfg!(target_os = "linux");
        assert_eq!(
            driver.remedy().unwrap_or_default().contains("unset ANNULUS_DRIVER"),
            has_ring,
            "{driver:?}"
        );
        assert_eq!(report.fact("ANNULUS_DRIVER").unwrap().value(), "readiness");
        // An explicit choice is not the environment's.
        let explicit = Builder::new().driver(Driver::Readiness).report();
        let driver = explicit.fact("driver").unwrap();
        assert!(driver.value().contains("as the program asks"), "{driver:?}");
        assert_eq!(driver.remedy().unwrap_or_default().contains("Driver::Auto"), has_ring, "{driver:?}");
    });
}

#[test]
fn what_is_said_of_a_loop_with_no_settings_is_what_it_gets() {
    report_with("what_is_said_of_a_loop_with_no_settings_is_what_it_gets", "auto", |report| {
        let has_ring = Builder::new().driver(Driver::Uring).build().is_ok();
        assert_eq!(report.driver(), Some(if has_ring { "uring" } else { "readiness" }));
        assert!(report.fact("driver").unwrap().value().starts_with(report.driver().unwrap()), "{report}");
    });
}

#[test]
fn a_driver_that_does_not_exist_is_told_with_those_that_do() {
    report_with("a_driver_that_does_not_exist_is_told_with_those_that_do", "nonsense", |report| {
        assert_eq!((report.driver(), report.standing()), (None, Standing::Missing));
        let remedy = report.fact("driver").unwrap().remedy().unwrap();
        assert!(
            ["ANNULUS_DRIVER", "nonsense", "auto", "uring"].iter().all(|part| remedy.contains(part)),
            "{remedy}"
        );
        assert!(report.to_string().lines().next().unwrap().ends_with("no loop can be made"));
    });
}

#[cfg(target_os = "linux")]
mod policies {
    use super::*;
    use support::seccomp::{ENTER, SETUP, refuse};

    /// The report of a process where that call answers so.
    fn under(test: &str, call: u32, errno: i32, look: impl FnOnce(Report)) {
        report_with(test, "auto", |before| {
            refuse(&[call], errno);
            let report = annulus::report();
            assert_eq!(
                (report.driver(), report.standing()),
                (Some("readiness"), Standing::Missing),
                "{report}"
            );
            assert!(report.facts().iter().all(|fact| fact.topic() != Topic::Ring), "{report}");
            assert!(report.operations().iter().all(|operation| operation.form() != OperationForm::Ring));
            // Who asks for nothing else gets no loop.
            let explicit = Builder::new().driver(Driver::Uring).report();
            assert_eq!((explicit.driver(), explicit.refusal()), (None, report.refusal()));
            assert!(explicit.fact("driver").unwrap().remedy().unwrap().contains("io_uring"));
            if before.refusal().is_none() {
                look(report);
            }
        });
    }

    #[test]
    fn a_policy_that_does_not_permit_the_ring_is_told_with_its_remedy() {
        let test = "policies::a_policy_that_does_not_permit_the_ring_is_told_with_its_remedy";
        under(test, SETUP, libc::EPERM, |report| {
            let refused = report.fact("io_uring").unwrap();
            assert!(refused.value().starts_with("io_uring_setup: "), "{refused:?}");
            let policy = report.fact("seccomp").unwrap();
            assert_eq!((refused.standing(), policy.standing()), (Standing::Missing, Standing::Missing));
            let calls = ["io_uring_setup", "io_uring_enter", "io_uring_register"];
            let remedy = policy.remedy().unwrap();
            assert!(calls.iter().all(|call| remedy.contains(call)), "{remedy}");
            assert!(report.refusal().unwrap().contains("seccomp"), "{report}");
        });
    }

    #[test]
    fn a_policy_that_permits_only_half_of_the_ring_is_told_with_what_it_refuses() {
        let test = "policies::a_policy_that_permits_only_half_of_the_ring_is_told_with_what_it_refuses";
        under(test, ENTER, libc::EPERM, |report| {
            assert!(report.fact("io_uring").unwrap().value().starts_with("io_uring_enter: "), "{report}");
        });
    }

    #[test]
    fn a_policy_that_denies_that_there_is_a_ring_is_suspected() {
        let test = "policies::a_policy_that_denies_that_there_is_a_ring_is_suspected";
        under(test, SETUP, libc::ENOSYS, |report| {
            let policy = report.fact("seccomp").unwrap();
            // A kernel that has this setting has a ring, and so it is the policy.
            let is_certain = report.fact("kernel.io_uring_disabled").is_some();
            assert_eq!(policy.standing(), if is_certain { Standing::Missing } else { Standing::Fair });
            assert!(policy.remedy().unwrap().contains("docs/seccomp.json"), "{policy:?}");
            let refusal = report.refusal().unwrap();
            assert!(refusal.contains("5.11") && refusal.contains("seccomp"), "{report}");
        });
    }
}
