//! Files whose device is asked instead of interrupting: whether it can be.

use std::io;
use std::path::Path;

use super::Metadata;
use crate::driver::Descriptor;
use crate::op::{Statx, Submitted};
use crate::runtime::spawn_blocking;

/// Lets the loop ask the device of a file that was opened past the page cache; or says why that is not to be.
pub(super) async fn begin(file: &Descriptor) -> io::Result<()> {
    let metadata = Metadata::new(Submitted::new(Statx::of_descriptor(file.hold())).await?);
    let device = if metadata.file_type().is_block_device() { metadata.rdev() } else { metadata.dev() };
    let checked = spawn_blocking(move || check(Path::new("/sys"), device)).await;
    let most = checked.unwrap_or_else(|error| Err(io::Error::other(error.to_string())))?;
    file.port().poll_file(file.number(), most);
    Ok(())
}

/// What one page of memory is at least, and so each piece of a transfer.
const PAGE: u32 = 4096;
/// As many pages are in one piece of the kernel's, whatever the device takes.
const PAGES_MAX: u32 = 256;

/// What the system tells of a block device below `sys`: how many bytes it takes at once, if it can be asked.
fn check(sys: &Path, device: u64) -> io::Result<u32> {
    let (major, minor) = (libc::major(device as _), libc::minor(device as _));
    let place = sys.join(format!("dev/block/{major}:{minor}"));
    // A partition has the queues of the disk that it is a part of.
    let queue = |name: &str| {
        let told = ["queue", "../queue"].map(|queue| std::fs::read_to_string(place.join(queue).join(name)));
        told.into_iter().find_map(|told| told.ok()?.trim().parse::<u32>().ok())
    };
    let name = || {
        let named = std::fs::canonicalize(&place).ok();
        let name = named.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
        name.unwrap_or_else(|| format!("{major}:{minor}"))
    };
    match queue("io_poll") {
        Some(1) => {
            let kibibytes = queue("max_sectors_kb").unwrap_or(PAGE / 1024);
            // One less, for what does not begin at a page.
            let pages = queue("max_segments").unwrap_or(2).saturating_sub(1).clamp(1, PAGES_MAX - 1);
            Ok((kibibytes.saturating_mul(1024) / PAGE).clamp(1, pages) * PAGE)
        }
        Some(_) => refused(format!(
            "the device {} has no queues for it (its queue/io_poll is not 1): give it some, by nvme.poll_queues=2 or \
             virtio_blk.poll_queues=2 on the kernel's command line",
            name()
        )),
        None => refused(format!("its file system is on no single block device ({})", name())),
    }
}

fn refused(why: String) -> io::Result<u32> {
    let text = format!(
        "this loop asks the devices of files with O_DIRECT (Builder::iopoll), and this one cannot be asked: {why}; or do \
         without Builder::iopoll or O_DIRECT"
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with queues for it and one without, and a partition of each.
    #[test]
    fn a_device_and_its_partitions_are_asked_where_there_are_queues_for_it() {
        let sys = tempfile::tempdir().unwrap();
        let place = |path: &str| sys.path().join(path);
        std::fs::create_dir_all(place("dev/block")).unwrap();
        for (name, minor, told) in [("good", 0, "1\n"), ("bad", 8, "0\n")] {
            for queue in [format!("block/{name}/queue"), format!("block/{name}/{name}1")] {
                std::fs::create_dir_all(place(&queue)).unwrap();
            }
            for (file, told) in [("io_poll", told), ("max_sectors_kb", "512\n"), ("max_segments", "33\n")] {
                std::fs::write(place(&format!("block/{name}/queue/{file}")), told).unwrap();
            }
            for (part, minor) in [(name.to_owned(), minor), (format!("{name}/{name}1"), minor + 1)] {
                let link = place(&format!("dev/block/259:{minor}"));
                std::os::unix::fs::symlink(place(&format!("block/{part}")), link).unwrap();
            }
        }
        let told =
            |minor| check(sys.path(), libc::makedev(259, minor) as u64).map_err(|error| error.to_string());
        // The fewest of 512 KiB, 32 pages that may lie anywhere, and what the kernel puts into one piece.
        assert_eq!([told(0), told(1)], [Ok(32 * 4096), Ok(32 * 4096)]);
        std::fs::write(place("block/good/queue/max_sectors_kb"), "64\n").unwrap();
        assert_eq!(told(0), Ok(64 * 1024));
        for (minor, text) in
            [(8, "bad has no queues"), (9, "bad1 has no queues"), (5, "no single block device (259:5)")]
        {
            let error = told(minor).unwrap_err();
            assert!(error.contains(text) && error.contains("Builder::iopoll"), "{error}");
        }
    }
}
