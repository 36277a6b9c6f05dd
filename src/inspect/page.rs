//! The page: one file, with nothing loaded from elsewhere, and scripts of nobody else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

const PAGE: &str = include_str!("page.html");

/// Where the page wants the word by which its own scripts and styles are known.
const PLACE: &str = "{{nonce}}";

/// The page, and the policy that goes with it. Each has a word of its own.
pub(super) fn page() -> (String, String) {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    (PAGE.replace(PLACE, &nonce), policy)
}

/// Nobody guesses it: each hasher has keys that the system gave by chance.
fn nonce() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_a_word_of_its_own_in_all_places() {
        let (page, policy) = page();
        let nonce = policy.split("'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        assert_eq!(nonce.len(), 32);
        assert!(!page.contains(PLACE));
        assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), PAGE.matches(PLACE).count());
        assert!(PAGE.matches(PLACE).count() >= 2, "scripts and styles have a place for it");
        assert_ne!(super::page().1, policy);
    }
}
