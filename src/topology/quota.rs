//! How much processor time the control groups of this process give it.

use std::fs::read_to_string;
use std::path::{Component, Path, PathBuf};

/// The least that any of its groups has, from its own up to the root, in processors.
pub(super) fn read(root: &Path) -> Option<f64> {
    let groups = read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = mounts(root);
    let least = groups.lines().filter_map(|line| {
        // "0::/group" of the newer hierarchy, "4:cpu,cpuacct:/group" of the older: a system may have both.
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let hierarchy = match controllers {
            "" => Hierarchy::Newer,
            _ if names(controllers, "cpu") => Hierarchy::Older,
            _ => return None,
        };
        let mount = mounts.iter().find(|mount| mount.hierarchy == hierarchy)?;
        let group = mount.shows(Path::new(group));
        let folder = root.join(&mount.place);
        group.ancestors().filter_map(|group| hierarchy.quota(&folder.join(group))).reduce(f64::min)
    });
    least.reduce(f64::min)
}

#[derive(Clone, Copy, PartialEq)]
enum Hierarchy {
    Newer,
    Older,
}

impl Hierarchy {
    /// What a group is given by itself. None if that is no bound.
    fn quota(self, group: &Path) -> Option<f64> {
        let file = |name: &str| read_to_string(group.join(name)).ok();
        let (quota, period) = match self {
            Hierarchy::Newer => {
                // "max 100000" is no bound, and no number either.
                let both = file("cpu.max")?;
                let (quota, period) = both.trim().split_once(' ')?;
                (quota.parse::<u64>().ok()?, period.parse::<u64>().ok()?)
            }
            // -1 is no bound.
            Hierarchy::Older => {
                let number = |name| file(name)?.trim().parse::<u64>().ok();
                (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
            }
        };
        (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
    }
}

/// Where a hierarchy is to be seen, and from which group downward.
struct Mount {
    hierarchy: Hierarchy,
    /// From the root of everything.
    place: PathBuf,
    top: PathBuf,
}

impl Mount {
    /// The way to a group from the mount's place. In a container the kernel may name a group by a path of the host's, of which only the
    /// last is to be seen: that is then the mount's own.
    fn shows(&self, group: &Path) -> PathBuf {
        let below = group.strip_prefix(&self.top).unwrap_or(Path::new(""));
        match below.components().all(|part| matches!(part, Component::Normal(_))) {
            true => below.to_owned(),
            // "/../other": outside of what this process may see.
            false => PathBuf::new(),
        }
    }
}

/// The hierarchies that are mounted; where nobody says, the newer one at its usual place. proc_pid_mountinfo(5)
fn mounts(root: &Path) -> Vec<Mount> {
    let Ok(text) = read_to_string(root.join("proc/self/mountinfo")) else {
        return vec![Mount { hierarchy: Hierarchy::Newer, place: "sys/fs/cgroup".into(), top: "/".into() }];
    };
    text.lines().filter_map(mount).collect()
}

/// "33 31 0:30 / /sys/fs/cgroup/cpu rw,relatime shared:1 - cgroup cgroup rw,cpu"
fn mount(line: &str) -> Option<Mount> {
    let (place, system) = line.split_once(" - ")?;
    let mut places = place.split(' ').skip(3);
    let (top, place) = (places.next()?, places.next()?);
    let mut system = system.split(' ');
    let hierarchy = match (system.next()?, system.nth(1)?) {
        ("cgroup2", _) => Hierarchy::Newer,
        ("cgroup", options) if names(options, "cpu") => Hierarchy::Older,
        _ => return None,
    };
    let place = Path::new(place).strip_prefix("/").ok()?;
    Some(Mount { hierarchy, place: place.to_owned(), top: top.into() })
}

fn names(list: &str, name: &str) -> bool {
    list.split(',').any(|one| one == name)
}
