//! The kinds of operations that are told apart by those who count: a place for each in a loop's table, and what its answers mean.
//!
//! A form finds its place while it is compiled, so that counting is an addition to an address that is known, without a search. An
//! operation whose name is not in the list does not compile.

use crate::sys::message::FRONT;

/// What kind of operation a form is of: forms that differ only in how it is done are of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind(u8);

/// What an answer that is no error counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counts {
    /// Nothing that adds up: a descriptor, a place, messages of any length, or bytes that stay where they are.
    Nothing,
    /// Bytes that were transferred.
    Bytes,
    /// The same, behind a front of so many.
    BytesBehind(usize),
}

use Counts::{Bytes, BytesBehind, Nothing};

const KINDS: [(&str, Counts); 65] = [
    ("accept", Nothing),
    ("accept_often", Nothing),
    ("blocking", Nothing),
    ("close", Nothing),
    ("connect", Nothing),
    ("copy_file_range", Bytes),
    ("exchange", Bytes),
    ("fadvise", Nothing),
    ("fallocate", Nothing),
    ("fchmodat", Nothing),
    ("fchownat", Nothing),
    ("fgetxattr", Nothing),
    ("flistxattr", Nothing),
    ("flock", Nothing),
    ("fremovexattr", Nothing),
    ("fsetxattr", Nothing),
    ("fsync", Nothing),
    ("ftruncate", Nothing),
    ("getdents64", Nothing),
    ("getxattr", Nothing),
    ("linkat", Nothing),
    ("lseek", Nothing),
    ("mkdirat", Nothing),
    ("nop", Nothing),
    ("openat", Nothing),
    ("openat2", Nothing),
    ("peek", Nothing),
    ("pipe", Nothing),
    ("poll", Nothing),
    ("read", Bytes),
    ("read_lease", Bytes),
    ("read_often", Bytes),
    ("readlinkat", Nothing),
    ("readv", Bytes),
    ("realpath", Nothing),
    ("recv", Bytes),
    ("recv_lease", Bytes),
    // Messages: their bytes are counted when they are looked at.
    ("recv_many", Nothing),
    ("recv_message", Bytes),
    ("recv_message_often", BytesBehind(FRONT)),
    ("recv_often", Bytes),
    ("recvmsg", Bytes),
    ("renameat", Nothing),
    ("send", Bytes),
    ("send_many", Nothing),
    ("send_message", Bytes),
    ("send_zc", Bytes),
    ("sendmsg", Bytes),
    ("sendmsg_zc", Bytes),
    ("setxattr", Nothing),
    ("settle", Nothing),
    ("shutdown", Nothing),
    ("socket", Nothing),
    ("splice", Bytes),
    ("splice_out", Bytes),
    ("statx", Nothing),
    ("symlinkat", Nothing),
    ("sync_file_range", Nothing),
    ("unlinkat", Nothing),
    ("utimensat", Nothing),
    ("write", Bytes),
    ("writev", Bytes),
    // What only tests know.
    ("fill", Nothing),
    ("modelled", Nothing),
    ("test", Nothing),
];

impl Kind {
    pub(crate) const COUNT: usize = KINDS.len();

    /// The kind of the forms of that name. What follows a space or a comma says how it is done.
    pub(super) const fn of(name: &str) -> Kind {
        let mut place = 0;
        while place < KINDS.len() {
            if begins(name.as_bytes(), KINDS[place].0.as_bytes()) {
                return Kind(place as u8);
            }
            place += 1;
        }
        panic!(
            "an operation's name has no place: add it to the list of kinds, and say there what its answers count"
        )
    }

    pub(crate) fn all() -> impl Iterator<Item = Kind> {
        (0..Kind::COUNT).map(|place| Kind(place as u8))
    }

    #[inline(always)]
    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }

    pub(crate) fn name(self) -> &'static str {
        KINDS[self.place()].0
    }

    /// Whether its answers are bytes that were transferred.
    #[inline(always)]
    pub(crate) fn transfers(self) -> bool {
        !matches!(KINDS[self.place()].1, Nothing)
    }

    /// How many bytes an answer says that were transferred, which is no error.
    #[inline(always)]
    pub(crate) fn bytes(self, answer: i32) -> u64 {
        match KINDS[self.place()].1 {
            Nothing => 0,
            Bytes => u64::from(answer as u32),
            BytesBehind(front) => u64::from(answer as u32).saturating_sub(front as u64),
        }
    }
}

/// Whether a form's name is that of a kind, alone or with more behind it.
const fn begins(name: &[u8], kind: &[u8]) -> bool {
    if name.len() < kind.len() || (name.len() > kind.len() && !matches!(name[kind.len()], b' ' | b',')) {
        return false;
    }
    let mut place = 0;
    while place < kind.len() {
        if name[place] != kind[place] {
            return false;
        }
        place += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_finds_its_kind_and_how_it_is_done_is_no_other() {
        for kind in Kind::all() {
            assert_eq!(Kind::of(kind.name()), kind, "{} stands twice in the list", kind.name());
        }
        assert_eq!(Kind::of("send_zc, copied"), Kind::of("send_zc"));
        assert_eq!(Kind::of("splice at once"), Kind::of("splice"));
        assert_ne!(Kind::of("splice_out"), Kind::of("splice"));
        assert_ne!(Kind::of("read_lease"), Kind::of("read"));
    }

    #[test]
    fn bytes_are_counted_where_an_answer_is_of_bytes() {
        assert_eq!(Kind::of("recv").bytes(7), 7);
        assert_eq!(Kind::of("accept").bytes(7), 0);
        assert_eq!(Kind::of("recv_message_often").bytes(FRONT as i32 + 7), 7);
        assert_eq!(Kind::of("recv_message_often").bytes(0), 0);
    }
}
