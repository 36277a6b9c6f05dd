//! Machines that are made up: trees of small files, of which a topology is read.

use std::fs::{create_dir_all, write};

use tempfile::TempDir;

use super::*;

struct Machine(TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(tempfile::tempdir().unwrap())
    }

    fn with(self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Machine {
        let path = self.0.path().join(path);
        create_dir_all(path.parent().unwrap()).unwrap();
        write(path, text).unwrap();
        self
    }

    fn with_cpu(self, number: usize, siblings: &str, core_id: usize, package: usize) -> Machine {
        let folder = format!("sys/devices/system/cpu/cpu{number}/topology");
        self.with(format!("{folder}/core_cpus_list"), format!("{siblings}\n"))
            .with(format!("{folder}/core_id"), format!("{core_id}\n"))
            .with(format!("{folder}/physical_package_id"), format!("{package}\n"))
    }

    fn with_node(self, number: usize, cpus: &str) -> Machine {
        self.with(format!("sys/devices/system/node/node{number}/cpulist"), format!("{cpus}\n"))
    }

    /// Two sockets of four cores of two threads, each socket a node, numbered as most firmware does: first all first
    /// threads of one socket, then the other's, then the second threads. Each socket numbers its cores anew.
    fn with_two_sockets(self) -> Machine {
        let first = |machine: Machine, number: usize| {
            let siblings = format!("{},{}", number % 8, number % 8 + 8);
            machine.with_cpu(number, &siblings, number % 4, number % 8 / 4)
        };
        (0..16).fold(self, first).with_node(0, "0-3,8-11").with_node(1, "4-7,12-15")
    }

    /// The newer hierarchy where it usually is.
    fn in_group(self, group: &str) -> Machine {
        self.with("proc/self/cgroup", format!("0::{group}\n")).with(
            "proc/self/mountinfo",
            "24 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n\
             31 24 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        )
    }

    fn with_cpu_max(self, group: &str, text: &str) -> Machine {
        self.with(format!("sys/fs/cgroup/{group}/cpu.max"), text)
    }

    fn topology(&self, allowed: impl IntoIterator<Item = usize>) -> Topology {
        Topology::below(self.0.path(), allowed.into_iter().collect())
    }

    fn quota(&self) -> Option<f64> {
        self.topology([0]).quota()
    }
}

fn cpu(number: usize, core: usize, package: usize, node: usize) -> Cpu {
    Cpu { number, core, package, node }
}

#[test]
fn siblings_share_a_core_and_sockets_do_not() {
    let topology = Machine::new().with_two_sockets().topology(0..16);
    let wanted: Vec<_> =
        (0..16).map(|number| cpu(number, number % 8, number % 8 / 4, number % 8 / 4)).collect();
    assert_eq!(topology.cpus(), wanted);
    assert_eq!(topology.to_string(), "16 processors on 8 cores, 2 nodes");
    assert_eq!((topology.quota(), topology.loops()), (None, 16));
}

#[test]
fn each_core_has_a_loop_before_any_has_two_and_nodes_take_turns() {
    let topology = Machine::new().with_two_sockets().topology(0..16);
    assert_eq!(topology.places(4), [0, 4, 1, 5]);
    let all = [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15];
    assert_eq!(topology.places(16), all);
    assert_eq!(topology.places(0), [0; 0]);
}

#[test]
fn more_loops_than_processors_begin_again() {
    let topology = Machine::new().with_two_sockets().topology([3, 11]);
    assert_eq!(topology.places(5), [3, 11, 3, 11, 3]);
}

#[test]
fn a_node_with_more_cores_goes_on_when_the_others_have_none_left() {
    let topology = Machine::new().with_two_sockets().topology([0, 1, 2, 3, 4, 12]);
    assert_eq!(topology.places(6), [0, 4, 1, 2, 3, 12]);
}

#[test]
fn siblings_that_are_numbered_side_by_side_are_told_apart_as_well() {
    let pairs = ["0-1", "2-3"];
    let machine =
        (0..4).fold(Machine::new(), |machine, number| machine.with_cpu(number, pairs[number / 2], 0, 0));
    let topology = machine.topology(0..4);
    assert_eq!(topology.places(4), [0, 2, 1, 3]);
    // Their core_id is the same, as it is where clusters number their cores anew: they are two cores all the same.
    assert_eq!(topology.to_string(), "4 processors on 2 cores, 1 node");
}

#[test]
fn older_kernels_have_another_name_for_siblings() {
    let folder = "sys/devices/system/cpu/cpu5/topology";
    let machine = Machine::new().with(format!("{folder}/thread_siblings_list"), "1,5\n");
    assert_eq!(machine.topology([5]).cpus(), [cpu(5, 1, 0, 0)]);
}

#[test]
fn a_processor_that_is_switched_off_is_nobodys_sibling() {
    // Its folder is there, what was known of it is not, and it may not be used.
    let machine = Machine::new().with("sys/devices/system/cpu/cpu1/online", "0\n");
    let machine = machine.with_cpu(0, "0", 0, 0).with_cpu(2, "2-3", 1, 0).with_cpu(3, "2-3", 1, 0);
    let topology = machine.with_node(0, "0,2-3").topology([0, 2, 3]);
    assert_eq!(topology.cpus(), [cpu(0, 0, 0, 0), cpu(2, 2, 0, 0), cpu(3, 2, 0, 0)]);
    assert_eq!(topology.places(3), [0, 2, 3]);
}

#[test]
fn a_container_that_has_three_processors_places_its_loops_on_those() {
    let machine = Machine::new().with_two_sockets();
    let topology = machine.topology([1, 6, 9]);
    assert_eq!(topology.cpus(), [cpu(1, 1, 0, 0), cpu(6, 6, 1, 1), cpu(9, 1, 0, 0)]);
    assert_eq!((topology.loops(), topology.places(3)), (3, vec![1, 6, 9]));
    assert_eq!(topology.to_string(), "3 processors on 2 cores, 2 nodes");
    // The second thread of a core whose first may not be used is as good as a first.
    assert_eq!(machine.topology([2, 9, 10]).places(3), [9, 2, 10]);
}

#[test]
fn where_nothing_is_to_be_read_there_is_what_std_says_each_a_core() {
    let topology = Machine::new().topology([]);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let wanted: Vec<_> = (0..count).map(|number| cpu(number, number, 0, 0)).collect();
    assert_eq!((topology.cpus(), topology.quota()), (&wanted[..], None));
    assert_eq!((topology.loops(), topology.places(count).len()), (count, count));
}

#[test]
fn nonsense_is_taken_as_if_it_were_not_there() {
    let nonsense: [&[u8]; 7] = [b"", b"-1", b"0-", b"7-9", b"\xff\xfe", b"0-99999999999999999999", b"no"];
    for text in nonsense {
        let mut machine = Machine::new().with("sys/devices/system/node/nodes/cpulist", text);
        for file in ["core_cpus_list", "thread_siblings_list", "physical_package_id"] {
            machine = machine.with(format!("sys/devices/system/cpu/cpu3/topology/{file}"), text);
        }
        for file in
            ["sys/devices/system/node/node1/cpulist", "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/g/cpu.max"]
        {
            machine = machine.with(file, text);
        }
        let topology = machine.in_group("/g").topology([3]);
        assert_eq!((topology.cpus(), topology.quota()), (&[cpu(3, 3, 0, 0)][..], None), "{text:?}");
        let topology = Machine::new().with("proc/self/cgroup", text).with("proc/self/mountinfo", text);
        assert_eq!(topology.quota(), None, "{text:?}");
    }
}

#[test]
fn of_nested_groups_the_least_quota_binds() {
    let machine = Machine::new().in_group("/a/b/c").with_cpu_max("a/b/c", "max 100000\n");
    assert_eq!(machine.quota(), None);
    let machine = machine.with_cpu_max("a", "250000 100000\n").with_cpu_max("a/b", "400000 100000\n");
    assert_eq!(machine.quota(), Some(2.5));
    let machine = machine.with_cpu_max("a/b/c", "25000 50000\n");
    assert_eq!(machine.quota(), Some(0.5));
    // No group is given nothing, or something in no time: that is no quota.
    for nonsense in ["0 50000\n", "25000 0\n"] {
        let machine = Machine::new().in_group("/a").with_cpu_max("a", nonsense);
        assert_eq!(machine.quota(), None, "{nonsense}");
    }
    // Another group's is another's.
    assert_eq!(machine.in_group("/a/other").quota(), Some(2.5));
}

#[test]
fn a_quota_is_rounded_down_and_pays_for_one_loop_at_least() {
    let loops = |quota: &str| {
        let machine = Machine::new().with_two_sockets().in_group("/");
        machine.with_cpu_max("", quota).topology(0..16).loops()
    };
    let wanted = [
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("299999 100000", 2),
        ("300000 100000", 3),
        ("6400000 100000", 16),
        ("18446744073709551615 1", 16),
        ("1 0", 16),
        ("0 100000", 16),
    ];
    for (quota, wanted) in wanted {
        assert_eq!(loops(quota), wanted, "{quota}");
    }
}

#[test]
fn a_container_sees_its_own_group_at_the_top() {
    // Named by the host's path, of which the mount shows the last part, or nothing that one could find.
    let mountinfo = |top: &str| format!("31 24 0:28 {top} /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
    for (top, group, quota) in [
        ("/pod/one", "/pod/one", Some(1.5)),
        ("/pod/one", "/pod/one/inner", Some(0.75)),
        ("/", "/pod/one", Some(1.5)),
        ("/", "/../one", Some(1.5)),
        ("/elsewhere", "/pod/one", Some(1.5)),
    ] {
        let machine = Machine::new()
            .with("proc/self/cgroup", format!("0::{group}\n"))
            .with("proc/self/mountinfo", mountinfo(top))
            .with_cpu_max("", "150000 100000\n")
            .with_cpu_max("inner", "75000 100000\n")
            // Beside the mount is nobody's group.
            .with("sys/fs/one/cpu.max", "10000 100000\n");
        assert_eq!(machine.quota(), quota, "{top} {group}");
    }
}

#[test]
fn where_no_mount_is_told_the_usual_place_is_looked_at() {
    let machine = Machine::new().with("proc/self/cgroup", "0::/a\n").with_cpu_max("a", "150000 100000\n");
    assert_eq!(machine.quota(), Some(1.5));
}

#[test]
fn the_older_hierarchy_counts_also_beside_the_newer() {
    let folder = "sys/fs/cgroup/cpu,cpuacct";
    let older = |quota: &str| {
        Machine::new()
            .with("proc/self/cgroup", "9:cpuset:/x\n4:cpuacct,cpu:/pod/one\n0::/pod\n")
            .with(
                "proc/self/mountinfo",
                "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                 33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n\
                 41 31 0:38 / /sys/fs/cgroup/unified rw shared:3 - cgroup2 cgroup2 rw\n",
            )
            .with(format!("{folder}/pod/cpu.cfs_quota_us"), "200000\n")
            .with(format!("{folder}/pod/cpu.cfs_period_us"), "100000\n")
            .with(format!("{folder}/pod/one/cpu.cfs_quota_us"), quota)
            .with(format!("{folder}/pod/one/cpu.cfs_period_us"), "50000\n")
    };
    assert_eq!(older("-1\n").quota(), Some(2.0));
    assert_eq!(older("60000\n").quota(), Some(1.2));
    let both = |newer| older("60000\n").with("sys/fs/cgroup/unified/pod/cpu.max", newer).quota();
    assert_eq!((both("110000 100000\n"), both("130000 100000\n")), (Some(1.1), Some(1.2)));
}

#[test]
fn a_person_likes_to_read_it() {
    let line = |machine: Machine, allowed| machine.topology(allowed).to_string();
    assert_eq!(line(Machine::new(), 0..1), "1 processor on 1 core, 1 node");
    let third = Machine::new().in_group("/").with_cpu_max("", "33333 100000\n");
    assert_eq!(line(third, 0..2), "2 processors on 2 cores, 1 node; quota 0.333");
    let quota = Machine::new().with_two_sockets().in_group("/").with_cpu_max("", "250000 100000\n");
    assert_eq!(line(quota, 0..16), "16 processors on 8 cores, 2 nodes; quota 2.5");
}

/// On this machine, with what is true of it.
#[test]
fn as_many_loops_are_right_as_std_says() {
    let here = || (Topology::read(), std::thread::available_parallelism().map_or(1, usize::from));
    let (topology, std) = here();
    match topology.quota() {
        None => assert_eq!(topology.loops(), std, "{topology}"),
        // Where both hierarchies are mounted, std looks at the newer one's usual place alone.
        Some(_) => assert!(topology.loops() <= std, "{topology}, {std}"),
    }
    let mut places = topology.places(topology.cpus().len());
    places.sort_unstable();
    assert_eq!(places, topology.cpus().iter().map(|cpu| cpu.number).collect::<Vec<_>>(), "each once");
}

#[cfg(target_os = "linux")]
#[test]
fn a_pinned_thread_has_one_processor() {
    for cpu in Topology::read().cpus().iter().map(|cpu| cpu.number) {
        let pinned = std::thread::spawn(move || {
            sys::affinity::run_on(&[cpu]).unwrap();
            (Topology::read(), std::thread::available_parallelism().map_or(1, usize::from))
        });
        let (topology, std) = pinned.join().unwrap();
        assert_eq!((topology.loops(), std, topology.places(2)), (1, 1, vec![cpu, cpu]));
    }
}
