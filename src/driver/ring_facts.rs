//! What is to be told of a ring: plain data, which is there on every target.

/// What a ring's set-up got.
#[cfg_attr(not(annulus_uring), allow(dead_code, reason = "nothing makes one"))]
pub(crate) struct RingFacts {
    pub(crate) entries: u32,
    pub(crate) completions: u32,
    /// Flags that make it better, by the kernel's names without IORING_SETUP_, and whether they were taken.
    pub(crate) flags: Vec<(&'static str, bool)>,
    /// What the kernel has, by its names without IORING_FEAT_.
    pub(crate) features: Vec<&'static str>,
    /// Whether the thread names it by a registered index.
    pub(crate) is_registered: bool,
    /// Whether the kernel picks buffers for what it receives.
    pub(crate) picks: bool,
    /// Whether it has a table of descriptors of its own.
    pub(crate) is_direct: bool,
    /// By opcode: whether the ring does it.
    pub(crate) known: [bool; 256],
}
