//! Which processors this process may use, what they share, and how much of them it gets.
//!
//! Read once, from the small files in which Linux tells it, below a root that the tests choose. It never fails: what is not
//! there, or makes no sense, is taken as if each processor were a core of its own, all at one node.

mod list;
mod quota;
#[cfg(all(test, not(annulus_loom)))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{read_dir, read_to_string};
use std::path::Path;

use crate::sys;
use list::List;

/// A processor as the scheduler knows it: one hyper-thread, where cores have several.
///
/// # Examples
/// ```
/// for cpu in annulus::topology::Topology::read().cpus() {
///     println!("{} of core {}, package {}, node {}", cpu.number, cpu.core, cpu.package, cpu.node);
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Cpu {
    /// Its number, as taskset(1) and sched_setaffinity(2) know it.
    pub number: usize,
    /// Which core it is a thread of: the least number of that core's processors, so that siblings, and nobody else, have the same.
    ///
    /// It is not what Linux calls `core_id`, which on some machines several cores of a package have.
    pub core: usize,
    /// Which package, or socket, it is in.
    pub package: usize,
    /// Which memory is near to it: the number of its NUMA node.
    pub node: usize,
}

/// The processors that this process may use: which of them share a core, a package, a memory, and how much time it gets on them.
///
/// Plain data, of one moment. Displayed it is one line, such as "8 processors on 4 cores, 1 node; quota 2.5".
///
/// # Examples
/// ```
/// use annulus::topology::Topology;
///
/// let topology = Topology::read();
/// println!("{topology}");
/// for (name, cpu) in topology.places(topology.loops()).into_iter().enumerate() {
///     println!("loop {name} on processor {cpu}");
/// }
/// assert!(topology.loops() <= topology.cpus().len());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    cpus: Vec<Cpu>,
    quota: Option<f64>,
}

impl Topology {
    /// Looks at the machine.
    ///
    /// It never fails. Where the system does not say which processors the calling thread may use (sched_getaffinity(2), which Linux has) there
    /// are as many as [`std::thread::available_parallelism`] says, numbered from 0. What else is not to be found out is taken as the simplest
    /// machine: each processor a core of its own, one package, one node, no quota.
    ///
    /// A thread that was pinned to a processor sees that one alone: look before that.
    ///
    /// It reads three small files a processor: for a program's start, not for each request.
    /// <https://docs.kernel.org/admin-guide/cputopology.html>
    pub fn read() -> Topology {
        Topology::below(Path::new("/"), sys::affinity::allowed().unwrap_or_default())
    }

    /// What the files below that root say of those processors.
    fn below(root: &Path, allowed: Vec<usize>) -> Topology {
        let numbers = match allowed.is_empty() {
            false => allowed,
            true => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
        };
        let nodes = nodes(root);
        let cpus = numbers.into_iter().map(|number| look(root, number, &nodes)).collect();
        Topology { cpus, quota: quota::read(root) }
    }

    /// The processors that may be used, in the order of their numbers. At least one.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// How much of them the process gets, in processors: 0.5 is half of one. None if nothing binds it.
    ///
    /// It is the least that a control group of the process, or one above it, is given: `cpu.max` in the newer hierarchy,
    /// `cpu.cfs_quota_us` for each `cpu.cfs_period_us` in the older. What lies outside of a container is not seen from within.
    /// <https://docs.kernel.org/admin-guide/cgroup-v2.html>
    ///
    /// # Examples
    /// ```
    /// match annulus::topology::Topology::read().quota() {
    ///     Some(quota) => println!("{quota} processors' time"),
    ///     None => println!("no limit"),
    /// }
    /// ```
    pub fn quota(&self) -> Option<f64> {
        self.quota
    }

    /// How many loops are right, if nobody knows better: one for each processor, and not more than the quota pays for. At least one.
    ///
    /// The quota is rounded down, as [`std::thread::available_parallelism`] does. Whoever has used it up stands still, with all loops, until its
    /// period ends, for up to 100 ms by default: that is worse than a loop less. And what is left over is needed: helper threads and the kernel's
    /// workers are paid for from the same quota.
    pub fn loops(&self) -> usize {
        // A quota beyond all numbers is the greatest one.
        let paid = self.quota.map_or(usize::MAX, |quota| quota as usize);
        self.cpus.len().min(paid).max(1)
    }

    /// The processor for each of so many loops.
    ///
    /// First each core gets one loop, and then their siblings do, since two threads of a core share what it can do. Among cores the
    /// nodes take turns: loops share little, and the memory that each of them fills is near to where it runs, so that memory is
    /// local in any case, and on all nodes there is more bandwidth and more cache than on one. The price is that messages between loops cross
    /// from node to node. Where those are many, let the process have one node alone (`numactl --cpunodebind=0`, or a control group's
    /// `cpuset.cpus`): other processors are not used.
    ///
    /// More loops than processors begin again with the first.
    ///
    /// # Examples
    /// ```
    /// use annulus::topology::Topology;
    ///
    /// let topology = Topology::read();
    /// let all = topology.cpus().len();
    /// let places = topology.places(all + 1);
    /// assert_eq!(places[all], places[0]);
    /// ```
    pub fn places(&self, count: usize) -> Vec<usize> {
        // By nodes, and their cores, each with its threads. Sorted, so that the same machine gives the same places.
        let mut nodes: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for cpu in &self.cpus {
            nodes.entry(cpu.node).or_default().entry(cpu.core).or_default().push(cpu.number);
        }
        let mut order = Vec::with_capacity(self.cpus.len());
        for (node, cores) in nodes {
            for (place, (_, threads)) in cores.into_iter().enumerate() {
                order.extend(
                    threads.into_iter().enumerate().map(|(sibling, number)| (sibling, place, node, number)),
                );
            }
        }
        order.sort_unstable();
        order.iter().cycle().take(count).map(|(.., number)| *number).collect()
    }
}

/// "8 processors on 4 cores, 1 node; quota 2.5"
impl fmt::Display for Topology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distinct = |of: fn(&Cpu) -> usize| self.cpus.iter().map(of).collect::<BTreeSet<_>>().len();
        let (cores, nodes) = (distinct(|cpu| cpu.core), distinct(|cpu| cpu.node));
        let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
        let processors = counted(self.cpus.len(), "processor");
        write!(f, "{processors} on {}, {}", counted(cores, "core"), counted(nodes, "node"))?;
        match self.quota {
            // Three places: the least that a group can be given is a thousandth.
            Some(quota) => write!(f, "; quota {}", (quota * 1000.0).round() / 1000.0),
            None => Ok(()),
        }
    }
}

/// What the system says of a processor.
fn look(root: &Path, number: usize, nodes: &[(usize, List)]) -> Cpu {
    let folder = root.join(format!("sys/devices/system/cpu/cpu{number}/topology"));
    let file = |name: &str| read_to_string(folder.join(name)).ok();
    // The second is the name before Linux 5.3. Who is not among its own siblings is told nonsense.
    let siblings =
        ["core_cpus_list", "thread_siblings_list"].iter().find_map(|name| List::parse(&file(name)?));
    let siblings = siblings.filter(|siblings| siblings.contains(number));
    Cpu {
        number,
        core: siblings.and_then(|siblings| siblings.least()).unwrap_or(number),
        // Machines that do not know say -1.
        package: file("physical_package_id").and_then(|text| text.trim().parse().ok()).unwrap_or(0),
        node: nodes.iter().find(|(_, cpus)| cpus.contains(number)).map_or(0, |(node, _)| *node),
    }
}

/// The nodes of memory with their processors, in order. A kernel that knows no nodes has no such folder.
fn nodes(root: &Path) -> Vec<(usize, List)> {
    let Ok(folder) = read_dir(root.join("sys/devices/system/node")) else { return Vec::new() };
    let node = |entry: std::fs::DirEntry| {
        let number = entry.file_name().to_str()?.strip_prefix("node")?.parse().ok()?;
        Some((number, List::parse(&read_to_string(entry.path().join("cpulist")).ok()?)?))
    };
    let mut nodes: Vec<(usize, List)> = folder.flatten().filter_map(node).collect();
    nodes.sort_unstable_by_key(|(number, _)| *number);
    nodes
}
