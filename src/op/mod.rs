//! The operations, one file each: what it owns, its ring entry, its system call, and what its answer means.
//!
//! [`Submitted`] is the future of any of them. To add an operation: one file, one line in the list below, and its name in the list of kinds.

mod arrival;
mod cancel_when;
mod closing;
mod conduit;
mod cursor;
mod direct_io;
mod envelopes;
mod exchange;
mod leased;
mod leaving;
mod lender;
mod now;
mod orphan;
mod parts;
pub(crate) mod path;
mod peer;
#[cfg(test)]
mod races;
mod recv_many;
mod repeated;
mod rest;
mod send_many;
mod settle;
mod splice_out;

mod submitted;
mod turn;
mod vectors;
mod whole;

pub use arrival::Tells;
pub(crate) use arrival::{Arrival, Bounds};
pub(crate) use closing::close;
pub(crate) use leaving::{check_real, detach, hand_over, simulated};
pub use nop::nop;
pub(crate) use orphan::leave_in_front;
pub use parts::{Load, Many, One, Room};
// Not in the list below: it never goes to the driver, so there is no doing without it.
pub(crate) use cancel_when::Stop;
pub use cancel_when::{CancelWhen, Cancellable};
pub use repeated::Repeat;
pub use settle::Settle;
// Nor are these: the ring does not do them, one call does more than one entry could, or they are no operations.
pub(crate) use conduit::Conduit;
pub(crate) use exchange::Exchange;
pub use lender::Lender;
pub(crate) use now::{Now, recv_now, send_now, send_parts_now};
pub use recv_many::RecvMany;
pub use recv_message_often::Packed;
pub use send_many::SendMany;
pub(crate) use send_message::Attempted;
pub(crate) use splice_out::SpliceOut;
pub use submitted::Submitted;
pub(crate) use turn::{Entering, Turn};
pub(crate) use whole::incomplete;
pub use whole::{Incomplete, Transfer, Whole};

macro_rules! operations {
    ($($file:ident: $kind:ident $(<$($with:ty),+>)?),* $(,)?) => {
        $(mod $file; pub use $file::$kind;)*

        /// How each is done.
        pub(crate) fn forms() -> impl Iterator<Item = &'static Form> {
            [$(<$kind $(<$($with),+>)? as Operation>::form()),*].into_iter()
        }
    };
}

use crate::driver::{Form, Operation};

operations! {
    accept: Accept,
    accept_often: AcceptOften,
    blocking: Blocking<()>,
    chmod: Chmod,
    chown: Chown,
    close: Close,
    connect: Connect,
    copy_range: CopyRange,
    fadvise: Fadvise,
    fallocate: Fallocate,
    flock: Flock,
    fsync: Fsync,
    ftruncate: Ftruncate,
    get_xattr: GetXattr,
    get_xattr_at: GetXattrAt,
    link: Link,
    list_xattr: ListXattr,
    mkdir: Mkdir,
    nop: Nop,
    open: Open,
    open_beneath: OpenBeneath,
    peek: Peek<Vec<u8>>,
    pipe: Pipe,
    poll: Poll,
    read: Read<Vec<u8>>,
    read_lease: ReadLease,
    read_names: ReadNames,
    read_often: ReadOften,
    readlink: Readlink,
    readv: Readv<Vec<u8>>,
    realpath: Realpath,
    recv: Recv<Vec<u8>>,
    recv_lease: RecvLease,
    recv_message: RecvMessage<One<Vec<u8>>, ()>,
    recv_message_often: RecvMessageOften,
    recv_often: RecvOften,
    recvmsg: Recvmsg<Vec<u8>>,
    remove_xattr: RemoveXattr,
    rename: Rename,
    seek: Seek,
    send: Send<Vec<u8>>,
    send_message: SendMessage<One<Vec<u8>>>,
    send_zc: SendZc<Vec<u8>>,
    sendmsg: Sendmsg<Vec<u8>>,
    sendmsg_zc: SendmsgZc<Vec<u8>>,
    set_xattr: SetXattr,
    set_xattr_at: SetXattrAt,
    shutdown: Shutdown,
    socket: Socket,
    splice: Splice,
    statx: Statx,
    symlink: Symlink,
    sync_range: SyncRange,
    unlink: Unlink,
    utimens: Utimens,
    write: Write<Vec<u8>>,
    writev: Writev<Vec<u8>>,
}

/// The ring's code of the operation of that name. None if there is no such operation, or it has no ring form.
pub(crate) fn code_of(name: &str) -> Option<u8> {
    forms().find(|form| form.name == name).and_then(Form::code)
}

/// All names, for an error's text.
pub(crate) fn names() -> Vec<&'static str> {
    forms().map(|form| form.name).collect()
}
