//! What to run.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use super::Child;
use crate::engine::current_port;

/// What to run, and how; as [`std::process::Command`], whose methods these are.
///
/// # Examples
/// ```
/// # fn main() -> std::io::Result<()> {
/// use annulus::process::Command;
///
/// annulus::run(async {
///     let output = Command::new("echo").arg("hello").output().await?;
///     assert!(output.status.success());
///     assert_eq!(output.stdout, b"hello\n");
///     Ok(())
/// })?
/// # }
/// ```
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    kill_on_drop: bool,
    /// Nobody has said what it reads from.
    stdin_is_open: bool,
}

impl Command {
    /// This program, which is looked for in PATH, without arguments, with this process's environment, directory and
    /// standard streams.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        Command { stdin_is_open: true, ..Command::from(std::process::Command::new(program)) }
    }

    /// One more argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.inner.arg(arg);
        self
    }

    /// More arguments.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Command {
        self.inner.args(args);
        self
    }

    /// What it is told to be called, as argument 0.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Command {
        self.inner.arg0(arg);
        self
    }

    /// Sets a variable of its environment.
    ///
    /// # Examples
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::{Command, Stdio};
    ///
    /// annulus::run(async {
    /// #     if annulus::Runtime::try_current().unwrap().driver() == "sim" { return Ok(()); }
    ///     let mut command = Command::new("sh");
    ///     command
    ///         .arg0("shell")
    ///         .args(["-c", "echo $0 $DRINK $FOOD; pwd"])
    ///         .env_clear()
    ///         .env("DRINK", "tea")
    ///         .envs([("FOOD", "scones"), ("PLACE", "garden")])
    ///         .env_remove("PLACE")
    ///         .current_dir("/")
    ///         .stdin(Stdio::null())
    ///         .stderr(Stdio::inherit())
    ///         .process_group(0)
    ///         .kill_on_drop(true);
    ///     assert_eq!(command.as_std().get_program(), "sh");
    ///     command.as_std_mut().env("PATH", "/usr/bin:/bin");
    ///     let output = command.output().await?;
    ///     assert_eq!(output.stdout, b"shell tea scones\n/\n");
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env(name, value);
        self
    }

    /// Sets variables of its environment.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Command {
        self.inner.envs(variables);
        self
    }

    /// Takes a variable out of its environment.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn env_remove(&mut self, name: impl AsRef<OsStr>) -> &mut Command {
        self.inner.env_remove(name);
        self
    }

    /// Takes all variables out of its environment.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn env_clear(&mut self) -> &mut Command {
        self.inner.env_clear();
        self
    }

    /// Its working directory.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Command {
        self.inner.current_dir(directory);
        self
    }

    /// What it reads: of this process by default, of nothing in [`output`](Self::output).
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Command {
        self.stdin_is_open = false;
        self.inner.stdin(stdin);
        self
    }

    /// Where it writes to: where this process does by default; in [`output`](Self::output) that is gathered.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Command {
        self.inner.stdout(stdout);
        self
    }

    /// Where it writes errors to; by default as for [`stdout`](Self::stdout).
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Command {
        self.inner.stderr(stderr);
        self
    }

    /// The user that it runs as.
    ///
    /// # Examples
    /// ```no_run
    /// # fn main() -> std::io::Result<()> {
    /// use annulus::process::Command;
    ///
    /// annulus::run(async {
    ///     // For a program that runs as root, and starts another that does not.
    ///     let status = Command::new("id").uid(1000).gid(1000).status().await?;
    ///     assert!(status.success());
    ///     Ok(())
    /// })?
    /// # }
    /// ```
    pub fn uid(&mut self, id: u32) -> &mut Command {
        self.inner.uid(id);
        self
    }

    /// The group that it runs as.
    ///
    /// # Examples
    /// As [`uid`](Self::uid).
    pub fn gid(&mut self, id: u32) -> &mut Command {
        self.inner.gid(id);
        self
    }

    /// The process group that it joins; 0 is a new one of its own.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn process_group(&mut self, group: i32) -> &mut Command {
        self.inner.process_group(group);
        self
    }

    /// Whether it is ended by SIGKILL when its [`Child`] is dropped. It is not by default.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn kill_on_drop(&mut self, yes: bool) -> &mut Command {
        self.kill_on_drop = yes;
        self
    }

    /// As the standard library has it.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn as_std(&self) -> &std::process::Command {
        &self.inner
    }

    /// As the standard library has it: for what is unsafe, `pre_exec`.
    ///
    /// # Examples
    /// As [`env`](Self::env).
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        // What is said there is not seen here.
        self.stdin_is_open = false;
        &mut self.inner
    }

    /// Starts it. That takes about a millisecond, which the loop waits: a process cannot be started in the background.
    ///
    /// # Errors
    /// Those of fork(2) and execve(2): `NotFound` if there is no such program. `Unsupported` in a simulated world.
    ///
    /// # Panics
    /// Outside of a running loop.
    ///
    /// # Examples
    /// As [`Child`](super::Child).
    pub fn spawn(&mut self) -> io::Result<Child> {
        if current_port().is_simulated() {
            let text = "a simulated world has no processes: the program it would start is not simulated";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Child::of(self.inner.spawn()?, self.kill_on_drop)
    }

    /// Runs it to its end, and says how it ended.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), and those of waitpid(2).
    ///
    /// # Cancel safety
    /// After dropping it, the process runs on, or is ended if [`kill_on_drop`](Self::kill_on_drop) says so.
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        // Nobody could read what was asked to be piped.
        drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    /// Runs it to its end, and gives what it wrote. It reads from what [`stdin`](Self::stdin) says; if nobody has said that, from
    /// nothing; made from a command of std's, or changed [there](Self::as_std_mut), from what that says.
    ///
    /// # Errors
    /// As [`status`](Self::status), and those of read(2).
    ///
    /// # Cancel safety
    /// As [`status`](Self::status).
    pub async fn output(&mut self) -> io::Result<Output> {
        if self.stdin_is_open {
            self.inner.stdin(Stdio::null());
        }
        self.inner.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.spawn()?.wait_with_output().await
    }
}

impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Command {
        Command { inner, kill_on_drop: false, stdin_is_open: false }
    }
}
