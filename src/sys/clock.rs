//! What time it is, in nanoseconds from some moment of the past.
#![allow(unsafe_code)]

/// clock_gettime(2), CLOCK_MONOTONIC.
pub(crate) fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// The same clock, some milliseconds late, for a quarter of the price.
pub(crate) fn lately() -> u64 {
    #[cfg(target_os = "linux")]
    return read(libc::CLOCK_MONOTONIC_COARSE);
    #[cfg(not(target_os = "linux"))]
    now()
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one timespec, on this stack, for the time of the call, which cannot fail for these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ticks of the processor's own counter where it runs evenly and on all processors alike; elsewhere the clock. A look costs less
/// than half of one at the clock.
#[inline]
pub(crate) fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if counts_evenly() {
        // SAFETY: every processor of this architecture has the instruction, and it reads a counter.
        return unsafe { std::arch::x86_64::_rdtsc() };
    }
    now()
}

/// Whether the processor says that its counter is invariant: CPUID 80000007H, EDX, bit 8.
#[cfg(target_arch = "x86_64")]
fn counts_evenly() -> bool {
    use std::arch::x86_64::__cpuid;
    use std::sync::OnceLock;

    const ADVANCED: u32 = 0x8000_0007;
    static EVENLY: OnceLock<bool> = OnceLock::new();
    *EVENLY.get_or_init(|| {
        // The system takes the counter for a clock only where that is so; a machine that hides it from its guests says no.
        #[allow(unused_unsafe, reason = "a safe function in newer compilers")]
        // SAFETY: every processor of this architecture has the instruction.
        unsafe {
            __cpuid(0x8000_0000).eax >= ADVANCED && __cpuid(ADVANCED).edx & (1 << 8) != 0
        }
    })
}
