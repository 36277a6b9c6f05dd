//! The guide and its neighbours: links lead somewhere, in the files and in the documentation, and pictures are what they were drawn as.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const BOOK: &str = "docs/book";

/// What stands in front of each chapter in the documentation, and is none.
const DEFINITIONS: [&str; 2] = ["links.md", "pictures.md"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder whose names end so, by name; not those of folders in it.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let listing = fs::read_dir(root().join(folder)).unwrap();
    let paths = listing.flatten().map(|entry| entry.path());
    let mut found: Vec<_> =
        paths.filter(|path| path.is_file() && path.to_string_lossy().ends_with(ending)).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The cover and the chapters.
fn book() -> Vec<PathBuf> {
    let mut book = files(BOOK, ".md");
    book.retain(|path| !DEFINITIONS.contains(&&*name(path)));
    book
}

/// What a page has besides its text.
#[derive(Debug, Default, PartialEq)]
struct Page {
    /// Where links and pictures lead, those of definitions too.
    targets: Vec<String>,
    /// What is defined below, and as what.
    definitions: BTreeMap<String, String>,
    /// The labels that links and pictures name.
    labels: Vec<String>,
    /// What a link can lead to, as a Git host names it.
    anchors: Vec<String>,
}

/// Good enough for these pages: blocks of code and pieces of it are left out, but for a label that is one.
fn parsed(text: &str) -> Page {
    let mut page = Page::default();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if is_code {
            continue;
        } else if let Some((label, target)) = definition(line) {
            page.targets.push(target.to_owned());
            let before = page.definitions.insert(label.to_owned(), target.to_owned());
            assert_eq!(before, None, "{label} is defined twice");
        } else {
            if line.starts_with('#') {
                page.anchors.push(anchor(line.trim_start_matches('#').trim()));
            }
            links(line, &mut page);
        }
    }
    page
}

fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

/// Lower case, without what is no word, and with hyphens for spaces.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
    kept.flat_map(char::to_lowercase)
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}

fn links(line: &str, page: &mut Page) {
    let mut rest = line;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let inside = match first {
            '`' if before != '[' => rest[1..].split_once('`'),
            '[' => rest[1..].split_once(']'),
            _ => None,
        };
        let Some((inside, behind)) = inside else {
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        };
        (before, rest) = (first, behind);
        if first == '`' {
            continue;
        }
        let ends = |text: &'static str| behind.strip_prefix(text);
        if let Some((target, behind)) = ends("(").and_then(|behind| behind.split_once(')')) {
            page.targets.push(target.to_owned());
            // A picture that is a link stands within its brackets.
            rest = behind;
        } else if let Some((label, behind)) = ends("[").and_then(|behind| behind.split_once(']')) {
            page.labels.push(label.to_owned());
            rest = behind;
        } else {
            page.labels.push(inside.to_owned());
        }
    }
}

fn page(path: &Path) -> Page {
    parsed(&fs::read_to_string(path).unwrap())
}

#[track_caller]
fn assert_none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_link_and_picture_leads_to_a_file_that_is_there() {
    let mut pages = book();
    pages.extend(files("docs", ".md"));
    pages.extend(files("", ".md"));
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for path in pages {
        for target in page(&path).targets {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let is_there = file.exists()
                && (anchor.is_empty() || page(&file).anchors.iter().any(|other| other == anchor));
            if !is_there {
                wrong.push(format!("{}: {target} leads nowhere", path.display()));
            }
        }
    }
    assert!(followed > 100, "links are found");
    assert_none(wrong);
}

#[test]
fn every_chapter_is_in_the_documentation_and_on_the_cover_in_the_same_order() {
    let source = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let (_, list) = source.split_once("\nchapters! {\n").expect("a list of chapters");
    let listed: Vec<_> =
        list.lines().take_while(|line| *line != "}").map(|line| line.trim().to_owned()).collect();
    let mut there: Vec<_> = book().iter().map(|path| name(path).trim_end_matches(".md").to_owned()).collect();
    there.retain(|chapter| chapter != "README");

    let cover = page(&root().join(BOOK).join("README.md"));
    let mut on_the_cover = cover.labels;
    on_the_cover.retain(|label| there.contains(label));
    assert_eq!(on_the_cover, listed, "the cover, and src/guide.rs");
    let mut listed = listed;
    listed.sort();
    assert_eq!(listed, there, "src/guide.rs, and the files");
}

#[test]
fn every_link_of_the_book_has_two_definitions_one_for_each_kind_of_reader() {
    let for_rustdoc: Vec<_> = DEFINITIONS.iter().map(|file| page(&root().join(BOOK).join(file))).collect();
    let for_rustdoc: Vec<_> = for_rustdoc.iter().flat_map(|page| page.definitions.keys()).collect();
    let (mut wrong, mut used) = (Vec::new(), Vec::new());
    for path in book() {
        let Page { definitions, labels, .. } = page(&path);
        for label in &labels {
            if !definitions.contains_key(label) {
                wrong.push(format!("{}: [{label}] is not defined at the end", path.display()));
            }
            if !for_rustdoc.contains(&label) {
                wrong.push(format!(
                    "{}: [{label}] is defined neither in links.md nor as a picture",
                    path.display()
                ));
            }
        }
        let idle = definitions.keys().filter(|label| !labels.contains(label));
        wrong.extend(idle.map(|label| format!("{}: nobody asks for [{label}]", path.display())));
        used.extend(labels);
    }
    let idle = for_rustdoc.iter().filter(|label| !used.contains(label));
    wrong.extend(idle.map(|label| format!("{BOOK}: no chapter asks for [{label}]")));
    // Whoever writes [Run] means no other than who writes [run].
    let mut folded: Vec<_> = for_rustdoc.iter().map(|label| label.to_lowercase()).collect();
    folded.sort();
    wrong.extend(
        folded.windows(2).filter(|two| two[0] == two[1]).map(|two| format!("[{}] is two things", two[0])),
    );
    assert_none(wrong);
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let at = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let number = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (number >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit > three.len() { '=' } else { char::from(DIGITS[value]) });
        }
    }
    text
}

#[test]
fn the_documentation_shows_the_pictures_as_they_are() {
    let mut said = String::new();
    for picture in files(&format!("{BOOK}/pictures"), ".svg") {
        let label = name(&picture).trim_end_matches(".svg").to_owned();
        let data = base64(&fs::read(&picture).unwrap());
        said.push_str(&format!("[{label}]: data:image/svg+xml;base64,{data}\n"));
    }
    assert!(said.len() > 1000, "pictures are found");
    let path = root().join(BOOK).join("pictures.md");
    if std::env::var_os("ANNULUS_BLESS").is_some() {
        fs::write(&path, &said).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == said,
        "pictures.md is not what the pictures are: ANNULUS_BLESS=1 cargo test --test book"
    );
}

#[test]
fn what_these_tests_read_by_is_right() {
    assert_eq!(base64(b""), "");
    assert_eq!(base64(b"f"), "Zg==");
    assert_eq!(base64(b"fo"), "Zm8=");
    assert_eq!(base64(b"foobar"), "Zm9vYmFy");
    assert_eq!(anchor("State, and `messages`: a-z"), "state-and-messages-a-z");
    let text = "# A b\n`Rc<[u8]>` ![x](a.png) [one](b.md#c), [two][three] and [`four`].\n```\n[no]\n```\n[three]: d.md\n";
    let page = parsed(text);
    assert_eq!(page.targets, ["a.png", "b.md#c", "d.md"]);
    assert_eq!(page.labels, ["three", "`four`"]);
    assert_eq!(page.anchors, ["a-b"]);
    assert_eq!(page.definitions, BTreeMap::from([("three".to_owned(), "d.md".to_owned())]));
}
