//! Which processors a thread may run on, and how long it ran.
#![allow(unsafe_code)]

use std::io;
#[cfg(target_os = "linux")]
use std::mem::size_of_val;
use std::time::Duration;

/// The processors of a mask. Linux can be built for 8,192 at most, of which this is eight times as many: so a single call
/// is enough, where one that passes too small a mask is refused.
#[cfg(target_os = "linux")]
const NUMBERS: usize = 65_536;
#[cfg(target_os = "linux")]
const WORD: usize = libc::c_ulong::BITS as usize;

/// As the kernel has it: words, the least number in the lowest bit of the first.
#[cfg(target_os = "linux")]
type Mask = [libc::c_ulong; NUMBERS / WORD];

#[cfg(target_os = "linux")]
fn numbers(mask: &Mask) -> Vec<usize> {
    (0..NUMBERS).filter(|number| mask[number / WORD] >> (number % WORD) & 1 == 1).collect()
}

/// The processors that the calling thread may run on, in order. sched_getaffinity(2)
#[cfg(target_os = "linux")]
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    let mut mask: Mask = [0; NUMBERS / WORD];
    // SAFETY: room for so many bytes, on this stack, for the time of the call, aligned as words.
    let answer = unsafe { libc::sched_getaffinity(0, size_of_val(&mask), mask.as_mut_ptr().cast()) };
    super::checked(super::answer(answer as isize)).map(|_| numbers(&mask))
}

/// Nobody says so here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed() -> io::Result<Vec<usize>> {
    Err(unsupported())
}

/// From now on the calling thread runs on these processors alone. sched_setaffinity(2)
///
/// So do threads that it makes afterwards, and the kernel's workers for its ring, also of a ring that was there before:
/// IORING_REGISTER_IOWQ_AFF does not give them more (seen on 6.18).
///
/// # Errors
/// `InvalidInput` if there are no such processors, they are switched off, or the process may not use them.
#[cfg(target_os = "linux")]
pub(crate) fn run_on(cpus: &[usize]) -> io::Result<()> {
    let mut mask: Mask = [0; NUMBERS / WORD];
    for cpu in cpus.iter().filter(|cpu| **cpu < NUMBERS) {
        mask[cpu / WORD] |= 1 << (cpu % WORD);
    }
    // SAFETY: so many bytes, on this stack, for the time of the call, aligned as words.
    let answer = unsafe { libc::sched_setaffinity(0, size_of_val(&mask), mask.as_ptr().cast()) };
    super::checked(super::answer(answer as isize)).map(drop)
}

/// There is no such call here, or it is a hint.
#[cfg(not(target_os = "linux"))]
pub(crate) fn run_on(_: &[usize]) -> io::Result<()> {
    Err(unsupported())
}

/// The number of the calling thread; 0 where [`thread_time`] knows no thread by a number. gettid(2)
pub(crate) fn thread_id() -> i32 {
    #[cfg(target_os = "linux")]
    // SAFETY: no memory is passed.
    return unsafe { libc::gettid() };
    #[cfg(not(target_os = "linux"))]
    0
}

/// How long a thread of this process has run, by its number. clock_gettime(2)
///
/// The clock is named by the thread's number as the kernel does it (clock_getcpuclockid(3) gives such names out for processes) and
/// not by pthread_getcpuclockid(3), which reads what may be gone: so this is sound for a thread that has ended.
/// The kernel gives its number to another one, perhaps of this process, after all other numbers have been used.
///
/// # Errors
/// `InvalidInput` if there is no such thread, not any more, or not in this process. A thread that has just been joined may be
/// known for some moments yet.
#[cfg(target_os = "linux")]
pub(crate) fn thread_time(thread: i32) -> io::Result<Duration> {
    /// Of a clock's name the lowest three bits: the scheduler's time (2) of one thread (4).
    const RAN: libc::clockid_t = 2 | 4;
    /// With as many bits as are left the name is a negative number, as those of all such clocks are. No thread has more than 22.
    const NUMBER_MAX: i32 = (1 << 28) - 1;
    // 0 would be whoever asks.
    if !(1..=NUMBER_MAX).contains(&thread) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: one timespec, on this stack, for the time of the call.
    let answer = unsafe { libc::clock_gettime(!thread << 3 | RAN, &mut time) };
    super::checked(super::answer(answer as isize))?;
    Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

/// Nobody says so here by a number.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_time(_: i32) -> io::Result<Duration> {
    Err(unsupported())
}

#[cfg(not(target_os = "linux"))]
fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "of threads and processors only Linux is asked")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn aside<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(body).join().unwrap()
    }

    #[test]
    fn processors_beyond_a_thousand_are_found_in_the_mask() {
        let mut mask: Mask = [0; NUMBERS / WORD];
        let wanted = [0, 63, 64, 1023, 1024, 8191, NUMBERS - 1];
        for number in wanted {
            mask[number / WORD] |= 1 << (number % WORD);
        }
        assert_eq!(numbers(&mask), wanted);
    }

    #[test]
    fn a_thread_that_is_pinned_runs_there_and_others_where_they_did() {
        let all = allowed().unwrap();
        assert!(!all.is_empty() && all.is_sorted());
        for cpu in all.clone() {
            let (may, runs) = aside(move || {
                run_on(&[cpu]).unwrap();
                // SAFETY: no memory is passed.
                (allowed().unwrap(), unsafe { libc::sched_getcpu() })
            });
            assert_eq!((may, usize::try_from(runs)), (vec![cpu], Ok(cpu)));
        }
        assert_eq!(allowed().unwrap(), all);
    }

    #[test]
    fn a_processor_that_does_not_exist_is_an_error_and_changes_nothing() {
        let all = allowed().unwrap();
        for cpu in [NUMBERS - 1, NUMBERS, usize::MAX] {
            let (error, may) = aside(move || (run_on(&[cpu]).unwrap_err(), allowed().unwrap()));
            assert_eq!((error.kind(), may), (io::ErrorKind::InvalidInput, all.clone()));
        }
    }

    #[test]
    fn a_threads_time_is_its_own_clocks() {
        let own = || {
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            // SAFETY: one timespec, on this stack, for the time of the call.
            assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) }, 0);
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        };
        let (before, told, after) = (own(), thread_time(thread_id()).unwrap(), own());
        assert!(before <= told && told <= after, "{before:?} {told:?} {after:?}");
    }

    #[test]
    fn another_threads_time_is_told_while_it_runs_and_is_an_error_once_it_has_ended() {
        let (tell, told) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let busy = std::thread::spawn(move || {
            tell.send(thread_id()).unwrap();
            while ended.try_recv() == Err(mpsc::TryRecvError::Empty) {}
        });
        let thread = told.recv_timeout(PATIENCE).unwrap();
        let start = Instant::now();
        while thread_time(thread).unwrap() < Duration::from_millis(20) {
            assert!(start.elapsed() < PATIENCE, "it runs");
        }
        drop(end);
        busy.join().unwrap();
        let start = Instant::now();
        let error = loop {
            match thread_time(thread) {
                Err(error) => break error,
                Ok(time) => assert!(start.elapsed() < PATIENCE, "it ended after {time:?}"),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn who_is_no_thread_of_this_process_has_no_time() {
        // SAFETY: no memory is passed.
        let parent = unsafe { libc::getppid() };
        for number in [parent, 0, -1, i32::MIN, i32::MAX] {
            assert_eq!(thread_time(number).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{number}");
        }
    }
}
