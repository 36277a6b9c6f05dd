//! The inspector's page in a browser: what it shows of a program that runs, and what it does to it when it is asked.

mod support;

#[path = "inspect_page/browser.rs"]
mod browser;
#[path = "inspect_page/program.rs"]
mod program;

use std::time::{Duration, Instant};
use std::{fs, thread};

use annulus::Builder;
use browser::{Browser, chromium};
use program::{MALICE, Program, alone};
use serde_json::{Value, json};
use support::on_real_drivers;

on_real_drivers! {
    because "it is a browser that looks":
        tasks_are_seen_to_come_and_change_and_are_sorted_and_filtered,
        a_task_is_aborted_after_a_yes_and_is_gone,
        a_stalled_loop_is_said_with_its_frames_and_the_others_go_on;
}

/// A browser at the page of a program, once it shows its tasks.
fn looking_at(program: &Program) -> Option<Browser> {
    let mut browser = Browser::start(&chromium()?);
    browser.open(&program.inspector.url());
    browser.until(&format!(r#"{NAMES}.includes("ticker")"#));
    Some(browser)
}

/// The names in the table of tasks, from top to bottom.
const NAMES: &str =
    r##"[...document.querySelectorAll("#tasks tbody tr td:first-child")].map((cell) => cell.textContent)"##;

/// The row of a task, by its name.
fn row(name: &str) -> String {
    format!(
        r##"[...document.querySelectorAll("#tasks tbody tr")].find((row) => row.cells[0].textContent === {})"##,
        json!(name)
    )
}

/// Presses a button that has this text.
fn press(browser: &mut Browser, within: &str, text: &str) {
    let found = format!(
        r#"[...document.querySelectorAll({} + " button")].find((button) => button.textContent === {})"#,
        json!(within),
        json!(text)
    );
    browser.until(&format!("{found} !== undefined"));
    browser.tell(&format!("{found}.click()"));
}

fn write(browser: &mut Browser, place: &str, text: &str) {
    browser.tell(&format!(
        "document.querySelector({0}).focus(); document.querySelector({0}).select()",
        json!(place)
    ));
    match text {
        "" => {
            browser.tell(r#"document.execCommand("delete")"#);
        }
        text => {
            browser.order("Input.insertText", json!({ "text": text }));
        }
    }
}

/// Nothing went wrong in the page, nothing was forbidden to it, and it asked nobody else.
#[track_caller]
fn assert_innocent(browser: &mut Browser, program: &Program) {
    let home = program.inspector.url();
    for event in browser.events() {
        let about = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown"
            | "Log.entryAdded"
            | "Runtime.consoleAPICalled"
            | "Audits.issueAdded" => panic!("{event}"),
            "Network.requestWillBeSent" => {
                let url = about["request"]["url"].as_str().unwrap_or_default();
                let is_own = ["data:", "blob:"].iter().any(|scheme| url.starts_with(scheme));
                assert!(is_own || url.starts_with(&*home), "it asked for {url}");
            }
            _ => {}
        }
    }
}

fn tasks_are_seen_to_come_and_change_and_are_sorted_and_filtered(builder: Builder) {
    let _alone = alone();
    let program = Program::start(builder, 3);
    let Some(mut browser) = looking_at(&program) else { return };
    // Who it is, where it comes from, what it waits for.
    let listener = browser.tell(&format!("{}.innerText", row("listener")));
    let listener = listener.as_str().unwrap_or_default();
    assert!(listener.contains("inspect_page/program.rs:") || listener.contains("program.rs:"), "{listener}");
    assert!(listener.contains("on fd") && listener.contains("waiting"), "{listener}");
    // It goes on.
    let polls = format!("Number({}.cells[5].textContent.replaceAll(',', ''))", row("ticker"));
    let before = browser.tell(&polls);
    browser.until(&format!("{polls} > {before} + 20"));
    browser.until(r##"/^[\d,.]+$/.test(document.querySelector(".loop .value").textContent)"##);
    assert!(
        browser.until(r##"document.querySelectorAll("#operations tbody tr").length"##).as_u64() > Some(0)
    );
    // A name is a text, whatever it says.
    browser.until(&format!("{NAMES}.includes({})", json!(MALICE)));
    assert_eq!(browser.tell(r#"document.querySelector("img")"#), Value::Null);
    // Sorted by the keyboard, told to who cannot see it.
    let head = r##"[...document.querySelectorAll("#tasks th button")].find((button) => button.textContent === "Name")"##;
    browser.tell(&format!("{head}.focus()"));
    for (order, sign) in [("ascending", "<"), ("descending", ">")] {
        browser.order("Input.dispatchKeyEvent", json!({ "type": "keyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" }));
        browser.order(
            "Input.dispatchKeyEvent",
            json!({ "type": "keyUp", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13 }),
        );
        browser.until(&format!(r#"{head}.closest("th").ariaSort === "{order}""#));
        browser.until(&format!(r#"{NAMES}.indexOf("listener") {sign} {NAMES}.indexOf("ticker")"#));
    }
    write(&mut browser, "#filter", "TICK");
    browser.until(&format!(r#"JSON.stringify({NAMES}) === '["ticker"]'"#));
    browser.until(r##"document.querySelector("#tasks-count").textContent.startsWith("1 of ")"##);
    write(&mut browser, "#filter", "no task has this name");
    browser.until(r##"document.querySelector("#tasks .none").offsetHeight > 0"##);
    write(&mut browser, "#filter", "");
    browser.until(&format!(r#"{NAMES}.includes("listener")"#));
    browser.tell(r##"document.querySelector("#state").value = "running"; document.querySelector("#state").dispatchEvent(new Event("change"))"##);
    browser.until(&format!(r#"!{NAMES}.includes("listener")"#));
    assert_innocent(&mut browser, &program);
}

fn a_task_is_aborted_after_a_yes_and_is_gone(builder: Builder) {
    let _alone = alone();
    let program = Program::start(builder, 1);
    let Some(mut browser) = looking_at(&program) else { return };
    let open = "document.querySelector('#abort-dialog').open";
    let button = format!("{}.querySelector('button')", row("ticker"));
    // Asked about, and kept.
    browser.tell(&format!("{button}.click()"));
    browser.until(open);
    assert_eq!(
        browser.tell("document.activeElement.textContent"),
        "Keep it",
        "who hits a key too many stops nothing"
    );
    assert!(
        browser
            .tell("document.querySelector('#abort-title').textContent")
            .as_str()
            .unwrap_or_default()
            .contains("“ticker”")
    );
    press(&mut browser, "#abort-dialog", "Keep it");
    browser.until(&format!("!{open}"));
    let polls = format!("Number({}.cells[5].textContent.replaceAll(',', ''))", row("ticker"));
    let before = browser.tell(&polls);
    browser.until(&format!("{polls} > {before}"));
    // Asked about, and stopped.
    browser.tell(&format!("{button}.click()"));
    press(&mut browser, "#abort-dialog", "Abort the task");
    browser.until(r##"document.querySelector("#said").textContent.endsWith(" is stopped.")"##);
    browser.until(&format!("{} === undefined", row("ticker")));
    assert_eq!(browser.tell(&format!("{} === undefined", row("listener"))), false);
    assert_innocent(&mut browser, &program);
}

fn a_stalled_loop_is_said_with_its_frames_and_the_others_go_on(builder: Builder) {
    let _alone = alone();
    let stuck = Program::start(builder.clone(), 1);
    let other = Program::start(builder, 1);
    let Some(mut browser) = looking_at(&other) else { return };
    stuck.get_stuck();
    let card = r##"document.querySelector("#loops .loop")"##;
    browser.until(&format!(r#"{card}.querySelector(".state").textContent.startsWith("▲ stalled for ")"#));
    browser.until(r##"document.querySelector("#alarm").textContent.startsWith("Stalled: loop ")"##);
    browser.until(r#"document.title.includes("stalled")"#);
    if cfg!(all(target_os = "linux", feature = "backtrace")) {
        browser.until(&format!(r#"{card}.querySelector(".frames")?.textContent.includes("wait_in_vain")"#));
    }
    // The seconds go on, and so does the other loop.
    let said = browser.tell(&format!(r#"{card}.querySelector(".state").textContent"#));
    browser.until(&format!(r#"{card}.querySelector(".state").textContent !== {said}"#));
    let turns =
        r##"document.querySelector("#loops .loop:not(.stalled) .value").textContent.replaceAll(",", "")"##;
    browser.until(&format!("Number({turns}) > 10"));
    stuck.go_on();
    browser.until(r##"!document.querySelector("#loops .stalled") && document.querySelector("#alarm").textContent === """##);
    assert_innocent(&mut browser, &other);
}

#[test]
fn what_is_paused_stays_and_what_is_frozen_is_saved_and_opened_again() {
    let _alone = alone();
    let program = Program::start(Builder::new(), 300);
    let Some(mut browser) = looking_at(&program) else { return };
    let at = "view.now.process.time_ms";
    press(&mut browser, "header", "Pause");
    let then = browser.tell(at);
    browser.until("new Promise((done) => setTimeout(done, 1500, true))");
    assert_eq!(browser.tell(at), then, "nobody asks while it is paused");
    press(&mut browser, "header", "Go on");
    browser.until(&format!("{at} > {then}"));
    // Two looks, so that there are rates.
    browser.until("view.past.length > 1");
    press(&mut browser, "header", "Freeze");
    browser.until(r##"document.querySelector("#link").textContent.includes("Frozen")"##);
    assert!(browser.tell("view.now.tasks.rows.length").as_u64() >= Some(303), "all of them, not a page");
    // Sorted and filtered without the program.
    write(&mut browser, "#filter", "listen");
    browser.until(&format!(r#"JSON.stringify({NAMES}) === '["listener"]'"#));
    let turns = browser.tell(r##"document.querySelector(".loop .value").textContent"##);
    press(&mut browser, "header", "Save as JSON");
    let saved = browser.downloads();
    let file = eventually(|| {
        let names = fs::read_dir(&saved).ok()?.flatten().map(|entry| entry.path());
        names.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "json"))
    });
    let text = eventually(|| serde_json::from_str::<Value>(&fs::read_to_string(&file).ok()?).ok());
    assert_eq!(text["process"]["pid"], std::process::id());
    press(&mut browser, "header", "Back to live");
    browser.until(r##"document.querySelector("#link").textContent.includes("Live")"##);
    // And read again, also when it is nothing that can be read.
    let open = |browser: &mut Browser, file: &std::path::Path| {
        let document = browser.order("DOM.getDocument", json!({}))["root"]["nodeId"].clone();
        let input =
            browser.order("DOM.querySelector", json!({ "nodeId": document, "selector": "#file" }))["nodeId"]
                .clone();
        browser.order("DOM.setFileInputFiles", json!({ "nodeId": input, "files": [file] }));
    };
    let other = saved.join("other.json");
    fs::write(&other, r#"{"process":{"time_ms":1},"loops":"none"}"#).unwrap();
    open(&mut browser, &other);
    browser.until(
        r##"document.querySelector("#said").textContent.includes("cannot be shown: this is no snapshot")"##,
    );
    assert_eq!(browser.tell("view.mode"), "live");
    open(&mut browser, &file);
    browser.until(r##"document.querySelector("#link").textContent.includes("File annulus-")"##);
    browser.until(&format!(r#"JSON.stringify({NAMES}) === '["listener"]'"#));
    assert_eq!(browser.tell(r##"document.querySelector(".loop .value").textContent"##), turns);
    assert_innocent(&mut browser, &program);
}

#[test]
fn of_ten_thousand_tasks_only_a_page_is_in_the_document_and_it_fits_the_narrowest_screen() {
    let _alone = alone();
    let program = Program::start(Builder::new(), 10_000);
    let Some(mut browser) = looking_at_many(&program) else { return };
    browser.until(r##"document.querySelector("#range").textContent.startsWith("1 to 50 of 10,00")"##);
    assert_eq!(browser.tell(r##"document.querySelectorAll("#tasks tbody tr").length"##), 50);
    press(&mut browser, "#tasks", "Next");
    browser.until(r##"document.querySelector("#range").textContent.startsWith("51 to 100 of ")"##);
    assert!(browser.tell(r#"document.querySelectorAll("*").length"#).as_u64() < Some(3000));
    for (width, scheme) in [(360, "light"), (1280, "dark")] {
        browser.order(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false }),
        );
        browser.order(
            "Emulation.setEmulatedMedia",
            json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] }),
        );
        browser.until("document.documentElement.scrollWidth <= innerWidth");
    }
    // Whatever can be used has a name for who does not see it.
    let tree = browser.order("Accessibility.getFullAXTree", json!({}));
    let mut seen = 0;
    for node in tree["nodes"].as_array().into_iter().flatten().filter(|node| node["ignored"] == false) {
        if ["button", "combobox", "searchbox", "table"].iter().any(|role| node["role"]["value"] == *role) {
            seen += 1;
            assert!(!node["name"]["value"].as_str().unwrap_or_default().is_empty(), "without a name: {node}");
        }
    }
    assert!(seen > 60, "{seen} things to use");
    assert_innocent(&mut browser, &program);
}

#[test]
fn a_program_that_is_gone_is_said_to_be_and_found_again() {
    let _alone = alone();
    let program = Program::start(Builder::new(), 1);
    let Some(mut browser) = looking_at(&program) else { return };
    // The page is served by another one, which ends and comes again at the same place.
    let first = annulus::inspect::serve("127.0.0.1:0").expect("there is a port");
    let address = first.address().to_string();
    browser.open(&first.url());
    browser.until(&format!(r#"{NAMES}.includes("ticker")"#));
    drop(first);
    browser.until(r##"document.querySelector("#link").textContent.startsWith("▲ Lost the program")"##);
    let _second = annulus::inspect::serve(&*address).expect("the port is free again");
    browser.until(r##"document.querySelector("#link").textContent.startsWith("● Live")"##);
}

/// What becomes of something that takes a while.
fn eventually<T>(mut wanted: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(it) = wanted() {
            return it;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it never came");
        thread::sleep(Duration::from_millis(20));
    }
}

/// As [`looking_at`], where the tasks are too many for one page.
fn looking_at_many(program: &Program) -> Option<Browser> {
    let mut browser = Browser::start(&chromium()?);
    browser.open(&program.inspector.url());
    browser.until(r##"document.querySelectorAll("#tasks tbody tr").length === 50"##);
    Some(browser)
}
