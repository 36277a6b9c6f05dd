//! Pages that are made, not read.

use std::fmt::Write;
use std::io;
use std::path::Path;

/// The page at the root, where there is no index.html.
pub fn welcome(root: &Path) -> String {
    let list = page("/", root).unwrap_or_default();
    format!(
        "<!doctype html><meta charset=utf-8><title>annulus</title>\n\
         <h1>annulus serves</h1>\n\
         <p>A static file server on an io_uring-based runtime. There is no index.html in \
         <code>{}</code>, so here is what there is.</p>\n{list}",
        escaped(&root.display().to_string())
    )
}

/// The list of a directory: its directories, then its files, by name. Blocks.
pub fn page(shown: &str, directory: &Path) -> io::Result<String> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Of a link, what it leads to.
        let metadata = std::fs::metadata(entry.path());
        entries.push((
            !metadata.as_ref().is_ok_and(|found| found.is_dir()),
            name,
            metadata.map_or(0, |found| found.len()),
        ));
    }
    entries.sort();
    let mut page = format!(
        "<!doctype html><meta charset=utf-8><title>{0}</title>\n<h2>{0}</h2>\n<pre>\n",
        escaped(shown)
    );
    if shown != "/" {
        page.push_str("<a href=\"../\">../</a>\n");
    }
    for (is_file, name, length) in entries {
        let slash = if is_file { "" } else { "/" };
        let size = if is_file { length.to_string() } else { String::new() };
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
