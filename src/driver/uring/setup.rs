//! Making a ring: the strongest flags that the kernel takes, what it must have, and why it was refused.
//!
//! Kernels backport, so nothing asks for a version: flags are tried, features and operations are probed.

use std::io;
use std::time::Duration;

use io_uring::{IoUring, Probe, opcode};

use crate::driver::{Refusal, Settings, ability};
use crate::sys::uring::RingName;

use std::os::fd::AsRawFd;

/// How completions are delivered; each is tried where the one before was refused.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// 6.1: by the one submitting thread, when it asks.
    Deferred,
    /// 5.19: by the submitting thread, without interrupting it.
    Cooperative,
    /// However the kernel likes.
    Any,
}

/// Which of the flags that make a ring better the kernel took.
#[derive(Clone, Copy)]
pub(super) struct Given {
    pub(super) delivery: Delivery,
    pub(super) submit_all: bool,
    pub(super) no_array: bool,
}

/// A ring below this size is not worth having.
const ENTRIES_MIN: u32 = 16;

/// The kernel's limit for the submission queue; the completion queue may be twice as long.
const ENTRIES_MAX: u32 = 32_768;

/// How often, and how long, what the kernel refuses for a moment is waited for while a ring is tried out.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_micros(100);

/// Makes a ring and finds out what it knows.
pub(super) fn open(settings: &Settings) -> Result<(IoUring, Given, [bool; 256]), Refusal> {
    let (ring, given) = create(settings, strongest)?;
    require(&ring)?;
    try_out(&ring)?;
    if settings.kernel_workers != [0; 2] {
        // A kernel that knows no such limit goes without, as the knob says.
        let _ = ring.submitter().register_iowq_max_workers(&mut settings.kernel_workers.clone());
    }
    let known = probe(&ring, settings)?;
    Ok((ring, given, known))
}

/// The memory of a ring that was just closed, by this process or another of its user, counts towards the limit until
/// the kernel has cleared it away, some milliseconds later. So what does not fit now may fit then.
fn create<T>(settings: &Settings, make: Make<T>) -> Result<T, Refusal> {
    const PATIENCE: u32 = 10;
    const PAUSE: Duration = Duration::from_millis(10);
    for _ in 0..PATIENCE {
        match create_now(settings, make) {
            Err(refusal) if refusal.error.raw_os_error() == Some(libc::ENOMEM) => std::thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    create_now(settings, make)
}

/// Makes one with so many entries, and room for so many completions.
type Make<T> = fn(u32, u32) -> io::Result<T>;

fn create_now<T>(settings: &Settings, make: Make<T>) -> Result<T, Refusal> {
    let mut entries = settings.entries.clamp(ENTRIES_MIN, ENTRIES_MAX).next_power_of_two();
    let mut completions = settings.completions.clamp(entries, 2 * ENTRIES_MAX).next_power_of_two();
    loop {
        match make(entries, completions) {
            Ok(ring) => return Ok(ring),
            // The locked-memory limit, on kernels where rings count towards it: a smaller ring will do.
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && entries > ENTRIES_MIN => {
                entries /= 2;
                completions = (completions / 4).max(entries * 2);
            }
            Err(error) => return Err(refused("io_uring_setup")(error)),
        }
    }
}

fn strongest(entries: u32, completions: u32) -> io::Result<(IoUring, Given)> {
    let mut last = io::Error::from_raw_os_error(libc::EINVAL);
    for delivery in [Delivery::Deferred, Delivery::Cooperative, Delivery::Any] {
        // 5.18 and 6.6: worth having by themselves, whatever the delivery.
        for (submit_all, no_array) in [(true, true), (true, false), (false, false)] {
            let given = Given { delivery, submit_all, no_array };
            match build(entries, completions, given) {
                Ok(ring) => return Ok((ring, given)),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => last = error,
                Err(error) => return Err(error),
            }
        }
    }
    Err(last)
}

fn build(entries: u32, completions: u32, given: Given) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder.setup_clamp().setup_cqsize(completions);
    match given.delivery {
        Delivery::Deferred => {
            builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag();
        }
        Delivery::Cooperative => {
            builder.setup_coop_taskrun().setup_taskrun_flag();
        }
        Delivery::Any => {}
    }
    if given.submit_all {
        builder.setup_submit_all();
    }
    if given.no_array {
        builder.setup_no_sqarray();
    }
    builder.build(entries)
}

/// A ring that asks devices.
pub(super) fn open_asking(settings: &Settings) -> Result<IoUring, Refusal> {
    create(settings, asking)
}

/// Nobody but its thread asks, and nothing interrupts it; otherwise as strong as it can be.
fn asking(entries: u32, completions: u32) -> io::Result<IoUring> {
    let build = |is_single: bool| {
        let mut builder = IoUring::builder();
        builder.setup_clamp().setup_cqsize(completions).setup_iopoll();
        if is_single {
            builder.setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        }
        builder.build(entries)
    };
    match build(true) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => build(false),
        made => made,
    }
}

/// What the crate's promises rest on.
fn require(ring: &IoUring) -> Result<(), Refusal> {
    let has = ring.params();
    let needs = [
        (has.is_feature_nodrop(), "NODROP (no completion is ever dropped)"),
        (has.is_feature_submit_stable(), "SUBMIT_STABLE (what an entry points to is read at submission)"),
        (has.is_feature_rw_cur_pos(), "RW_CUR_POS (reading at the file's own cursor)"),
        (has.is_feature_fast_poll(), "FAST_POLL (sockets wait without a thread)"),
        (has.is_feature_ext_arg(), "EXT_ARG (a wait with a time-out)"),
    ];
    match needs.iter().find(|(has, _)| !has) {
        None => Ok(()),
        Some((_, missing)) => Err(Refusal {
            what: "io_uring of this kernel",
            error: io::Error::from(io::ErrorKind::Unsupported),
            remedy: format!("it lacks the feature {missing}; Linux 5.11 has it"),
        }),
    }
}

/// How many entries `try_out` has the kernel take.
pub(super) const ENTRIES_TRIED: u32 = 1;

/// One NOP there and back. A policy may permit setting up and refuse entering.
fn try_out(ring: &IoUring) -> Result<(), Refusal> {
    let name = RingName::register(ring.as_raw_fd());
    let answer = exchange(ring, name);
    name.unregister(ring.as_raw_fd());
    answer.map_err(refused("io_uring_enter"))
}

#[allow(unsafe_code)]
fn exchange(ring: &IoUring, name: RingName) -> io::Result<()> {
    // SAFETY: the ring is new and nobody else's, and a NOP points to nothing.
    let pushed = unsafe { ring.submission_shared().push(&opcode::Nop::new().build()) };
    pushed.map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    let mut patience = PATIENCE;
    while {
        // SAFETY: as above.
        let mut queue = unsafe { ring.completion_shared() };
        queue.next().is_none()
    } {
        // SAFETY: as above.
        let queued = unsafe { ring.submission_shared() }.len() as u32;
        match name.enter(queued, 1, true, None) {
            taken if taken >= 0 => {}
            error if error == -libc::EINTR => {}
            // The kernel is short of something for a moment. That is no reason to do without a ring for good.
            error if [-libc::EAGAIN, -libc::EBUSY, -libc::ENOMEM].contains(&error) && patience > 0 => {
                patience -= 1;
                std::thread::sleep(PAUSE);
            }
            error => return Err(io::Error::from_raw_os_error(-error)),
        }
    }
    Ok(())
}

/// Which operations the ring knows and may use.
fn probe(ring: &IoUring, settings: &Settings) -> Result<[bool; 256], Refusal> {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).map_err(refused("io_uring_register, for the probe"))?;
    let mut known = [false; 256];
    for code in 0..=u8::MAX {
        known[usize::from(code)] = probe.is_supported(code);
    }
    // Which the probe does not tell by themselves: they came with these. Registering buffers says whether they can be
    // picked.
    known[usize::from(ability::ACCEPT_OFTEN)] = probe.is_supported(opcode::Socket::CODE);
    known[usize::from(ability::PICK)] = true;
    known[usize::from(ability::PICK_OFTEN)] = probe.is_supported(opcode::SendZc::CODE);
    // There from 6.7 on, but until 6.12 the last of several answers did not name its buffer, and its bytes were lost:
    // <https://github.com/axboe/liburing/issues/1257>. A feature of 6.12 tells.
    known[usize::from(ability::READ_OFTEN)] =
        probe.is_supported(opcode::ReadMulti::CODE) && ring.params().is_feature_min_timeout();
    for masked in &settings.masked {
        known[usize::from(*masked)] = false;
    }
    Ok(known)
}

/// A refusal with the likely cause and what helps.
pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> Refusal {
    move |error| {
        let remedy = match error.raw_os_error() {
            Some(libc::ENOSYS) if has_a_policy() => {
                "a seccomp policy denies it, as Podman's default policy does: have it permit io_uring_setup, io_uring_enter \
                 and io_uring_register; or this kernel has no io_uring: Linux 5.11 or newer has"
                    .to_owned()
            }
            Some(libc::ENOSYS) => "this kernel has no io_uring: Linux 5.11 or newer has".to_owned(),
            Some(libc::EPERM | libc::EACCES) => not_permitted(),
            Some(libc::ENOMEM) => {
                "not even a small ring fits the locked-memory limit: raise `ulimit -l`".to_owned()
            }
            Some(libc::EMFILE) => "no descriptor is left in this process: raise `ulimit -n`".to_owned(),
            Some(libc::ENFILE) => "no descriptor is left in this system: raise fs.file-max".to_owned(),
            _ => "choose Driver::Readiness, or Driver::Auto, which does so by itself".to_owned(),
        };
        Refusal { what, error, remedy }
    }
}

fn not_permitted() -> String {
    match std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").as_deref().map(str::trim) {
        Ok("1") => {
            "kernel.io_uring_disabled is 1: only its group may use it; see kernel.io_uring_group".to_owned()
        }
        Ok("2") => "kernel.io_uring_disabled is 2: set it to 0 to permit io_uring".to_owned(),
        _ if !has_a_policy() => {
            "no seccomp policy is there, so a security module (SELinux, AppArmor) refuses it: permit \
              io_uring in its policy"
                .to_owned()
        }
        _ => "a seccomp policy refuses it, as containers' default policies do: permit io_uring_setup, \
              io_uring_enter and io_uring_register"
            .to_owned(),
    }
}

/// Whether this thread is under a seccomp policy. If it is not told, it is likely.
fn has_a_policy() -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    !status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "0"))
}
