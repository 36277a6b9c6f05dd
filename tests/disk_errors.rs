//! Disks that are full, files that are too long, end early, or are read crookedly: the error is the system's own, and
//! the buffer comes back.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use annulus::buf::IoBuf;
use annulus::fs::{self, File};
use annulus::io::{AsyncBufRead, AsyncRead, AsyncWrite, BufReader, BufWriter, Incomplete, duplex};
use annulus::{Builder, spawn, spawn_blocking};
use support::child::alone;
use support::data::{assert_same, bytes};
use support::guarded::{self, Guarded};
#[cfg(target_os = "linux")]
use support::limits::is_root;
use support::limits::{ignore, lower};
use support::{on_every_driver, on_real_drivers, outside};

on_every_driver! {
    a_file_that_is_cut_off_under_its_reader_ends_early,
    a_file_that_is_cut_off_while_it_is_streamed_ends_there,
}

on_real_drivers! {
    because "devices, file systems and limits of the machine say no":
        a_full_disk_is_told_to_each_kind_of_write,
        a_full_file_system_is_told_and_what_fits_is_written,
        a_file_system_that_fills_up_in_the_middle_tells_what_was_written,
        an_error_in_the_middle_tells_what_was_moved,
        a_file_longer_than_the_limit_is_refused_and_the_rest_is_written,
        a_crooked_direct_transfer_is_refused_and_told_what_is_wanted,
        crooked_direct_transfers_of_several_buffers_are_told_what_is_wanted,
        a_file_system_that_may_only_be_read_says_so_and_is_read;
    because "a thread races with the loop":
        a_file_that_is_cut_off_and_filled_all_the_while_gives_no_error;
}

/// What the system said, also of a whole transfer that it cut off.
fn code(error: &io::Error) -> Option<i32> {
    Incomplete::of(error).map_or(error, Incomplete::error).raw_os_error()
}

/// Asserts the error, and that the buffer is the one that was lent.
#[track_caller]
fn failed<T: std::fmt::Debug>(answer: (io::Result<T>, Guarded), errno: i32, buffer: &[u8]) {
    assert_eq!(code(&answer.0.unwrap_err()), Some(errno));
    assert_same(&answer.1.all()[..buffer.len()], buffer);
}

#[track_caller]
fn all_failed<T: std::fmt::Debug>(answer: (io::Result<T>, Vec<Guarded>), errno: i32, buffer: &[u8]) {
    assert_eq!(answer.0.unwrap_err().raw_os_error(), Some(errno));
    assert_eq!(answer.1.len(), 2);
    for back in answer.1 {
        assert_same(back.bytes(), buffer);
    }
}

fn a_full_disk_is_told_to_each_kind_of_write(builder: Builder) {
    if !Path::new("/dev/full").exists() {
        return support::skipped("a full disk", "there is no /dev/full");
    }
    // Alone, for it counts the buffers of the whole process.
    alone(|| {
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let text = bytes(1, 5000);
                let buffer = || Guarded::of(&text);
                let full = File::options().write(true).open("/dev/full").await.unwrap();
                for _ in 0..3 {
                    failed(full.write(buffer()).await, libc::ENOSPC, &text);
                    failed(full.write_at(buffer(), 100).await, libc::ENOSPC, &text);
                    failed(full.write_all(buffer()).await, libc::ENOSPC, &text);
                    failed(full.write_all_at(buffer(), 0).await, libc::ENOSPC, &text);
                    all_failed(full.writev_at(vec![buffer(), buffer()], 0).await, libc::ENOSPC, &text);
                    failed(fs::write("/dev/full", buffer()).await, libc::ENOSPC, &text);
                    let (result, slice) = full.write_at(buffer().slice(1000..2000), 0).await;
                    failed((result, slice.into_inner()), libc::ENOSPC, &text);
                }
                full.close().await.unwrap();
            })
            .unwrap();
        assert_eq!(guarded::mapped(), 0);
        assert_eq!(runtime.metrics().in_flight, 0);
    });
}

/// A small file system of memory, mounted where nobody else sees it.
#[cfg(target_os = "linux")]
struct SmallFileSystem(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl Drop for SmallFileSystem {
    fn drop(&mut self) {
        use std::os::unix::ffi::OsStrExt;
        // So that the directory can be removed afterwards.
        let place = std::ffi::CString::new(self.0.path().as_os_str().as_bytes()).unwrap();
        // SAFETY: a C string, for the time of the call.
        unsafe { libc::umount2(place.as_ptr(), libc::MNT_DETACH) };
    }
}

#[cfg(target_os = "linux")]
fn small_file_system(kibibytes: u32) -> io::Result<SmallFileSystem> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;

    let directory = tempfile::tempdir()?;
    let place = CString::new(directory.path().as_os_str().as_bytes())?;
    let size = CString::new(format!("size={kibibytes}k"))?;
    // SAFETY: no memory is passed.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(io::Error::last_os_error());
    }
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_PRIVATE, c"")?;
    mount(c"annulus", &place, c"tmpfs", 0, &size)?;
    Ok(SmallFileSystem(directory))
}

#[cfg(target_os = "linux")]
fn mount(
    what: &std::ffi::CStr,
    at: &std::ffi::CStr,
    kind: &std::ffi::CStr,
    flags: libc::c_ulong,
    with: &std::ffi::CStr,
) -> io::Result<()> {
    // SAFETY: all are C strings, for the time of the call.
    match unsafe { libc::mount(what.as_ptr(), at.as_ptr(), kind.as_ptr(), flags, with.as_ptr().cast()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Runs a test in a process of its own, on such a file system; says why not where there can be none.
#[cfg(target_os = "linux")]
fn on_a_small_file_system(what: &str, kibibytes: u32, body: impl FnOnce(&Path)) {
    if !is_root() {
        return support::skipped(what, "to mount a file system one has to be root");
    }
    alone(|| match small_file_system(kibibytes) {
        Ok(mounted) => body(mounted.0.path()),
        Err(error) => support::skipped(what, &format!("no file system can be mounted: {error}")),
    });
}

#[cfg(not(target_os = "linux"))]
fn on_a_small_file_system(what: &str, _: u32, _: impl FnOnce(&Path)) {
    support::skipped(what, "how to mount one is known of Linux only");
}

fn a_full_file_system_is_told_and_what_fits_is_written(builder: Builder) {
    on_a_small_file_system("a full file system", 64, |directory| {
        let runtime = builder.build().unwrap();
        let text = bytes(1, 200 << 10);
        runtime
            .run(async {
                let file =
                    File::options().read(true).write(true).create(true).open(directory.join("a")).await;
                let file = file.unwrap();
                // The first one writes what there is room for, the next one has none.
                let (result, back) = file.write_at(Guarded::of(&text), 0).await;
                let written = result.unwrap();
                assert!(written > 0 && written < text.len(), "{written}");
                assert_same(back.bytes(), &text);
                failed(file.write_at(back, written as u64).await, libc::ENOSPC, &text);
                failed(file.write_all_at(Guarded::of(&text), 0).await, libc::ENOSPC, &text);
                let (result, got) = file.read_exact_at(vec![0; written], 0).await;
                result.unwrap();
                assert_same(&got, &text[..written]);
                failed(fs::write(directory.join("b"), Guarded::of(&text)).await, libc::ENOSPC, &text);
                // Room again, and it is as if nothing had been.
                file.set_len(0).await.unwrap();
                fs::write(directory.join("b"), "fits").await.0.unwrap();
                assert_eq!(fs::read(directory.join("b")).await.unwrap(), b"fits");
            })
            .unwrap();
        assert_eq!((guarded::mapped(), runtime.metrics().in_flight), (0, 0));
    });
}

/// As many bytes as a failed transfer says that it moved; of an error of this number.
#[track_caller]
fn moved<T: std::fmt::Debug>(result: io::Result<T>, errno: i32) -> usize {
    let error = result.unwrap_err();
    assert_eq!(code(&error), Some(errno), "{error}");
    Incomplete::of(&error).map_or(0, Incomplete::done)
}

/// Everything that writes, on a disk of 64 KiB with nothing on it.
async fn fill_up(directory: &Path) {
    const DISK: usize = 64 << 10;
    let path = |name: &str| directory.join(name);
    let text = bytes(1, 200 << 10);
    let empty_again = async |name: &str| fs::remove_file(path(name)).await.unwrap();

    // A whole write at an offset says how much fitted; that is there, and no byte more.
    let file = File::create(path("a")).await.unwrap();
    let (result, back) = file.write_all_at(Guarded::of(&text), 0).await;
    assert_eq!(moved(result, libc::ENOSPC), DISK);
    assert_same(back.bytes(), &text);
    assert_same(&fs::read(path("a")).await.unwrap(), &text[..DISK]);
    // Nothing fits any more: the system's own error, without an "after".
    let (result, _) = file.write_all_at(back, DISK as u64).await;
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    file.close().await.unwrap();
    empty_again("a").await;

    // At the cursor, which then stands behind what was written.
    let file = File::options().read(true).write(true).create(true).open(path("a")).await.unwrap();
    let mut written = 0;
    let last = loop {
        let piece = &text[written..written + 30_000];
        let (result, back) = file.write_all(Guarded::of(piece)).await;
        assert_same(back.bytes(), piece);
        match result {
            Ok(()) => written += 30_000,
            error => break moved(error, libc::ENOSPC),
        }
    };
    assert_eq!((written, written + last), (60_000, DISK));
    assert_eq!(file.seek(io::SeekFrom::Current(0)).await.unwrap(), DISK as u64);
    assert_same(&fs::read(path("a")).await.unwrap(), &text[..DISK]);
    // One write of several buffers is a part, too.
    file.set_len(0).await.unwrap();
    let two = vec![Guarded::of(&text[..40_960]), Guarded::of(&text[40_960..81_920])];
    let (result, _) = file.writev_at(two, 0).await;
    let count = result.unwrap();
    assert!((40_960..=DISK).contains(&count), "{count}");
    assert_same(&fs::read(path("a")).await.unwrap(), &text[..count]);
    file.close().await.unwrap();
    empty_again("a").await;

    // A whole file; what is appended; what is gathered first.
    let (result, back) = fs::write(path("b"), Guarded::of(&text)).await;
    assert_eq!(moved(result, libc::ENOSPC), DISK);
    assert_same(back.bytes(), &text);
    assert_eq!(fs::metadata(path("b")).await.unwrap().len(), DISK as u64);
    fs::write(path("b"), vec![7; 50_000]).await.0.unwrap();
    let append = File::options().append(true).open(path("b")).await.unwrap();
    assert_eq!(moved(append.write_all(vec![8; 50_000]).await.0, libc::ENOSPC), DISK - 50_000);
    append.close().await.unwrap();
    empty_again("b").await;
    let mut gathered = BufWriter::with_capacity(8192, File::create(path("b")).await.unwrap());
    let mut taken = 0;
    let refused = loop {
        match gathered.write_all(text[taken..taken + 1000].to_vec()).await.0 {
            Ok(()) => taken += 1000,
            Err(error) => break error,
        }
    };
    assert_eq!(code(&refused), Some(libc::ENOSPC));
    assert!(taken >= DISK - 8192, "{taken}");
    let there = fs::read(path("b")).await.unwrap();
    assert_same(&there, &text[..there.len()]);
    assert_eq!(there.len(), DISK);
    drop(gathered);
    empty_again("b").await;

    // Copies, of a file by the system and of bytes through the program.
    fs::write(path("from"), text[..40_960].to_vec()).await.0.unwrap();
    assert_eq!(moved(fs::copy(path("from"), path("to")).await, libc::ENOSPC), DISK - 40_960);
    assert_same(&fs::read(path("to")).await.unwrap(), &text[..DISK - 40_960]);
    let mut to = File::create(path("to")).await.unwrap();
    let result = annulus::io::copy(&mut text.as_slice(), &mut to).await;
    assert_eq!(moved(result, libc::ENOSPC), DISK - 40_960);
    drop(to);
    empty_again("to").await;

    // What is to be replaced at once stays as it was, and nothing is left beside it.
    let (result, back) = fs::write_atomic(path("from"), Guarded::of(&text)).await;
    moved(result, libc::ENOSPC);
    assert_same(back.bytes(), &text);
    assert_same(&fs::read(path("from")).await.unwrap(), &text[..40_960]);
    let mut entries = fs::read_dir(directory).await.unwrap();
    assert_eq!(entries.next_entry().await.unwrap().unwrap().file_name(), "from");
    assert!(entries.next_entry().await.unwrap().is_none());
    // And with room for both it goes.
    fs::write_atomic(path("from"), "fits").await.0.unwrap();
    fs::write(path("a"), vec![9; DISK - 4096]).await.0.unwrap();
    assert_eq!(fs::read(path("from")).await.unwrap(), b"fits");
}

fn a_file_system_that_fills_up_in_the_middle_tells_what_was_written(builder: Builder) {
    on_a_small_file_system("a file system that fills up", 64, |directory| {
        let runtime = builder.build().unwrap();
        let directory = directory.to_owned();
        runtime.run(async move { fill_up(&directory).await }).unwrap();
        assert_eq!((guarded::mapped(), runtime.metrics().in_flight), (0, 0));
    });
}

#[cfg(feature = "sim")]
#[test]
fn a_simulated_disk_that_fills_up_in_the_middle_tells_what_was_written() {
    use annulus::sim;
    sim::check(20, |world| {
        let host = world.host("store", sim::idle);
        host.set_disk_capacity(Some(64 << 10));
        host.run(fill_up(Path::new("/tmp"))).unwrap();
    });
}

/// Two pages, of which the second is behind the end of its file: who reads it or writes to it through /proc/self/mem is told
/// EIO, as of a disk with a bad sector.
#[cfg(target_os = "linux")]
struct BadSector {
    pages: *mut libc::c_void,
    _file: std::fs::File,
}

#[cfg(target_os = "linux")]
impl BadSector {
    const PAGE: usize = 4096;

    fn new() -> BadSector {
        use std::os::fd::AsRawFd;
        let file = tempfile::tempfile().unwrap();
        file.set_len(Self::PAGE as u64).unwrap();
        let may = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a mapping of its own, which nobody takes a reference to.
        let pages = unsafe {
            libc::mmap(std::ptr::null_mut(), 2 * Self::PAGE, may, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert_ne!(pages, libc::MAP_FAILED, "{}", io::Error::last_os_error());
        BadSector { pages, _file: file }
    }

    /// Where the bad one begins.
    fn offset(&self) -> u64 {
        self.pages as u64 + Self::PAGE as u64
    }
}

#[cfg(target_os = "linux")]
impl Drop for BadSector {
    fn drop(&mut self) {
        // SAFETY: the mapping made above.
        unsafe { libc::munmap(self.pages, 2 * Self::PAGE) };
    }
}

#[cfg(target_os = "linux")]
async fn an_error_in_the_middle_tells_what_was_moved() {
    let what = "an error in the middle";
    let sector = BadSector::new();
    let file = match File::options().read(true).write(true).open("/proc/self/mem").await {
        Ok(file) => file,
        Err(error) => return support::skipped(what, &format!("/proc/self/mem: {error}")),
    };
    let (text, before) = (bytes(3, 3000), sector.offset() - 1000);
    if let Err(error) = file.write_at(text[..1000].to_vec(), before).await.0 {
        return support::skipped(what, &format!("this kernel does not write to /proc/self/mem: {error}"));
    }
    // What comes before the bad sector is moved, and told.
    let (result, back) = file.write_all_at(Guarded::of(&text), before).await;
    assert_eq!(moved(result, libc::EIO), 1000);
    assert_same(back.bytes(), &text);
    let (result, back) = file.read_exact_at(Guarded::new(3000), before).await;
    assert_eq!(moved(result, libc::EIO), 1000);
    assert_same(&back.all()[..1000], &text[..1000]);
    // At the cursor, which stands behind that.
    file.seek(io::SeekFrom::Start(before)).await.unwrap();
    let (result, back) = file.read_exact(Guarded::new(3000)).await;
    assert_eq!(moved(result, libc::EIO), 1000);
    assert_same(&back.all()[..1000], &text[..1000]);
    assert_eq!(file.seek(io::SeekFrom::Current(0)).await.unwrap(), sector.offset());
    file.seek(io::SeekFrom::Start(before)).await.unwrap();
    assert_eq!(moved(file.write_all(Guarded::of(&text)).await.0, libc::EIO), 1000);
    // From the bad sector itself: the error, of each kind of transfer, and the buffer.
    let bad = sector.offset();
    failed(file.write_at(Guarded::of(&text), bad).await, libc::EIO, &text);
    failed(file.write_all_at(Guarded::of(&text), bad).await, libc::EIO, &text);
    failed(file.read_at(Guarded::of(&text), bad).await, libc::EIO, &text);
    failed(file.read_exact_at(Guarded::of(&text), bad).await, libc::EIO, &text);
    let two = || vec![Guarded::of(&text), Guarded::of(&text)];
    all_failed(file.writev_at(two(), bad).await, libc::EIO, &text);
    all_failed(file.readv_at(two(), bad).await, libc::EIO, &text);
    assert_eq!(file.read_lease(bad).await.unwrap_err().raw_os_error(), Some(libc::EIO));
    // A stream ends with it, after what there was.
    file.seek(io::SeekFrom::Start(before)).await.unwrap();
    let mut read = Vec::new();
    let result = annulus::io::copy(&mut &file, &mut read).await;
    assert_eq!(moved(result, libc::EIO), 1000);
    assert_same(&read, &text[..1000]);
}

#[cfg(not(target_os = "linux"))]
async fn an_error_in_the_middle_tells_what_was_moved() {
    support::skipped("an error in the middle", "/proc/self/mem is Linux's");
}

/// A file of the simulated world, and what its disk does from now on.
#[cfg(feature = "sim")]
fn on_a_bad_disk(file: &File, faults: &annulus::sim::Faults) {
    file.plan_faults(faults).unwrap();
}

#[cfg(feature = "sim")]
#[test]
fn an_injected_error_is_told_by_each_call_on_a_file_and_then_it_goes_on() {
    use annulus::sim::Faults;
    let runtime = Builder::new().driver(annulus::Driver::Sim(support::sim_seed())).build().unwrap();
    runtime
        .run(async {
            let text = bytes(1, 9000);
            fs::write("/tmp/file", text.clone()).await.0.unwrap();
            let file = File::options().read(true).write(true).open("/tmp/file").await.unwrap();
            let other = File::options().read(true).open("/tmp/file").await.unwrap();
            for (errno, fault) in [(libc::EIO, "disk_error"), (libc::ENOSPC, "disk_full")] {
                let mut faults = Faults::none();
                match fault {
                    "disk_error" => faults.disk_error = 1.0,
                    _ => faults.disk_full = 1.0,
                }
                on_a_bad_disk(&file, &faults);
                let buffer = || Guarded::of(&text);
                let two = || vec![Guarded::of(&text), Guarded::of(&text)];
                failed(file.write(buffer()).await, errno, &text);
                failed(file.write_at(buffer(), 5).await, errno, &text);
                failed(file.write_all(buffer()).await, errno, &text);
                failed(file.write_all_at(buffer(), 5).await, errno, &text);
                all_failed(file.writev(two()).await, errno, &text);
                all_failed(file.writev_at(two(), 5).await, errno, &text);
                assert_eq!(code(&file.allocate(0, 90_000).await.unwrap_err()), Some(errno));
                assert_eq!(code(&other.copy_range(0, &file, 0, 100).await.unwrap_err()), Some(errno));
                if errno == libc::EIO {
                    failed(file.read(buffer()).await, errno, &text);
                    failed(file.read_at(buffer(), 5).await, errno, &text);
                    failed(file.read_exact(buffer()).await, errno, &text);
                    failed(file.read_exact_at(buffer(), 5).await, errno, &text);
                    all_failed(file.readv(two()).await, errno, &text);
                    all_failed(file.readv_at(two(), 5).await, errno, &text);
                    assert_eq!(code(&file.read_lease(5).await.unwrap_err()), Some(errno));
                    assert_eq!(code(&file.sync_all().await.unwrap_err()), Some(errno));
                    assert_eq!(code(&file.sync_data().await.unwrap_err()), Some(errno));
                    assert_eq!(code(&file.set_len(5).await.unwrap_err()), Some(errno));
                }
                // Another file does not notice, nor does this one when it is over; nothing was changed.
                assert_eq!(other.read_at(Vec::with_capacity(9000), 0).await.1, text);
                on_a_bad_disk(&file, &Faults::none());
                assert_eq!(file.read_exact(Vec::with_capacity(9000)).await.1, text, "from the beginning");
                file.seek(io::SeekFrom::Start(0)).await.unwrap();
                file.sync_all().await.unwrap();
            }
        })
        .unwrap();
    drop(runtime);
}

/// By seeds: parts, and an error between two of them.
#[cfg(feature = "sim")]
#[test]
fn an_injected_error_in_the_middle_tells_what_was_moved() {
    use annulus::sim::{self, Faults};
    let in_the_middle = Rc::new(Cell::new(0));
    sim::check(200, |world| {
        let host = world.host("store", sim::idle);
        let count = Rc::clone(&in_the_middle);
        host.run(async move {
            let text = bytes(1, 40_960);
            let mut faults = Faults::none();
            (faults.short, faults.disk_error, faults.interrupted) = (1.0, 0.1, 0.1);
            let file = File::options().read(true).write(true).create(true).open("/tmp/file").await.unwrap();
            on_a_bad_disk(&file, &faults);
            let (result, _) = file.write_all_at(Guarded::of(&text), 0).await;
            on_a_bad_disk(&file, &Faults::none());
            let done = result.map_or_else(|error| moved::<()>(Err(error), libc::EIO), |()| text.len());
            assert_same(&fs::read("/tmp/file").await.unwrap(), &text[..done]);
            fs::write("/tmp/file", text.clone()).await.0.unwrap();
            on_a_bad_disk(&file, &faults);
            let (result, got) = file.read_exact(Guarded::new(text.len())).await;
            on_a_bad_disk(&file, &Faults::none());
            let read = result.map_or_else(|error| moved::<()>(Err(error), libc::EIO), |()| text.len());
            assert_same(&got.all()[..read], &text[..read]);
            assert_eq!(file.seek(io::SeekFrom::Current(0)).await.unwrap(), read as u64);
            for moved in [done, read] {
                count.set(count.get() + usize::from(moved > 0 && moved < text.len()));
            }
        })
        .unwrap();
    });
    assert!(in_the_middle.get() > 50, "{}", in_the_middle.get());
}

fn a_file_system_that_may_only_be_read_says_so_and_is_read(builder: Builder) {
    on_a_small_file_system("a file system that may only be read", 64, |directory| {
        let path = |name: &str| directory.join(name);
        builder
            .build()
            .unwrap()
            .run(async {
                fs::write(path("a"), "there").await.0.unwrap();
                let open = File::open(path("a")).await.unwrap();
                only_read_from_now_on(directory);
                let refused = |error: io::Error| assert_eq!(error.raw_os_error(), Some(libc::EROFS));
                failed(fs::write(path("a"), Guarded::of(b"other")).await, libc::EROFS, b"other");
                refused(File::options().append(true).open(path("a")).await.unwrap_err());
                refused(File::create(path("b")).await.unwrap_err());
                refused(fs::remove_file(path("a")).await.unwrap_err());
                refused(fs::rename(path("a"), path("b")).await.unwrap_err());
                refused(fs::create_dir(path("c")).await.unwrap_err());
                assert_eq!(open.read_at(Vec::with_capacity(9), 0).await.1, b"there");
                assert_eq!(fs::read(path("a")).await.unwrap(), b"there");
            })
            .unwrap();
    });
}

fn only_read_from_now_on(directory: &Path) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::ffi::OsStrExt;
        let place = std::ffi::CString::new(directory.as_os_str().as_bytes()).unwrap();
        mount(c"annulus", &place, c"tmpfs", libc::MS_REMOUNT | libc::MS_RDONLY, c"").unwrap();
    }
    #[cfg(not(target_os = "linux"))]
    let _ = directory;
}

fn a_file_longer_than_the_limit_is_refused_and_the_rest_is_written(builder: Builder) {
    const LIMIT: usize = 10_000;
    alone(|| {
        // Whoever does not, is ended by the signal before there is an error.
        ignore(libc::SIGXFSZ);
        lower!(libc::RLIMIT_FSIZE, LIMIT as u64);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let runtime = builder.build().unwrap();
        let text = bytes(1, 3 * LIMIT);
        runtime
            .run(async {
                let file = File::options().read(true).write(true).create(true).open(&path).await.unwrap();
                let (result, back) = file.write_at(Guarded::of(&text), 0).await;
                assert_eq!(result.unwrap(), LIMIT, "what fits");
                assert_same(back.bytes(), &text);
                failed(file.write_at(back, LIMIT as u64).await, libc::EFBIG, &text);
                failed(file.write_all_at(Guarded::of(&text), 1).await, libc::EFBIG, &text);
                let two = vec![Guarded::of(&text), Guarded::of(&text)];
                all_failed(file.writev_at(two, LIMIT as u64).await, libc::EFBIG, &text);
                failed(fs::write(&path, Guarded::of(&text)).await, libc::EFBIG, &text);
                let error = file.set_len(1 + LIMIT as u64).await.unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
                assert_same(&fs::read(&path).await.unwrap(), &text[..LIMIT]);
            })
            .unwrap();
        assert_eq!((guarded::mapped(), runtime.metrics().in_flight), (0, 0));
    });
}

async fn a_file_that_is_cut_off_under_its_reader_ends_early() {
    let directory = outside::directory().await;
    let path = directory.path().join("file");
    let text = bytes(1, 100_000);
    outside::write(&path, &text).await;
    let file = File::open(&path).await.unwrap();
    let (_, first) = file.read(vec![0; 30_000]).await;
    assert_same(&first, &text[..30_000]);

    outside::set_len(&path, 50_000).await;
    let (result, short) = file.read_at(Guarded::new(40_960), 30_000).await;
    assert_eq!(result.unwrap(), 20_000);
    assert_same(short.bytes(), &text[30_000..50_000]);
    let (result, back) = file.read_exact_at(Guarded::new(40_960), 30_000).await;
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_same(&back.all()[..20_000], &text[30_000..50_000]);
    let (result, rooms) = file.readv_at(vec![Guarded::new(12_288), Guarded::new(12_288)], 30_000).await;
    assert_eq!(result.unwrap(), 20_000);
    assert_eq!(rooms.iter().map(|room| room.bytes().len()).sum::<usize>(), 20_000);
    // The cursor stands where the first read left it; beyond the end there is nothing.
    assert_eq!(file.read(vec![0; 40_000]).await.0.unwrap(), 20_000);
    assert_eq!(file.read(vec![0; 40_000]).await.0.unwrap(), 0);
    assert_eq!(file.read_at(vec![0; 1], 70_000).await.0.unwrap(), 0);
    assert_eq!(file.metadata().await.unwrap().len(), 50_000);
}

async fn a_file_that_is_cut_off_while_it_is_streamed_ends_there() {
    let directory = outside::directory().await;
    let path = directory.path().join("file");
    let lines: String = (0..10_000).map(|number| format!("line {number:05}\n")).collect();
    outside::write(&path, &lines).await;
    // What is at hand already is given; then comes the end, in the middle of a line.
    let mut reader = BufReader::with_capacity(4096, File::open(&path).await.unwrap()).lines();
    for number in 0..400 {
        assert_eq!(reader.next_line().await.unwrap().unwrap(), format!("line {number:05}"));
    }
    outside::set_len(&path, 11 * 1000 + 4).await;
    let mut rest = Vec::new();
    while let Some(line) = reader.next_line().await.unwrap() {
        rest.push(line);
    }
    assert_eq!(rest.len(), 601);
    assert_eq!(
        (rest[0].as_str(), rest[599].as_str(), rest[600].as_str()),
        ("line 00400", "line 00999", "line")
    );

    // A copy is at work when its source is cut off: what was there is copied, and that is no error.
    outside::write(&path, &lines).await;
    let (one, mut other) = duplex(1000);
    let source = path.clone();
    let copying = spawn(async move {
        let (mut file, mut one) = (File::open(&source).await.unwrap(), one);
        let copied = annulus::io::copy(&mut file, &mut one).await.unwrap();
        one.shutdown().await.unwrap();
        copied
    });
    let (result, got) = other.read_exact(vec![0; 500]).await;
    result.unwrap();
    outside::set_len(&path, 70_000).await;
    let (result, got) = other.read_to_end(got).await;
    result.unwrap();
    let copied = copying.await.unwrap() as usize;
    // As much as had been read before the cut, or all that was left.
    assert_eq!(copied, got.len());
    assert!((65_536..=110_000).contains(&copied), "{copied}");
    assert_same(&got, &lines.as_bytes()[..copied]);

    // A whole read of which a part is behind the end by now.
    outside::write(&path, &lines).await;
    let file = File::open(&path).await.unwrap();
    outside::set_len(&path, 70_000).await;
    let (result, buffer) = file.read_exact(Guarded::new(100_000)).await;
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(Incomplete::of(&error).unwrap().done(), 70_000);
    assert_same(&buffer.all()[..70_000], &lines.as_bytes()[..70_000]);
    // It begins again where the file does when it has grown.
    outside::set_len(&path, 70_010).await;
    assert_eq!(file.read(Vec::with_capacity(100)).await.1, [0; 10]);
}

async fn a_file_that_is_cut_off_and_filled_all_the_while_gives_no_error() {
    const LENGTH: usize = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, vec![7; LENGTH]).unwrap();
    let done = Rc::new(Cell::new(false));
    let mut readers = Vec::new();
    for n in 0..4_usize {
        let (path, done) = (path.clone(), Rc::clone(&done));
        readers.push(spawn(async move {
            let file = File::open(&path).await.unwrap();
            let mut buffer = Vec::with_capacity(LENGTH);
            while !done.get() {
                let (result, filled) = file.read_at(buffer, (n * 1000) as u64).await;
                // As much as there is at the time: bytes of the file, or of the hole that a cut leaves for a moment.
                assert_eq!(result.unwrap(), filled.len());
                assert!(filled.iter().all(|byte| [0, 7].contains(byte)));
                buffer = filled;
                let whole = fs::read(&path).await.unwrap();
                assert!(whole.len() <= LENGTH, "{}", whole.len());
            }
        }));
    }
    let cutting = spawn_blocking(move || {
        use std::os::unix::fs::FileExt;
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        for n in 0..500 {
            file.set_len(n * 37 % LENGTH as u64).unwrap();
            file.write_all_at(&[7; LENGTH], 0).unwrap();
        }
    });
    cutting.await.unwrap();
    done.set(true);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// A file of 16 KiB, open past the page cache by the loop, if this file system refuses what is crooked.
#[cfg(target_os = "linux")]
async fn direct_file(path: &Path, what: &str) -> Option<File> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};

    std::fs::write(path, bytes(1, 16_384)).unwrap();
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_DIRECT);
    let of_std = match options.open(path) {
        Ok(file) => file,
        Err(error) => {
            support::skipped(what, &format!("O_DIRECT: {error}"));
            return None;
        }
    };
    // Guarded buffers begin at a page; one byte further is crooked.
    let mut whole = Guarded::new(8192);
    let place = annulus::buf::IoBufMut::stable_mut_ptr(&mut whole);
    // SAFETY: inside of the mapping, which nobody else uses now.
    let memory = unsafe { std::slice::from_raw_parts_mut(place.add(1), 4096) };
    let Err(error) = of_std.read_at(memory, 0) else {
        support::skipped(what, "this file system takes it");
        return None;
    };
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    Some(File::options().read(true).write(true).custom_flags(libc::O_DIRECT).open(path).await.unwrap())
}

/// What a refusal of O_DIRECT is to say: which alignment.
#[cfg(target_os = "linux")]
#[track_caller]
fn told_what_is_wanted(error: io::Error) {
    let error = Incomplete::of(&error).map_or(&error, Incomplete::error);
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("multiples of"), "{error}");
}

#[cfg(target_os = "linux")]
async fn a_crooked_direct_transfer_is_refused_and_told_what_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let Some(file) = direct_file(&path, "a crooked direct transfer").await else { return };
    // Guarded buffers begin at a page; one byte further is crooked.
    let crooked = |buffer: Guarded| buffer.slice(1..4097);
    let refused = |(result, back): (io::Result<usize>, Guarded), buffer: &[u8]| {
        told_what_is_wanted(result.unwrap_err());
        assert_same(&back.all()[..buffer.len()], buffer);
    };
    let (result, slice) = file.read_at(crooked(Guarded::of(&[guarded::PATTERN; 8192])), 0).await;
    refused((result, slice.into_inner()), &[guarded::PATTERN; 8192]);
    refused(file.read_at(Guarded::new(4096), 1).await, &[guarded::PATTERN; 4096]);
    let text = bytes(2, 8192);
    let (result, slice) = file.write_at(crooked(Guarded::of(&text)), 0).await;
    refused((result, slice.into_inner()), &text);
    refused(file.write_at(Guarded::of(&text), 7).await, &text);
    // What is straight goes on.
    let (result, got) = file.read_at(Guarded::new(8192), 4096).await;
    assert_eq!(result.unwrap(), 8192);
    assert_same(got.bytes(), &bytes(1, 16_384)[4096..12_288]);
    file.write_at(Guarded::of(&text), 4096).await.0.unwrap();
    assert_same(&std::fs::read(&path).unwrap()[4096..12_288], &text);
}

#[cfg(target_os = "linux")]
async fn crooked_direct_transfers_of_several_buffers_are_told_what_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let Some(file) = direct_file(&path, "crooked direct transfers of several buffers").await else { return };
    let text = bytes(2, 8192);
    let straight = || Guarded::of(&text).slice(0..4096);
    let crooked = || Guarded::of(&text).slice(1..4097);
    let short = || Guarded::of(&text).slice(0..100);
    for (one, other, offset) in [
        (straight(), crooked(), 0),
        (crooked(), straight(), 0),
        (straight(), short(), 0),
        (straight(), straight(), 7),
    ] {
        let (result, back) = file.writev_at(vec![one, other], offset).await;
        told_what_is_wanted(result.unwrap_err());
        let (result, back) = file.readv_at(back, offset).await;
        told_what_is_wanted(result.unwrap_err());
        assert!(back.into_iter().all(|slice| slice.into_inner().all()[..8192] == text), "as they were lent");
    }
    told_what_is_wanted(file.writev(vec![straight(), crooked()]).await.0.unwrap_err());
    told_what_is_wanted(file.readv(vec![straight(), crooked()]).await.0.unwrap_err());
    told_what_is_wanted(file.write_all_at(crooked(), 0).await.0.unwrap_err());
    told_what_is_wanted(file.read_exact_at(crooked(), 0).await.0.unwrap_err());
    told_what_is_wanted(file.read_lease(1).await.unwrap_err());
    assert_same(&std::fs::read(&path).unwrap(), &bytes(1, 16_384));
    // What is straight goes on, and an error of another kind says nothing of alignment.
    assert_eq!(file.writev_at(vec![straight(), straight()], 4096).await.0.unwrap(), 8192);
    assert_eq!(file.readv_at(vec![straight(), straight()], 8192).await.0.unwrap(), 8192);
    let reader = File::options().read(true).custom_flags(libc::O_DIRECT).open(&path).await.unwrap();
    let error = reader.writev_at(vec![straight(), crooked()], 0).await.0.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[cfg(not(target_os = "linux"))]
async fn crooked_direct_transfers_of_several_buffers_are_told_what_is_wanted() {
    support::skipped("crooked direct transfers of several buffers", "there is no O_DIRECT");
}

#[cfg(not(target_os = "linux"))]
async fn a_crooked_direct_transfer_is_refused_and_told_what_is_wanted() {
    support::skipped("a crooked direct transfer", "there is no O_DIRECT");
}
