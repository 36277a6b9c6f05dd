//! A contestant's process while it serves.

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::contestants::Contestant;

/// Ends with this value.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

/// A contestant's command, bound to a core.
pub fn command(contestant: &Contestant, programs: &Path, core: usize) -> Command {
    let mut command = Command::new(contestant.path(programs));
    dress(&mut command, contestant, core);
    command
}

/// The same behind a tool, which is given the program.
pub fn command_under(tool: &[&str], contestant: &Contestant, programs: &Path, core: usize) -> Command {
    let mut command = Command::new(tool[0]);
    command.args(&tool[1..]).arg(contestant.path(programs));
    dress(&mut command, contestant, core);
    command
}

fn dress(command: &mut Command, contestant: &Contestant, core: usize) {
    command.args(["--variant", contestant.variant, "--core", &core.to_string()]);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    // SAFETY: one system call, which is safe after a fork.
    unsafe {
        command.pre_exec(|| {
            // Whoever ends this program ends its children.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
}

impl Server {
    pub fn start(mut command: Command) -> io::Result<Server> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("asked for")).read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Server { child, address }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait()?;
                Err(io::Error::other(format!("it did not start: {status}")))
            }
        }
    }

    /// Processor time of the whole process so far, with what the kernel did for it.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both write what they are given.
        let answer = unsafe {
            match libc::clock_getcpuclockid(self.id(), &mut clock) {
                0 => libc::clock_gettime(clock, &mut time),
                _ => -1,
            }
        };
        if answer == 0 {
            Ok(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
        } else {
            Err(io::Error::other("the server has ended"))
        }
    }

    /// Private memory, in bytes.
    pub fn memory(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.id()))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        };
        match (of("Private_Clean:"), of("Private_Dirty:")) {
            (Some(clean), Some(dirty)) => Ok((clean + dirty) << 10),
            _ => Err(io::Error::other("smaps_rollup says nothing of private memory")),
        }
    }

    pub fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// The first child of it, when it is a tool that started the server; else itself.
    pub fn served_by(&self) -> i32 {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.id()));
        children.ok().and_then(|list| list.split_whitespace().next()?.parse().ok()).unwrap_or(self.id())
    }

    /// Sends a signal to the process that serves, and waits until the tool that watches it has ended.
    pub fn end(mut self, process: i32, signal: i32) -> io::Result<()> {
        // SAFETY: a process that this one started, or its child.
        unsafe { libc::kill(process, signal) };
        for _ in 0..500 {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            // Under valgrind a signal arrives when the call has returned that the server waits in, and some more was done.
            for _ in 0..32 {
                drop(std::net::TcpStream::connect_timeout(&self.address, Duration::from_millis(10)));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("it did not end"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
