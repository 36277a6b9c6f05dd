//! The house rules, kept by a machine: floors, lengths, where `unsafe` may stand, files that nobody declares.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up: each imports only from those in front of it. Two at the same place do not know each other.
const FLOORS: &[&[&str]] = &[
    &["sys"],
    &["dice", "histogram", "json", "topology"],
    &["recorder"],
    &["buf"],
    &["executor"],
    &["wheel"],
    &["clock"],
    &["driver"],
    &["engine"],
    &["op"],
    &["cancel", "sync"],
    &["runtime"],
    &["time"],
    &["task"],
    &["io"],
    &["fs", "net"],
    &["process", "signal"],
    &["service"],
    &["launch"],
    &["metrics"],
    &["compat"],
    &["hyper"],
    &["tls"],
    &["http"],
    &["tokio_host", "tower"],
    &["sim", "report", "testing"],
    &["inspect"],
    &["conformance"],
    &["guide"],
];

/// What the front page does for floors that may not know of those above them.
const FRONT_PAGE: &[&str] = &["when_a_loop_is_listed"];

/// From here upward everything is safe.
const SAFE_FROM: &str = "cancel";

const LINES_MAX: usize = 450;

/// How many lines above an `unsafe` its reason may begin: a comment of some lines, attributes, a statement's first line.
const REASON_WITHIN: usize = 10;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end so, with their paths from the root.
fn files(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let Ok(listing) = fs::read_dir(&folder) else { continue };
        for path in listing.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                // What is built, and what the comparison writes, is no part of the sources.
                if !["target", "results"].iter().any(|made| path.ends_with(made)) {
                    folders.push(path);
                }
            } else if path.to_string_lossy().ends_with(ending) {
                // Of a picture what is text is looked at: what made it may have left its own.
                let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                found.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let sources = files("src", ".rs");
    assert!(sources.len() > 50, "the sources are found");
    sources
}

/// The line without comment and without text in quotes; good enough for this tree.
fn code(line: &str) -> String {
    let mut code = String::new();
    let mut quoted = false;
    let mut before = ' ';
    for (place, character) in line.char_indices() {
        match character {
            // Neither a quote that is escaped nor one that is a character by itself.
            '"' if before != '\\' && before != '\'' => quoted = !quoted,
            '/' if !quoted && line[place..].starts_with("//") => break,
            _ if quoted => {}
            _ => code.push(character),
        }
        before = character;
    }
    code
}

/// What `crate::` is followed by in a piece of code: one name, or each of a group's.
fn from_the_crate(text: &str) -> Vec<String> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let mut names = Vec::new();
    for (place, found) in text.match_indices("crate::") {
        let rest = &text[place + found.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.push(rest.chars().take_while(|character| is_name(*character)).collect());
            continue;
        };
        let (mut depth, mut name) = (1, String::new());
        for character in group.chars() {
            match character {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && character == ',') {
                names.push(name.trim().split("::").next().unwrap_or_default().trim().to_owned());
                name.clear();
            } else {
                name.push(character);
            }
            if depth == 0 {
                break;
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Which floor a file belongs to; None for the front page.
fn floor_of(path: &Path) -> Option<(usize, String)> {
    let name = path.components().nth(1)?.as_os_str().to_str()?.trim_end_matches(".rs").to_owned();
    Some((floor_named(&name)?, name))
}

fn floor_named(name: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&name))
}

#[track_caller]
fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_floor_is_declared_in_order_on_the_front_page() {
    let front = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: Vec<_> = front
        .lines()
        .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let floors: Vec<_> = declared.iter().map(|name| floor_named(name)).collect();
    assert!(floors.iter().all(Option::is_some), "a module without a floor: {declared:?}");
    assert!(floors.is_sorted(), "not in order: {declared:?}");
    for floor in FLOORS.iter().flat_map(|floor| floor.iter()) {
        assert!(declared.contains(floor), "{floor} is not there");
    }
}

#[test]
fn a_file_imports_only_from_floors_below_its_own() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some((floor, own)) = floor_of(&path) else {
            assert_eq!(path, Path::new("src/lib.rs"), "{} is on no floor", path.display());
            continue;
        };
        let code: Vec<_> = text.lines().map(code).collect();
        for name in from_the_crate(&code.join("\n")) {
            match floor_named(&name) {
                _ if name == own || FRONT_PAGE.contains(&&*name) => {}
                Some(other) if other < floor => {}
                Some(_) => wrong.push(format!("{}: {own} is not above {name}", path.display())),
                None => wrong.push(format!("{}: crate::{name} is no floor: name the module", path.display())),
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn no_file_is_too_long_to_be_read_at_a_sitting() {
    let too_long = |(path, text): (PathBuf, String)| {
        let lines = text.lines().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines, {LINES_MAX} are enough", path.display()))
    };
    assert_none(sources().into_iter().filter_map(too_long).collect());
}

#[test]
fn every_file_says_at_its_top_what_it_holds() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        let silent = files(folder, ".rs").into_iter().filter(|(_, text)| !text.starts_with("//!"));
        wrong.extend(silent.map(|(path, _)| format!("{} does not open with //!", path.display())));
    }
    assert_none(wrong);
}

/// Where the word `unsafe` stands in code, as a line counted from 0 and what follows it.
fn unsafe_places(text: &str) -> Vec<(usize, String)> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let mut places = Vec::new();
    for (number, line) in text.lines().map(code).enumerate() {
        for (place, word) in line.match_indices("unsafe") {
            let after = &line[place + word.len()..];
            let before = line[..place].chars().next_back();
            if !before.is_some_and(is_name) && !after.chars().next().is_some_and(is_name) {
                places.push((number, after.trim_start().to_owned()));
            }
        }
    }
    places
}

#[test]
fn unsafe_stands_only_in_files_that_say_so_and_below_the_loop() {
    let safe_from = floor_named(SAFE_FROM).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let places = unsafe_places(&text);
        let Some((first, _)) = places.first() else { continue };
        seen += 1;
        let line = format!("{}:{}", path.display(), first + 1);
        if floor_of(&path).is_none_or(|(floor, _)| floor >= safe_from) {
            wrong.push(format!("{line}: from {SAFE_FROM} upward, and on the front page, everything is safe"));
        }
        let opening = text.lines().take_while(|line| line.starts_with("//!") || line.starts_with("#!["));
        let whole_file = opening.into_iter().any(|line| line.starts_with("#![allow(unsafe_code"));
        // Or on the item: a declaration, a macro's function.
        let on_an_item = text.lines().any(|line| line.trim_start().starts_with("#[allow(unsafe_code"));
        if !whole_file && !on_an_item {
            wrong.push(format!("{line}: the file does not say #![allow(unsafe_code)] at its top"));
        }
    }
    assert!(seen > 10, "the word is found");
    assert_none(wrong);
}

#[test]
fn every_unsafe_block_says_who_guarantees_what() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        for (path, text) in files(folder, ".rs") {
            let lines: Vec<_> = text.lines().collect();
            for (number, after) in unsafe_places(&text) {
                if !after.starts_with('{') && !after.starts_with("impl") {
                    continue;
                }
                let near = &lines[number.saturating_sub(REASON_WITHIN)..=number];
                if !near.iter().any(|line| line.contains("SAFETY:")) {
                    wrong.push(format!("{}:{}: no SAFETY comment", path.display(), number + 1));
                }
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn every_file_is_declared() {
    let sources = sources();
    let text_of =
        |path: &Path| sources.iter().find(|(other, _)| other == path).map(|(_, text)| text.as_str());
    let mut wrong = Vec::new();
    for (path, _) in &sources {
        let folder = path.parent().unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (name, declares) = match name {
            "lib" if folder == Path::new("src") => continue,
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap().to_owned()),
            name => (name, folder.to_owned()),
        };
        let places = [declares.join("mod.rs"), declares.join("lib.rs"), declares.with_extension("rs")];
        let parent = places.iter().find_map(|place| text_of(place)).unwrap_or_default();
        let is_declared = parent.lines().map(code).any(|line| {
            let line = line.trim();
            let module =
                line.rsplit_once("mod ").is_some_and(|(_, rest)| rest.starts_with(&format!("{name};")));
            // A line of the list of operations declares its file.
            module || (declares.ends_with("op") && line.starts_with(&format!("{name}: ")))
        });
        if !is_declared {
            wrong.push(format!("{} is declared by nobody", path.display()));
        }
    }
    assert_none(wrong);
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // In halves, so that this file does not.
    let places =
        [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/wo", "rk/"), concat!("/ro", "ot/")];
    let mut wrong = Vec::new();
    let folders = ["src", "tests", "examples", "benches", "docs", ".ci"];
    let mut texts: Vec<_> = folders.iter().flat_map(|folder| files(folder, "")).collect();
    for path in fs::read_dir(root()).unwrap().flatten().map(|entry| entry.path()) {
        if path.is_file() {
            let text = fs::read_to_string(&path).unwrap_or_default();
            texts.push((path.strip_prefix(root()).unwrap().to_owned(), text));
        }
    }
    assert!(texts.iter().any(|(path, _)| path == Path::new("Cargo.toml")));
    for (path, text) in texts {
        for (number, line) in text.lines().enumerate() {
            if places.iter().any(|place| line.contains(place)) {
                wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert_none(wrong);
}

#[test]
fn these_rules_see_what_they_look_for() {
    assert_eq!(from_the_crate("use crate::{a::{x, y}, b, c::d}; crate::e::f()"), ["a", "b", "c", "e"]);
    assert_eq!(code(r#"let a = "// unsafe"; // unsafe {"#), "let a = ; ");
    let places = unsafe_places("unsafe { x }\n// unsafe\nunsafe_code\nunsafe impl X {}\n\"unsafe {\"");
    assert_eq!(places, [(0, "{ x }".to_owned()), (3, "impl X {}".to_owned())]);
    assert_eq!(floor_of(Path::new("src/driver/uring/mod.rs")), Some((7, "driver".to_owned())));
    assert_eq!(floor_of(Path::new("src/engine.rs")), Some((8, "engine".to_owned())));
    assert_eq!(floor_of(Path::new("src/lib.rs")), None);
}
