//! What is printed: the narration, code with its line numbers, what the program prints, and annulus's own words.
//!
//! Each speaker has a mark at the left, so that nobody is taken for another, also without colours. At most 100 columns.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

const COLUMNS: usize = 100;
const BOLD: &str = "1";
const DIM: &str = "2";
const CYAN: &str = "36";

/// Who is who.
pub(crate) fn legend() {
    line("This is the narration. Each stop makes a point, shows a few lines of its own code, and runs them.");
    line("");
    behind("    1 | ", DIM, "code, with the number of its line");
    behind("prints  | ", DIM, "what that code prints");
    annulus("annulus's own words: its errors, warnings and reports, as your program gets them");
}

pub(crate) fn title(title: &str) {
    line("");
    line(&coloured(BOLD, &format!("{title} {}", "-".repeat(COLUMNS - title.len() - 1))));
    line("");
}

/// The narration.
pub(crate) fn tell(text: &str) {
    wrapped(text, COLUMNS).iter().for_each(|words| line(words));
}

/// What stands in a stop's file between `// shown` and `// until here`, each time.
pub(crate) fn code(file: &str, text: &str) {
    let numbered: Vec<_> = (1..).zip(text.lines()).collect();
    line("");
    line(&coloured(DIM, &format!("      {file}")));
    for (place, part) in numbered.split(|(_, code)| code.trim() == "// shown").skip(1).enumerate() {
        let part = part.iter().take_while(|(_, code)| code.trim() != "// until here");
        let shown: Vec<(usize, &str)> = part.copied().collect();
        let indent = |code: &str| code.len() - code.trim_start().len();
        let indents = shown.iter().filter(|(_, code)| !code.is_empty()).map(|(_, code)| indent(code));
        let indent = indents.min().expect("the stop says what is to be shown");
        if place > 0 {
            behind("      | ", DIM, "...");
        }
        for (number, code) in shown {
            behind(&format!("{number:>5} | "), DIM, code.get(indent..).unwrap_or_default());
        }
    }
    line("");
}

/// What the code of a stop prints.
pub(crate) fn prints(words: impl Display) {
    behind("prints  | ", DIM, &words.to_string());
}

/// What annulus says.
pub(crate) fn annulus(words: impl Display) {
    let mark = "annulus > ";
    for words in words.to_string().lines().flat_map(|words| wrapped(words, COLUMNS - mark.len())) {
        line(&coloured(CYAN, &format!("{mark}{words}")));
    }
}

/// The narration after what was seen.
pub(crate) fn so(text: &str) {
    line("");
    tell(text);
}

pub(crate) fn wait_for_enter() -> io::Result<()> {
    line("");
    line("Enter goes on.");
    // At the end of what is typed there is nobody to wait for.
    io::stdin().read_line(&mut String::new()).map(drop)
}

fn behind(mark: &str, colour: &str, words: &str) {
    line(format!("{}{words}", coloured(colour, mark)).trim_end());
}

/// A reader who has enough, as `head` has, is no error.
fn line(words: &str) {
    let _ = writeln!(io::stdout(), "{words}");
}

fn coloured(colour: &str, words: &str) -> String {
    match io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        true => format!("\x1b[{colour}m{words}\x1b[0m"),
        false => words.to_owned(),
    }
}

/// Broken between words where it is too long; what is indented stays so.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    if text.chars().count() <= columns {
        return vec![text.to_owned()];
    }
    let indent = " ".repeat(text.len() - text.trim_start().len());
    let mut lines = vec![indent.clone()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is one");
        let is_first = last.trim_start().is_empty();
        if !is_first && last.chars().count() + 1 + word.chars().count() > columns {
            lines.push(format!("{indent}{word}"));
            continue;
        }
        if !is_first {
            last.push(' ');
        }
        last.push_str(word);
    }
    lines
}
