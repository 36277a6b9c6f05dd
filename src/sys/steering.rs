//! What the kernel does with connections before they are accepted: short programs for its packet filter. bpf(2) speaks of the newer
//! kind; these are of the classic one, which everybody may use. Linux only.
//!
//! <https://www.kernel.org/doc/html/latest/networking/filter.html>
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Has a group of sockets that share an address choose by the processor on which a connection comes in: of each pair the first is
/// the processor, and the second says which socket it means, in the order in which they began to listen. What comes in elsewhere
/// is spread over all. socket(7), SO_ATTACH_REUSEPORT_CBPF.
#[cfg(target_os = "linux")]
pub(crate) fn by_processor(socket: &impl AsFd, turns: &[(u32, u32)]) -> io::Result<()> {
    let ours = turns.iter().flat_map(|(cpu, place)| [is_equal(*cpu, 0, 1), answer_with(*place)]);
    let sockets = turns.len() as u32;
    let mut program = vec![load_processor()];
    program.extend(ours);
    program.extend([modulo(sockets.max(1)), answer_with_it()]);
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    let size = size_of_val(&program) as libc::socklen_t;
    // SAFETY: the kernel copies so many instructions as are said, from a vector that lives on this stack.
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            (&raw const program).cast(),
            size,
        )
    };
    super::checked(super::answer(set as isize)).map(drop)
}

/// Elsewhere the kernel chooses as it likes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn by_processor(_socket: &impl AsFd, _turns: &[(u32, u32)]) -> io::Result<()> {
    let text =
        "the processor on which a connection comes in chooses its shard on Linux only: take another Balance";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Has a listener not begin new connections any more, while those that have begun are finished and can be accepted: what asks for a
/// new one (SYN) is not seen, and asked again a second later, of whoever listens then. SO_ATTACH_FILTER.
#[cfg(target_os = "linux")]
pub(crate) fn begin_no_more(listener: &impl AsFd) -> io::Result<()> {
    const FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    let all = u32::MAX;
    // The filter sees the packet from TCP's header on.
    let program = [load_byte(FLAGS), and(SYN | ACK), is_equal(SYN, 0, 1), answer_with(0), answer_with(all)];
    socket2::SockRef::from(listener).attach_filter(&program.map(to_socket2))
}

/// Has a listener begin connections again, if it did not. SO_DETACH_FILTER.
pub(crate) fn begin_again(listener: &impl AsFd) {
    // ENOENT: it had no filter.
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(listener).detach_filter();
    #[cfg(not(target_os = "linux"))]
    let _ = listener.as_fd();
}

/// Has sockets that share an address choose as the kernel does, if they did otherwise. SO_DETACH_REUSEPORT_BPF, Linux 5.3 and later.
pub(crate) fn as_the_kernel_likes(socket: &impl AsFd) {
    #[cfg(target_os = "linux")]
    let _ = super::option::set_number(
        socket.as_fd().as_raw_fd(),
        (libc::SOL_SOCKET, libc::SO_DETACH_REUSEPORT_BPF),
        0,
    );
    #[cfg(not(target_os = "linux"))]
    let _ = socket.as_fd().as_raw_fd();
}

/// Elsewhere what waits when a listener is closed is lost.
#[cfg(not(target_os = "linux"))]
pub(crate) fn begin_no_more(_listener: &impl AsFd) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
use instructions::*;

#[cfg(target_os = "linux")]
mod instructions {
    use libc::{
        BPF_ABS, BPF_ALU, BPF_AND, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MOD, BPF_RET, BPF_W,
        sock_filter,
    };

    const fn of(code: u32, k: u32) -> sock_filter {
        sock_filter { code: code as u16, jt: 0, jf: 0, k }
    }

    /// The number of the processor that this runs on.
    pub(super) const fn load_processor() -> sock_filter {
        of(BPF_LD | BPF_W | BPF_ABS, (libc::SKF_AD_OFF + libc::SKF_AD_CPU) as u32)
    }

    pub(super) const fn load_byte(place: u32) -> sock_filter {
        of(BPF_LD | BPF_B | BPF_ABS, place)
    }

    pub(super) const fn and(mask: u32) -> sock_filter {
        of(BPF_ALU | BPF_AND | BPF_K, mask)
    }

    pub(super) const fn modulo(divisor: u32) -> sock_filter {
        of(BPF_ALU | BPF_MOD | BPF_K, divisor)
    }

    /// Skips so many instructions if it is that, or if it is not.
    pub(super) const fn is_equal(value: u32, then: u8, otherwise: u8) -> sock_filter {
        sock_filter { code: (BPF_JMP | BPF_JEQ | BPF_K) as u16, jt: then, jf: otherwise, k: value }
    }

    pub(super) const fn answer_with(value: u32) -> sock_filter {
        of(BPF_RET | BPF_K, value)
    }

    pub(super) const fn answer_with_it() -> sock_filter {
        /// linux/bpf_common.h
        const BPF_A: u32 = 0x10;
        of(BPF_RET | BPF_A, 0)
    }

    pub(super) fn to_socket2(instruction: sock_filter) -> socket2::SockFilter {
        socket2::SockFilter::new(instruction.code, instruction.jt, instruction.jf, instruction.k)
    }
}
