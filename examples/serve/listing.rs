//! Pages that are made, not read.

use std::fmt::Write;
use std::io;
use std::path::Path;

/// What the page at the root says first, where there is no index.html.
const WELCOME: &str = "<h1>annulus serves</h1>\n<p>A static file server on an io_uring-based runtime. There is no \
     index.html in this directory, so here is what there is.</p>\n";

/// The list of a directory: its directories, then its files, by name. Blocks.
pub fn page(shown: &str, directory: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_link = entry.file_type().is_ok_and(|found| found.is_symlink());
        // Of a link, what it leads to; but that may be outside of the root, so it is not described.
        let metadata = std::fs::metadata(entry.path()).ok();
        let is_directory = metadata.as_ref().is_some_and(|found| found.is_dir());
        let length = metadata.filter(|_| !is_link && !is_directory).map(|found| found.len());
        entries.push((!is_directory, name, length));
    }
    entries.sort();
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>{0}</title>\n{1}<h2>{0}</h2>\n<pre>\n",
        escaped(shown),
        if shown == "/" { WELCOME } else { "" }
    );
    if shown != "/" {
        page.push_str("<a href=\"../\">../</a>\n");
    }
    for (is_file, name, length) in entries {
        let slash = if is_file { "" } else { "/" };
        let size = length.map(|length| length.to_string()).unwrap_or_default();
        let room = 60_usize.saturating_sub(name.chars().count() + slash.len());
        writeln!(page, "<a href=\"./{}{slash}\">{}{slash}</a>{size:>room$}", encoded(&name), escaped(&name))
            .expect("writing to a string does not fail");
    }
    page.push_str("</pre>\n");
    Ok(page)
}

/// As text in HTML.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// As one segment of a URL's path.
pub fn encoded(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => write!(out, "%{other:02X}").expect("writing to a string does not fail"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_no_harm() {
        assert_eq!(escaped("<a href='x'>&"), "&lt;a href=&#39;x&#39;&gt;&amp;");
        assert_eq!(encoded("a b/\"ü"), "a%20b%2F%22%C3%BC");
    }
}
