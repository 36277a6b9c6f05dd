//! The same calls, drawn by seeds, on the simulated disk and on the real one: they answer alike.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use super::*;

/// What a call said: some numbers, or an errno.
type Said = Result<Vec<u64>, i32>;

struct Both {
    root: String,
    disk: Disk,
    open: Vec<(File, OpenFile)>,
    /// Whether symbolic links and second names are made.
    has_links: bool,
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    bytes.iter().map(|byte| u64::from(*byte)).collect()
}

fn real<T>(answer: io::Result<T>, say: impl FnOnce(T) -> Vec<u64>) -> Said {
    answer.map(say).map_err(|error| error.raw_os_error().unwrap())
}

impl Both {
    /// A path that does not lead out of the root.
    fn path(&self, dice: &mut Dice) -> String {
        let (mut path, mut depth) = (String::new(), 0);
        for _ in 0..dice.within(1, 3) {
            path += match dice.below(12) {
                0 => ".",
                // Behind a symbolic link nobody knows how deep it is.
                1 | 2 if depth > 0 && !self.has_links => {
                    depth -= 1;
                    ".."
                }
                number => {
                    depth += 1;
                    ["a", "b", "c"][number as usize % 3]
                }
            };
            path += ["/", "//"][usize::from(dice.one_in(8))];
        }
        if !dice.one_in(5) { path.trim_end_matches('/').to_owned() } else { path }
    }

    fn open(&mut self, dice: &mut Dice, path: &str) -> (Said, Said) {
        let (read, write) =
            [(true, false), (true, true), (true, true), (false, true)][dice.below(4) as usize];
        let mut flags = 0;
        for flag in [libc::O_CREAT, libc::O_EXCL, libc::O_TRUNC, libc::O_APPEND, libc::O_DIRECTORY] {
            // What O_EXCL means without O_CREAT is nobody's promise; of both O_CREAT and O_DIRECTORY, kernels differ.
            let is_free = match flag {
                libc::O_EXCL => flags & libc::O_CREAT != 0,
                libc::O_DIRECTORY => flags & libc::O_CREAT == 0,
                _ => true,
            };
            if is_free && dice.one_in(if flag == libc::O_CREAT { 2 } else { 4 }) {
                flags |= flag;
            }
        }
        let file = OpenOptions::new()
            .read(read)
            .write(write)
            .custom_flags(flags)
            .open(format!("{}/{path}", self.root));
        let access = match (read, write) {
            (true, true) => libc::O_RDWR,
            (false, true) => libc::O_WRONLY,
            _ => libc::O_RDONLY,
        };
        match (file, self.disk.open(path.as_bytes(), flags | access, 0o666, NOW)) {
            (Ok(file), Ok(open_file)) => {
                self.open.push((file, open_file));
                (Ok(vec![]), Ok(vec![]))
            }
            (file, open_file) => (real(file, |_| vec![]), open_file.map(|_| vec![])),
        }
    }

    fn use_open(&mut self, dice: &mut Dice) -> (Said, Said) {
        if self.open.is_empty() {
            return (Ok(vec![]), Ok(vec![]));
        }
        let which = dice.below(self.open.len() as u64) as usize;
        let (file, open_file) = &mut self.open[which];
        let disk = &mut self.disk;
        let (offset, length) = (dice.below(9000), dice.below(5000) as usize);
        let mut bytes = vec![offset as u8; length];
        let read = |answer, bytes: &[u8]| real(answer, |length| numbers(&bytes[..length]));
        let simulated = |answer: Result<Vec<u8>, i32>| answer.map(|bytes| numbers(&bytes));
        let wrote = |length| vec![length as u64];
        match dice.below(7) {
            0 => (read(file.read(&mut bytes), &bytes), simulated(disk.read(open_file, None, length, NOW))),
            1 => (
                read(file.read_at(&mut bytes, offset), &bytes),
                simulated(disk.read(open_file, Some(offset), length, NOW)),
            ),
            2 => (real(file.write(&bytes), wrote), disk.write(open_file, None, &bytes, NOW).map(wrote)),
            3 => (
                real(file.write_at(&bytes, offset), wrote),
                disk.write(open_file, Some(offset), &bytes, NOW).map(wrote),
            ),
            4 => (
                real(file.set_len(offset), |()| vec![]),
                disk.truncate(open_file, offset, NOW).map(|()| vec![]),
            ),
            5 => {
                let there = file.metadata().unwrap();
                let here = disk.stat_open(open_file);
                match there.is_dir() {
                    // What the links and the length of a directory are is the file system's own affair.
                    true => (Ok(vec![1]), Ok(vec![u64::from(here.mode & DIRECTORY == DIRECTORY)])),
                    false => (Ok(vec![there.nlink(), there.len()]), Ok(vec![here.links, here.length])),
                }
            }
            _ => {
                let (file, open_file) = self.open.swap_remove(which);
                drop(file);
                self.disk.close(open_file);
                (Ok(vec![]), Ok(vec![]))
            }
        }
    }

    fn call(&mut self, dice: &mut Dice) -> (String, Said, Said) {
        let (one, two) = (self.path(dice), self.path(dice));
        let (real_one, real_two) = (format!("{}/{one}", self.root), format!("{}/{two}", self.root));
        let (one_bytes, nothing) = (one.as_bytes(), |()| vec![]);
        let disk = &mut self.disk;
        let kinds = if self.has_links { 18 } else { 12 };
        let (name, (there, here)) = match dice.below(kinds) {
            0 => {
                let here = disk.unlink(one_bytes, 0, NOW).map(nothing);
                ("unlink", (real(fs::remove_file(real_one), nothing), here))
            }
            1 => {
                let here = disk.unlink(one_bytes, libc::AT_REMOVEDIR, NOW).map(nothing);
                ("rmdir", (real(fs::remove_dir(real_one), nothing), here))
            }
            2..=4 => {
                let here = disk.rename(one_bytes, two.as_bytes(), 0, NOW).map(nothing);
                ("rename", (real(fs::rename(real_one, real_two), nothing), here))
            }
            5 | 6 => {
                let here = disk.make_directory(one_bytes, 0o777, NOW).map(nothing);
                ("mkdir", (real(fs::create_dir(real_one), nothing), here))
            }
            7 => {
                let here = disk.stat_path(one_bytes, true);
                let here = here.map(|stat| vec![u64::from(stat.mode & DIRECTORY == DIRECTORY)]);
                let there = real(fs::metadata(real_one), |stat| vec![u64::from(stat.is_dir())]);
                ("stat", (there, here))
            }
            8 | 9 => ("open", self.open(dice, &one)),
            12 => {
                let here = disk.link(one_bytes, two.as_bytes(), NOW).map(nothing);
                ("link", (real(fs::hard_link(real_one, real_two), nothing), here))
            }
            13 | 14 => {
                let target = ["a", "b", "a/b", "c/a"][dice.below(4) as usize];
                let here = disk.make_link(target.as_bytes(), one_bytes, NOW).map(nothing);
                ("symlink", (real(symlink(target, real_one), nothing), here))
            }
            15 => {
                let here = disk.read_link(one_bytes).map(|target| numbers(&target));
                let said = |target: PathBuf| numbers(target.as_os_str().as_bytes());
                ("readlink", (real(fs::read_link(real_one), said), here))
            }
            16 => {
                let flags = 1 + dice.below(2) as u32;
                let here = disk.rename(one_bytes, two.as_bytes(), flags, NOW).map(nothing);
                ("renameat2", (rename_with(&real_one, &real_two, flags).map(nothing), here))
            }
            17 => {
                let here = disk.real_path(one_bytes).map(|path| path.len() as u64);
                let root = self.root.len();
                let said = |path: PathBuf| vec![(path.as_os_str().len() - root) as u64];
                let here = here.map(|length| vec![if length == 1 { 0 } else { length }]);
                ("realpath", (real(fs::canonicalize(real_one), said), here))
            }
            _ => ("file", self.use_open(dice)),
        };
        (format!("{name} {one} {two}"), there, here)
    }
}

/// renameat2(2), which std does not have.
fn rename_with(from: &str, to: &str, flags: u32) -> Result<(), i32> {
    let [from, to] = [from, to].map(|path| CString::new(path).unwrap());
    let (here, from, to) = (libc::AT_FDCWD, from.as_ptr(), to.as_ptr());
    // SAFETY: two C strings.
    match unsafe { crate::sys::names::rename((here, from), (here, to), flags) } {
        0 => Ok(()),
        error => Err(-error),
    }
}

/// All names and contents below a real directory and a simulated one.
fn compare(root: &Path, disk: &mut Disk, path: &str) {
    let listing = fs::read_dir(root).unwrap();
    let mut there: Vec<_> = listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    assert_eq!(there, names(disk, &format!("{path}/")));
    for name in there {
        let (real, simulated) = (root.join(&name), format!("{path}/{name}"));
        if let Ok(target) = fs::read_link(&real) {
            assert_eq!(target.as_os_str().as_bytes(), disk.read_link(simulated.as_bytes()).unwrap());
            continue;
        }
        match real.is_dir() {
            true => compare(&real, disk, &simulated),
            false => assert_eq!(fs::read(real).unwrap(), content(disk, &simulated).unwrap()),
        }
    }
}

#[test]
fn the_simulated_disk_answers_as_the_real_one() {
    for seed in 0..60 {
        let root = tempfile::tempdir().unwrap();
        let mut dice = Dice::new(seed);
        let mut both = Both {
            root: root.path().to_str().unwrap().to_owned(),
            disk: disk(),
            open: vec![],
            has_links: seed % 2 == 1,
        };
        both.disk.unlink(b"/tmp", libc::AT_REMOVEDIR, NOW).unwrap();
        for number in 0..300 {
            let (call, there, here) = both.call(&mut dice);
            assert!(there == here, "seed {seed}, call {number}: {call}\n{there:.10?}\n{here:.10?}");
        }
        compare(root.path(), &mut both.disk, "");
    }
}
