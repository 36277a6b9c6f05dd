//! The settings for those who look at a loop, or want to be told.

use std::sync::Arc;
use std::time::Duration;

use super::Builder;
use crate::executor::{Meta, UnheardPanic, Warning};

impl Builder {
    /// Switches debug mode on or off. By default it is on if the environment has `ANNULUS_DEBUG` with another value than 0.
    ///
    /// In debug mode the loop tells, on standard error or by [`on_warning`](Self::on_warning), of
    /// - polls that take longer than [`slow_poll`](Self::slow_poll), while they do: whose they are, where that was spawned, and the line
    ///   that blocks (on Linux, with the feature `backtrace`, which is on by default);
    /// - operations that were made and never awaited, with the line;
    /// - what is still there when the loop ends: tasks that did not finish, handles and leases that outlive it, operations that the kernel
    ///   had not given back.
    ///
    /// A second thread looks at the loop, asks it by SIGURG where it is, and tells what was found. Each poll takes about 100 ns longer. Off, it costs nothing.
    ///
    /// What the program's own handler of SIGURG does is done as before. The signal interrupts a call only while a poll is slow. The
    /// standard library's sleeps, locks, reads and writes go on after it; but those calls that the system never begins anew, signal(7)
    /// names them, say `Interrupted`: nanosleep, poll and epoll_wait that are called past the standard library, and reads with
    /// `set_read_timeout`.
    ///
    /// An operation that `select!` had no need to begin, for another one was ready at once, is told of as one that was never awaited.
    ///
    /// # Examples
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use std::time::Duration;
    ///
    /// let told = Arc::new(Mutex::new(Vec::new()));
    /// let telling = Arc::clone(&told);
    /// let runtime = annulus::Runtime::builder()
    ///     .debug(true)
    ///     .slow_poll(Duration::from_millis(20))
    ///     .on_warning(move |warning| telling.lock().unwrap().push(warning.to_string()))
    ///     .build()?;
    /// runtime.run(async { std::thread::sleep(Duration::from_millis(60)) })?;
    /// // All is told before it has ended.
    /// drop(runtime);
    /// let told = told.lock().unwrap();
    /// assert!(told[0].contains("has kept the loop from everything else"));
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn debug(mut self, yes: bool) -> Builder {
        *self.debug_mut().0 = Some(yes);
        self
    }

    /// How long a poll may take until debug mode tells of it. By default 100 ms, at least one.
    ///
    /// # Examples
    /// As [`debug`](Self::debug).
    pub fn slow_poll(mut self, limit: Duration) -> Builder {
        self.debug_mut().1.slow = limit.max(Duration::from_millis(1));
        self
    }

    /// Has another thread look whether a poll keeps the loop from everything else for longer than this, and tell of it while it does:
    /// whose poll it is, where that task was spawned, and the line that the thread is at. On
    /// standard error, or by [`on_warning`](Self::on_warning), as a [`SlowPoll`](crate::debug::SlowPoll). At least 4 ms; by default nobody looks.
    ///
    /// A thread can be asked on Linux, with the feature `backtrace`, which is on by default. Elsewhere nothing is told; [debug mode](Self::debug) tells there, too.
    ///
    /// It is for programs in production: a loop does nothing for it, and one thread, `annulus-watchdog`, looks after all loops of the process. A poll that goes
    /// on is told of again whenever it has taken twice as long, and once more when it is over. At most five stalls of a loop are told in ten seconds;
    /// [`Metrics::stalls`](crate::Metrics::stalls) counts all. The task's name is not told, for only a loop that answers knows it. [Debug mode](Self::debug)
    /// has a watchdog of its own, that knows more, and this one is left out then. In a simulated world nobody looks.
    ///
    /// The thread that hangs is asked by SIGURG, with the consequences that [`debug`](Self::debug) tells of.
    ///
    /// # Examples
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = annulus::Runtime::builder()
    ///     .watchdog(Duration::from_millis(50))
    ///     .on_warning(move |warning| drop(tell.send(warning.to_string())))
    ///     .build()?;
    /// # if !cfg!(target_os = "linux") || runtime.driver() == "sim" { return Ok(()); }
    /// // It is told while the poll goes on.
    /// let text = runtime.run(async { told.recv_timeout(Duration::from_secs(60)) })?;
    /// assert!(text.unwrap().contains("has kept the loop from everything else"));
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn watchdog(mut self, limit: Duration) -> Builder {
        *self.watchdog_mut() = Some(limit.max(Duration::from_millis(4)));
        self
    }

    /// What debug mode or the watchdog has found is told to this instead of standard error. It is called by a
    /// thread of debug mode's own, in the order in which things happened; all is told before the loop has ended.
    ///
    /// # Examples
    /// As [`debug`](Self::debug).
    pub fn on_warning(mut self, hook: impl Fn(&Warning) + Send + Sync + 'static) -> Builder {
        self.debug_mut().1.tell = Some(Arc::new(hook));
        self
    }

    /// Calls this for each task that is spawned, before its first poll. The loop's own, which serves a
    /// [`Remote`](crate::Remote), is not told of, by this hook or another.
    ///
    /// Hooks are called on the loop's thread, with nothing borrowed. They may do what tasks may, but await; a panic in one
    /// comes out of [`Runtime::run`](crate::Runtime::run), or of what spawned, once the task is in order; of
    /// [`on_terminate`](Self::on_terminate) at the end of the loop it is not heard.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let count = Arc::new(AtomicU32::new(0));
    /// let counting = Arc::clone(&count);
    /// let runtime = annulus::Runtime::builder()
    ///     .on_spawn(move |_task| drop(counting.fetch_add(1, Ordering::Relaxed)))
    ///     .build()?;
    /// runtime.run(async { annulus::spawn(async {}).await.unwrap() })?;
    /// assert_eq!(count.load(Ordering::Relaxed), 2, "the future given to run is a task, too");
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn on_spawn(mut self, hook: impl Fn(&Meta) + Send + Sync + 'static) -> Builder {
        self.hooks_mut().spawn = Some(Arc::new(hook));
        self
    }

    /// Calls this before each poll of a task. All polls are timed then, which costs about 50 ns each.
    ///
    /// # Examples
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU32, Ordering};
    ///
    /// let calls = Arc::new(AtomicU32::new(0));
    /// let counted = || {
    ///     let calls = Arc::clone(&calls);
    ///     move || drop(calls.fetch_add(1, Ordering::Relaxed))
    /// };
    /// let (before, after, ended, parked, woken) = (counted(), counted(), counted(), counted(), counted());
    /// let runtime = annulus::Runtime::builder()
    ///     .on_before_poll(move |_task| before())
    ///     .on_after_poll(move |_task| after())
    ///     .on_terminate(move |task| {
    ///         println!("{:?} {:?} of {}", task.id(), task.name(), task.spawned_at());
    ///         ended();
    ///     })
    ///     .on_park(parked)
    ///     .on_unpark(woken)
    ///     .build()?;
    /// runtime.run(annulus::time::sleep(std::time::Duration::from_millis(2)))?;
    /// assert!(calls.load(Ordering::Relaxed) > 4);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn on_before_poll(mut self, hook: impl Fn(&Meta) + Send + Sync + 'static) -> Builder {
        self.hooks_mut().before_poll = Some(Arc::new(hook));
        self
    }

    /// Calls this after each poll of a task. All polls are timed then, which costs about 50 ns each.
    ///
    /// # Examples
    /// As [`on_before_poll`](Self::on_before_poll).
    pub fn on_after_poll(mut self, hook: impl Fn(&Meta) + Send + Sync + 'static) -> Builder {
        self.hooks_mut().after_poll = Some(Arc::new(hook));
        self
    }

    /// Calls this for each task that has finished, by itself, by a panic, or by being stopped.
    ///
    /// # Examples
    /// As [`on_before_poll`](Self::on_before_poll).
    pub fn on_terminate(mut self, hook: impl Fn(&Meta) + Send + Sync + 'static) -> Builder {
        self.hooks_mut().terminate = Some(Arc::new(hook));
        self
    }

    /// Calls this before the loop waits because it has nothing to do.
    ///
    /// # Examples
    /// As [`on_before_poll`](Self::on_before_poll).
    pub fn on_park(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks_mut().park = Some(Arc::new(hook));
        self
    }

    /// Calls this after the loop has waited.
    ///
    /// # Examples
    /// As [`on_before_poll`](Self::on_before_poll).
    pub fn on_unpark(mut self, hook: impl Fn() + Send + Sync + 'static) -> Builder {
        self.hooks_mut().unpark = Some(Arc::new(hook));
        self
    }

    /// Calls this for a panic that ended a task which nobody waits for: its handle was dropped, before or after. By default the task, the
    /// place where it was spawned and the panic's text go to standard error; where it panicked has been said by the panic hook.
    ///
    /// A panic of the hook is not heard.
    ///
    /// # Examples
    /// ```
    /// use std::sync::{Arc, Mutex};
    ///
    /// let heard = Arc::new(Mutex::new(Vec::new()));
    /// let hearing = Arc::clone(&heard);
    /// let runtime = annulus::Runtime::builder()
    ///     .on_panic(move |panic| hearing.lock().unwrap().push(panic.message().unwrap().to_owned()))
    ///     .build()?;
    /// runtime.run(async {
    ///     drop(annulus::spawn(async { panic!("out of cheese") }));
    ///     annulus::yield_now().await;
    /// })?;
    /// assert_eq!(*heard.lock().unwrap(), ["out of cheese"]);
    /// # Ok::<(), annulus::Error>(())
    /// ```
    pub fn on_panic(mut self, hook: impl Fn(&UnheardPanic) + Send + Sync + 'static) -> Builder {
        self.hooks_mut().panic = Some(Arc::new(hook));
        self
    }
}
