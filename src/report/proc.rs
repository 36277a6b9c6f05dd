//! Small files of `/proc` and `/sys`, read as they are. What is not there, or not to be read, is None.

use std::fs::read_to_string;
use std::path::Path;

/// A setting of the kernel, by its name with dots.
pub(super) fn setting(name: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    Some(read_to_string(path).ok()?.trim().to_owned())
}

pub(super) fn number(name: &str) -> Option<u64> {
    setting(name)?.parse().ok()
}

/// What the kernel says of this process.
pub(super) fn status() -> String {
    // Of this thread: a policy may be one thread's alone.
    read_to_string("/proc/thread-self/status").unwrap_or_default()
}

/// One line of that.
pub(super) fn line<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

/// The least of a limit in this process's control group and in those above it, of the older or the newer hierarchy.
pub(super) fn group_limit(controller: &str, newer: &str, older: &str) -> Option<u64> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let is_older = controllers.split(',').any(|name| name == controller);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup".to_owned(), newer),
            _ if is_older => (format!("/sys/fs/cgroup/{controllers}"), older),
            _ => return None,
        };
        // In a container the path may be the host's, and only its root be there.
        Path::new(group).ancestors().filter_map(|group| least(&root, group, file)).min()
    });
    limits.min()
}

fn least(root: &str, group: &Path, file: &str) -> Option<u64> {
    let path = Path::new(root).join(group.strip_prefix("/").unwrap_or(group)).join(file);
    match read_to_string(path).ok()?.trim() {
        "max" => Some(u64::MAX),
        // The older hierarchy says none by the greatest number of whole pages.
        number => number.parse().ok().map(|limit| if limit > i64::MAX as u64 / 2 { u64::MAX } else { limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let status = "Seccomp_filters:\t2\nSeccomp:\t 0 \n";
        assert_eq!((line(status, "Seccomp"), line(status, "Secc")), (Some("0"), None));
    }
}
