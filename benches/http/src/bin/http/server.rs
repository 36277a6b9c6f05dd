//! A contestant's process while it serves.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::contestants::Contestant;

/// Ends with this value.
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub address: SocketAddr,
}

/// A contestant's command, bound to a core, behind a tool if one is named.
pub fn command(tool: &[String], contestant: &Contestant, programs: &Path, core: usize) -> Command {
    let program = programs.join(contestant.program);
    let mut command = match tool {
        [] => Command::new(program),
        [name, arguments @ ..] => {
            let mut command = Command::new(name);
            command.args(arguments).arg(program);
            command
        }
    };
    command.args(contestant.arguments).args(["--core", &core.to_string()]);
    // SAFETY: one system call, which is safe after a fork.
    unsafe {
        command.pre_exec(|| {
            // Whoever ends this program ends its children.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command
}

impl Server {
    /// Starts it, and waits for its address.
    ///
    /// # Errors
    /// That it cannot be started, or ends before it has an address.
    pub fn start(mut command: Command) -> io::Result<Server> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().expect("asked for");
        let mut output = BufReader::new(child.stdout.take().expect("asked for"));
        let mut line = String::new();
        output.read_line(&mut line)?;
        match line.trim().parse() {
            Ok(address) => Ok(Server { child, input, output, address }),
            Err(_) => {
                let _ = child.kill();
                let status = child.wait()?;
                Err(io::Error::other(format!("it did not start: {status}")))
            }
        }
    }

    /// Processor time of the whole process so far, with what the kernel did for it.
    ///
    /// # Errors
    /// That it has ended.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let mut clock = 0;
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both write what they are given.
        let answer = unsafe {
            match libc::clock_getcpuclockid(self.child.id() as i32, &mut clock) {
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

    /// Private memory that is resident, in bytes.
    ///
    /// # Errors
    /// That the system does not say it.
    pub fn resident(&self) -> io::Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        };
        match (of("Private_Clean:"), of("Private_Dirty:")) {
            (Some(clean), Some(dirty)) => Ok((clean + dirty) << 10),
            _ => Err(io::Error::other("smaps_rollup says nothing of private memory")),
        }
    }

    /// Bytes of the heap that are in use; the server was told `--heap`.
    ///
    /// # Errors
    /// That it does not answer.
    pub fn heap(&mut self) -> io::Result<u64> {
        writeln!(self.input)?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().map_err(|_| io::Error::other("it does not say how much of its heap is in use"))
    }

    /// Ends what serves, and waits until the tool that watches it has written what it counted.
    ///
    /// # Errors
    /// That it has not ended after ten seconds.
    pub fn end(mut self) -> io::Result<()> {
        let watched = self.watched().unwrap_or(self.child.id() as i32);
        // SAFETY: a process that this one started, or its child.
        unsafe { libc::kill(watched, libc::SIGTERM) };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            // Under valgrind a signal arrives when the call has returned that the server waits in.
            drop(std::net::TcpStream::connect_timeout(&self.address, Duration::from_millis(10)));
            std::thread::sleep(Duration::from_millis(5));
        }
        Err(io::Error::other("it did not end"))
    }
}

impl Server {
    /// The server itself, if a tool started it.
    fn watched(&self) -> Option<i32> {
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.child.id()));
        children.ok()?.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // strace lets go of what it watches when it is ended like this.
        if let Some(watched) = self.watched() {
            // SAFETY: the child of a process that this one started.
            unsafe { libc::kill(watched, libc::SIGKILL) };
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
