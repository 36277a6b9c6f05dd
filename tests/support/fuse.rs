//! A file system with one file, `slow`, whose reads are answered when that is asked for, and never before; and names that
//! begin with `mute`, of which it is told only then that they are not there.
//!
//! It is served by a process of its own: the kernel does not let a process end that waits for an answer, and who has to
//! end cannot answer. See fuse(4) and the kernel's `include/uapi/linux/fuse.h`.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use super::child;

/// What the slow file is full of.
pub(crate) const BYTE: u8 = 0x5a;
/// Where the server mounts it.
const AT: &str = "ANNULUS_TEST_FUSE";
/// After so many seconds the server ends whatever happens, so that nobody waits for ever.
const LIFE: u32 = 60;

/// The server, as the test has it. Dropping it ends the server, which fails all reads.
pub(crate) struct Slow {
    directory: tempfile::TempDir,
    server: Child,
    orders: ChildStdin,
}

impl Slow {
    /// Mounts the file system, seen by this thread alone and by those it starts. `test` is a test of the same file
    /// that only calls [`serve`].
    pub(crate) fn mount(test: &str) -> io::Result<Slow> {
        // SAFETY: no memory is passed.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
        mount(c"none", Path::new("/"), c"", libc::MS_REC | libc::MS_PRIVATE, "")?;
        let directory = tempfile::tempdir()?;
        let mut command = child::myself(test);
        command.env(AT, directory.path()).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut server = command.spawn()?;
        let orders = server.stdin.take().expect("as asked for");
        let mut slow = Slow { directory, server, orders };
        let patience = Instant::now() + Duration::from_secs(10);
        while !slow.file().exists() {
            if slow.server.try_wait()?.is_some() || Instant::now() > patience {
                return Err(io::Error::other("/dev/fuse cannot be used"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(slow)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("slow")
    }

    /// A name that nobody is told about.
    pub(crate) fn mute(&self, n: usize) -> PathBuf {
        self.directory.path().join(format!("mute{n}"))
    }

    /// Has all answered that came until now.
    pub(crate) fn answer(&mut self) {
        self.orders.write_all(b"!").unwrap();
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let place = CString::new(self.directory.path().as_os_str().as_bytes()).expect("a path");
        // SAFETY: a C string, for the time of the call.
        unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
    }
}

fn check(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// mount(2).
pub(crate) fn mount(
    what: &std::ffi::CStr,
    at: &Path,
    kind: &std::ffi::CStr,
    flags: libc::c_ulong,
    with: &str,
) -> io::Result<()> {
    let (at, with) = (CString::new(at.as_os_str().as_bytes())?, CString::new(with)?);
    // SAFETY: all are C strings, for the time of the call.
    check(unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, with.as_ptr().cast()) })
}

/// The server's process. Returns at once where it is not one.
pub(crate) fn serve() {
    let Some(directory) = std::env::var_os(AT) else { return };
    // SAFETY: no memory is passed; the signal ends the process.
    unsafe { libc::alarm(LIFE) };
    let mut device = File::options().read(true).write(true).open("/dev/fuse").unwrap();
    let with = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    mount(c"annulus", Path::new(&directory), c"fuse", libc::MS_NOSUID | libc::MS_NODEV, &with).unwrap();
    let mut held = Vec::new();
    let mut buffer = vec![0; 1 << 20];
    let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        let mut ready = [entry(device.as_raw_fd()), entry(0)];
        // SAFETY: two entries on this stack, for the time of the call.
        check(unsafe { libc::poll(ready.as_mut_ptr(), 2, -1) }).unwrap();
        if ready[1].revents != 0 {
            if io::stdin().read(&mut [0]).unwrap() == 0 {
                return;
            }
            for (unique, error, length) in held.drain(..) {
                // What was given up meanwhile is an error that nobody asks about.
                let _ = reply(&mut device, unique, error, &vec![BYTE; length]);
            }
        }
        if ready[0].revents != 0 {
            let count = device.read(&mut buffer).unwrap();
            answer(&mut device, &buffer[..count], &mut held);
        }
    }
}

/// Answers one request, or holds it.
fn answer(device: &mut File, request: &[u8], held: &mut Vec<(u64, i32, usize)>) {
    const HEADER: usize = 40;
    let number = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_ne_bytes(request[at..at + 8].try_into().unwrap());
    let (code, unique, node) = (number(4), long(8), long(16));
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<_>>();
    // Inode, size and blocks; six times; mode, links, owner, device, block size, flags.
    let attributes = |node: u64| {
        let (mode, size) =
            if node == 1 { (libc::S_IFDIR | 0o755, 0) } else { (libc::S_IFREG | 0o644, 1 << 20) };
        let longs: Vec<u8> = [node, size, size / 512, 0, 0, 0].iter().flat_map(|n| n.to_ne_bytes()).collect();
        [longs, words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0])].concat()
    };
    let answered = match code {
        // LOOKUP: node, generation, how long both are true, and what it is.
        1 if request[HEADER..].starts_with(b"slow\0") => {
            let entry = words(&[2, 0, 0, 0, 3600, 0, 3600, 0, 0, 0]);
            reply(device, unique, 0, &[entry, attributes(2)].concat())
        }
        1 if request[HEADER..].starts_with(b"mute") => {
            held.push((unique, -libc::ENOENT, 0));
            Ok(())
        }
        1 => reply(device, unique, -libc::ENOENT, &[]),
        // FORGET and INTERRUPT want no answer.
        2 | 36 => Ok(()),
        // GETATTR
        3 => reply(device, unique, 0, &[words(&[3600, 0, 0, 0]), attributes(node)].concat()),
        // OPEN: past the page cache.
        14 => reply(device, unique, 0, &words(&[0, 0, 1, 0])),
        // READ
        15 => {
            held.push((unique, 0, number(HEADER + 16) as usize));
            Ok(())
        }
        // RELEASE, FLUSH
        18 | 25 => reply(device, unique, 0, &[]),
        // INIT: version, read-ahead, flags, how many in the background, longest write; the rest is nothing.
        26 => {
            let mut known = words(&[7, 31, 0, 0, 1024 | 1024 << 16, 4096]);
            known.resize(64, 0);
            reply(device, unique, 0, &known)
        }
        _ => reply(device, unique, -libc::ENOSYS, &[]),
    };
    answered.unwrap();
}

fn reply(device: &mut File, unique: u64, error: i32, body: &[u8]) -> io::Result<()> {
    let length = (16 + body.len()) as u32;
    let header = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &unique.to_ne_bytes()].concat();
    device.write_all(&[&header[..], body].concat())
}
