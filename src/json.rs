//! Objects of JSON, written. By hand and not by a crate, since what a report or a trace needs is text, numbers and lists.
//!
//! It knows nothing of who writes, so that `tests/report.rs` can hold it against a crate that reads JSON.

/// An object that is being written. What is None is null.
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn new() -> Object {
        Object("{".to_owned())
    }

    fn key(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        quote(name, &mut self.0);
        self.0.push(':');
    }

    pub(crate) fn text(&mut self, name: &str, value: Option<&str>) {
        self.key(name);
        match value {
            Some(value) => quote(value, &mut self.0),
            None => self.0.push_str("null"),
        }
    }

    pub(crate) fn number(&mut self, name: &str, value: Option<u64>) {
        self.key(name);
        self.0.push_str(&value.map_or_else(|| "null".to_owned(), |value| value.to_string()));
    }

    /// An object in this one.
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object)) {
        self.key(name);
        let mut inner = Object::new();
        fill(&mut inner);
        self.0.push_str(&inner.end());
    }

    /// Nanoseconds, as microseconds with three places.
    pub(crate) fn microseconds(&mut self, name: &str, nanoseconds: u64) {
        self.key(name);
        self.0.push_str(&format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000));
    }

    pub(crate) fn list(&mut self, name: &str, items: impl Iterator<Item = String>) {
        self.key(name);
        self.0.push('[');
        for (place, item) in items.enumerate() {
            self.0.push_str(if place > 0 { "," } else { "" });
            self.0.push_str(&item);
        }
        self.0.push(']');
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// Text in quotes: RFC 8259, section 7.
fn quote(text: &str, to: &mut String) {
    to.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => to.extend(['\\', character]),
            '\0'..='\x1f' => to.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => to.push(character),
        }
    }
    to.push('"');
}
