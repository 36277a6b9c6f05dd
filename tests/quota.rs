//! A container's share of the machine: how many shards there are, and whether they are bound, follows the quota of the process's control
//! group and not the number of processors.
//!
//! Each test makes a group of its own below the root of the hierarchy, in whichever version has the cpu controller, starts a child in it, and
//! removes it again. Where that is not permitted it is skipped, and says so.
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use annulus::Builder;
use annulus::topology::Topology;

support::on_real_drivers! {
    because "groups are the machine's":
    a_quota_of_one_processor_gives_one_shard_that_is_not_bound,
    a_quota_of_one_and_a_half_processors_gives_one_shard_that_is_not_bound,
    a_quota_of_all_processors_binds_a_shard_to_each;
}

const PERIOD_US: u64 = 100_000;

fn a_quota_of_one_processor_gives_one_shard_that_is_not_bound(builder: Builder) {
    expect(builder, |_| 100, |_| "[None]".to_owned());
}

/// Rounded down: a second one would stand still for half of the time, and hold up the first.
fn a_quota_of_one_and_a_half_processors_gives_one_shard_that_is_not_bound(builder: Builder) {
    expect(builder, |_| 150, |_| "[None]".to_owned());
}

fn a_quota_of_all_processors_binds_a_shard_to_each(builder: Builder) {
    let all = |cpus: &[usize]| format!("{:?}", cpus.iter().map(|cpu| Some(*cpu)).collect::<Vec<_>>());
    expect(builder, |cpus| 100 * cpus.len() as u64, all);
}

/// A child with that quota, in hundredths of a processor, says that its shards are bound to those.
fn expect(builder: Builder, percent: fn(&[usize]) -> u64, wanted: impl Fn(&[usize]) -> String) {
    let test = support::child::name();
    if support::child::is_child(&test) {
        return say_where_shards_are(builder);
    }
    let topology = Topology::read();
    let mut cpus = topology.places(topology.cpus().len());
    if topology.loops() < 2 || topology.loops() < cpus.len() {
        return support::skipped(&test, "this process has less than all of two processors itself");
    }
    let group = match Group::make(&test, percent(&cpus)) {
        Ok(group) => group,
        Err(why) => return support::skipped(&test, &why),
    };
    let output = group.run(support::child::myself(&test)).unwrap();
    let text = [output.stdout, output.stderr].map(|text| support::child::text(&text)).concat();
    assert!(output.status.success(), "{text}");
    let bound =
        text.lines().find_map(|line| line.split_once("shards bound to ")).map(|(_, bound)| bound.trim());
    // Which shard is where is the topology's affair.
    cpus.sort_unstable();
    assert_eq!(bound, Some(wanted(&cpus).as_str()), "{text}");
}

fn say_where_shards_are(builder: Builder) {
    let _watchdog = support::watchdog::Watchdog::over("a child with a quota");
    // What a container does, it does with so little time as well.
    builder.clone().build().unwrap().run(support::everything::everything()).unwrap();
    let builder = Mutex::new(builder);
    let mut cpus = annulus::launch()
        .runtime(move |_, _| builder.lock().unwrap().clone())
        .run(|shard| async move { io::Result::Ok(shard.cpu()) })
        .unwrap();
    cpus.sort_unstable();
    println!("shards bound to {cpus:?}");
}

/// A control group of this test's own, which goes with it.
struct Group {
    folder: PathBuf,
}

impl Group {
    /// Makes one with a quota, in hundredths of a processor.
    fn make(test: &str, percent: u64) -> Result<Group, String> {
        let (root, is_newer) = hierarchy()?;
        let name = format!("annulus-{}-{}", std::process::id(), test.replace("::", "-"));
        let folder = root.join(name);
        fs::create_dir(&folder)
            .map_err(|error| format!("no control group can be made at {folder:?}: {error}"))?;
        let group = Group { folder };
        let quota_us = percent * PERIOD_US / 100;
        let set = match is_newer {
            true => group.set("cpu.max", &format!("{quota_us} {PERIOD_US}")),
            false => group
                .set("cpu.cfs_period_us", &PERIOD_US.to_string())
                .and_then(|()| group.set("cpu.cfs_quota_us", &quota_us.to_string())),
        };
        set.map_err(|error| format!("a control group is given no quota: {error}"))?;
        Ok(group)
    }

    fn set(&self, file: &str, text: &str) -> io::Result<()> {
        fs::write(self.folder.join(file), text)
    }

    /// Runs a command in the group, from its first instruction on.
    fn run(&self, command: Command) -> io::Result<Output> {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(self.folder.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        shell.output()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process that has ended leaves its group a moment later.
        let begun = Instant::now();
        while let Err(error) = fs::remove_dir(&self.folder) {
            if begun.elapsed() > Duration::from_secs(10) {
                return support::say(&format!("{:?} is left behind: {error}", self.folder));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The root of the hierarchy that has the cpu controller, and whether it is the newer one.
fn hierarchy() -> Result<(PathBuf, bool), String> {
    let older = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"].map(Path::new);
    if let Some(root) = older.into_iter().find(|root| root.join("cgroup.procs").exists()) {
        return Ok((root.to_owned(), false));
    }
    let root = Path::new("/sys/fs/cgroup");
    // Whether groups below may be given shares of it is the system's to say, and not a test's to change.
    let given = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    match given.split_whitespace().any(|controller| controller == "cpu") {
        true => Ok((root.to_owned(), true)),
        false => {
            Err("no hierarchy of control groups at /sys/fs/cgroup gives shares of processors".to_owned())
        }
    }
}
