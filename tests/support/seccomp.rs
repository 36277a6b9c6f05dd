//! Policies that refuse io_uring, as containers have them.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

/// The numbers of the three calls, the same on every architecture.
pub(crate) const SETUP: u32 = 425;
pub(crate) const ENTER: u32 = 426;
pub(crate) const REGISTER: u32 = 427;

/// Makes these calls fail with `errno` from now on, for this thread and those that it starts.
pub(crate) fn refuse(calls: &[u32], errno: i32) {
    let step = |code: u32, yes: u8, no: u8, value: u32| libc::sock_filter {
        code: code as u16,
        jt: yes,
        jf: no,
        k: value,
    };
    // The call's number is the first field of what a policy looks at.
    let mut policy = vec![step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0)];
    for call in calls {
        policy.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, *call));
        policy.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno as u32));
    }
    policy.push(step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW));
    let program = libc::sock_fprog { len: policy.len() as u16, filter: policy.as_mut_ptr() };
    // SAFETY: plain numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program and its steps live on until the call returns, which copies them.
    let set = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
