//! The guide, chapter by chapter: from the first line to a server that keeps its data and is tested for bad days.
//!
#![doc = include_str!("../docs/book/links.md")]
#![doc = include_str!("../docs/book/pictures.md")]
#![doc = include_str!("../docs/book/README.md")]

// Documentation alone: only rustdoc compiles this. A chapter's links have two definitions. Its own, at its end, are for who reads
// the file; those of links.md and pictures.md are for rustdoc, and stand in front of it: in Markdown the first one counts.
// `tests/book.rs` holds the two against each other. A program that fails is named after links.md, and its line is counted from there.

/// One module for each chapter. What stands in front of its text is nothing but definitions.
macro_rules! chapters {
    ($($name:ident)*) => {
        $(
            #[doc = include_str!("../docs/book/links.md")]
            #[doc = include_str!("../docs/book/pictures.md")]
            // Its programs want the macros and the simulator, so they are run where both are there.
            #[cfg_attr(
                any(not(doctest), all(feature = "macros", feature = "sim")),
                doc = include_str!(concat!("../docs/book/", stringify!($name), ".md"))
            )]
            pub mod $name {}
        )*
    };
}

chapters! {
    server
    buffers
    cancellation
    timers
    files
    cores
    testing
    observing
    tuning
    containers
    migrating
    soundness
    faq
}
