//! fork(2) in the middle: the child's copy of a loop fails and touches nothing; the parent's goes on.
#![allow(unsafe_code)]

mod support;

use std::cell::Cell;
use std::io::{Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use annulus::fs::File;
use annulus::net::{TcpListener, TcpStream};
use annulus::task::LocalSend;
use annulus::{Builder, Error, Runtime, spawn, yield_now};
use support::{audit, child, on_real_drivers};

on_real_drivers! {
    because "processes are the machine's":
        a_forked_child_cannot_use_the_loop_and_its_parent_can,
        a_child_that_is_forked_inside_of_a_task_ends_the_run_with_an_error,
        a_child_may_make_a_loop_of_its_own,
        what_a_child_asks_of_its_parents_loop_is_cancelled,
        a_value_whose_thread_a_child_does_not_have_is_leaked_there_and_dropped_at_home_by_the_parent,
        programs_that_are_started_inherit_nothing_of_the_loop;
}

fn begin<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Runs `body` in a forked child, which must end by itself with status 0. Only from a test that is alone.
fn in_a_fork(body: impl FnOnce()) {
    // SAFETY: the child runs code of ours and of std that needs no other thread, and leaves by _exit.
    match unsafe { libc::fork() } {
        -1 => panic!("{}", std::io::Error::last_os_error()),
        0 => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
            // SAFETY: ends this process and runs nothing.
            unsafe { libc::_exit(if done { 0 } else { 1 }) }
        }
        process => {
            let mut status = 0;
            // SAFETY: one number on this stack.
            assert_eq!(unsafe { libc::waitpid(process, &mut status, 0) }, process);
            assert_eq!(status, 0, "the child failed");
        }
    }
}

/// A loop with a read in flight on a stream whose other end is std's.
fn reading(runtime: &Runtime) -> (TcpStream, std::net::TcpStream) {
    runtime
        .run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (listener.accept().await.unwrap().0, client)
        })
        .unwrap()
}

/// What the child takes out of an `Option` of its own, the parent still has.
fn a_forked_child_cannot_use_the_loop_and_its_parent_can(builder: Builder) {
    struct Tells(Rc<Cell<bool>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    child::alone(|| {
        let mut runtime = Some(builder.build().unwrap());
        let (stream, mut client) = reading(runtime.as_ref().unwrap());
        let mut stream = Some(stream);
        let destroyed = Rc::new(Cell::new(false));
        let (mut read, mut other, task) = runtime
            .as_ref()
            .unwrap()
            .run(async {
                let mut read = stream.as_ref().unwrap().read(Vec::with_capacity(16));
                assert!(begin(&mut read).is_pending());
                let zero = File::open("/dev/zero").await.unwrap();
                let mut other = zero.read(Vec::with_capacity(16));
                assert!(begin(&mut other).is_pending());
                let tells = Tells(Rc::clone(&destroyed));
                let task = spawn(async move {
                    std::future::pending::<()>().await;
                    drop(tells);
                });
                yield_now().await;
                (read, Some((zero, other)), task)
            })
            .unwrap();

        in_a_fork(|| {
            let error = runtime.as_ref().unwrap().run(async {}).unwrap_err();
            assert!(matches!(error, Error::Forked), "{error:?}");
            assert!(error.to_string().contains("fork"), "{error}");
            let error = runtime.as_ref().unwrap().turn(None).unwrap_err();
            assert!(matches!(error, Error::Forked), "{error:?}");
            assert!(runtime.as_ref().unwrap().as_fd().is_err());
            let Poll::Ready((result, buffer)) = begin(&mut read) else { panic!("it fails at once") };
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            assert_eq!(buffer.capacity(), 16);
            drop(other.take());
            let mut write = stream.as_ref().unwrap().write("from the child");
            let Poll::Ready((result, _)) = begin(&mut write) else { panic!("it fails at once") };
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            drop(stream.take());
            drop(runtime.take());
            assert!(!destroyed.get(), "the parent's task is not the child's to destroy");
        });

        client.write_all(b"to the parent").unwrap();
        let runtime = runtime.unwrap();
        let (result, buffer) = runtime.run(&mut read).unwrap();
        assert_eq!(result.unwrap(), 13);
        assert_eq!(buffer, b"to the parent");
        // The stream is neither closed nor forgotten by the driver: a read that has to wait is answered.
        let again = runtime.run(async {
            let read = spawn(stream.as_ref().unwrap().read(Vec::with_capacity(16)));
            annulus::time::sleep(Duration::from_millis(5)).await;
            client.write_all(b"more").unwrap();
            read.await.unwrap()
        });
        assert_eq!(again.unwrap().1, b"more");
        assert!(!task.is_finished());
        assert_eq!(runtime.metrics().stray, 0);
        drop(other);
    });
}

fn a_child_that_is_forked_inside_of_a_task_ends_the_run_with_an_error(builder: Builder) {
    child::alone(|| {
        let runtime = builder.build().unwrap();
        let (stream, mut client) = reading(&runtime);
        let process = runtime.run(async {
            let read = spawn(stream.read(Vec::with_capacity(16)));
            yield_now().await;
            let blocking = |wanted| async move { annulus::spawn_blocking(move || wanted).await };
            assert_eq!(blocking(1).await.unwrap(), 1);
            // SAFETY: as in `in_a_fork`.
            let process = unsafe { libc::fork() };
            if process != 0 {
                client.write_all(b"parent's").unwrap();
                assert_eq!(read.await.unwrap().1, b"parent's");
                return process;
            }
            // The child goes on in the loop's turn until it would wait.
            let (result, _) = stream.write("from the child").await;
            assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
            drop(read.await);
            unreachable!("nobody answers in the child")
        });
        match process {
            Err(error) => {
                let told = matches!(error, Error::Forked);
                drop((stream, runtime));
                // SAFETY: ends the child and runs nothing.
                unsafe { libc::_exit(if told { 0 } else { 1 }) }
            }
            Ok(process) => {
                let mut status = 0;
                // SAFETY: one number on this stack.
                assert_eq!(unsafe { libc::waitpid(process, &mut status, 0) }, process);
                assert_eq!(status, 0, "the child's run ends with the error");
            }
        }
        drop(stream);
        let mut rest = String::new();
        runtime.run(async {}).unwrap();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "nothing came from the child");
    });
}

fn a_child_may_make_a_loop_of_its_own(builder: Builder) {
    child::alone(|| {
        let runtime = builder.clone().build().unwrap();
        let (stream, _client) = reading(&runtime);
        in_a_fork(|| {
            let own = builder.build().unwrap();
            let (stream, mut client) = reading(&own);
            client.write_all(b"own").unwrap();
            assert_eq!(own.run(stream.read(Vec::with_capacity(8))).unwrap().1, b"own");
        });
        runtime.run(stream.write("the parent's goes on")).unwrap().0.unwrap();
    });
}

fn what_a_child_asks_of_its_parents_loop_is_cancelled(builder: Builder) {
    child::alone(|| {
        let runtime = builder.clone().build().unwrap();
        let remote = runtime.remote();
        // In the child each is taken out of a copy.
        let mut queued = Some([remote.run(|| 7), remote.run(|| 8)]);
        let mut child = || {
            let [first, second] = queued.take().unwrap();
            assert!(remote.is_closed());
            first.abort();
            assert!(first.wait().unwrap_err().is_cancelled());
            assert!(matches!(runtime.run(second), Err(Error::Forked)));
            assert!(remote.run(|| 9).wait().unwrap_err().is_cancelled());
            assert!(remote.spawn(|| async {}).wait().unwrap_err().is_cancelled());
            // One of its own is another matter.
            let own = builder.clone().build().unwrap();
            assert_eq!(own.run(own.remote().run(|| 10)).unwrap().unwrap(), 10);
        };
        // By the loop's thread, and by one that knows nothing of it.
        in_a_fork(&mut child);
        let remote = runtime.remote();
        let asking = std::thread::spawn(move || {
            let mut queued = Some(remote.run(|| 11));
            in_a_fork(|| {
                let waiting = queued.take().unwrap();
                assert!(waiting.wait().unwrap_err().is_cancelled());
                assert!(remote.run(|| 12).wait().unwrap_err().is_cancelled());
            });
            queued.unwrap()
        });
        assert_eq!(runtime.run(asking.join().unwrap()).unwrap().unwrap(), 11);
        for (answer, value) in queued.unwrap().into_iter().zip([7, 8]) {
            assert_eq!(answer.wait().unwrap(), value);
        }
    });
}

fn a_value_whose_thread_a_child_does_not_have_is_leaked_there_and_dropped_at_home_by_the_parent(
    builder: Builder,
) {
    struct Tells(Rc<Cell<bool>>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    child::alone(|| {
        let runtime = builder.build().unwrap();
        let dropped = Rc::new(Cell::new(false));
        let tells = Tells(Rc::clone(&dropped));
        let mut value = Some(runtime.run(async { LocalSend::new(tells) }).unwrap());
        let forking = std::thread::spawn(move || {
            in_a_fork(|| {
                assert!(value.as_ref().unwrap().try_get().is_err());
                drop(value.take());
                assert_eq!(LocalSend::leaked(), 1);
            });
            drop(value);
        });
        forking.join().unwrap();
        assert_eq!(LocalSend::leaked(), 0, "that was the child's");
        runtime
            .run(async {
                while !dropped.get() {
                    yield_now().await;
                }
            })
            .unwrap();
    });
}

fn programs_that_are_started_inherit_nothing_of_the_loop(builder: Builder) {
    if !cfg!(target_os = "linux") {
        return support::skipped(
            "programs_that_are_started_inherit_nothing_of_the_loop",
            "there is no /proc",
        );
    }
    child::alone(|| {
        let plain = listing();
        let before = audit::descriptors();
        let runtime = builder.build().unwrap();
        let (_stream, _client) = reading(&runtime);
        assert!(audit::descriptors() > before);
        assert_eq!(listing(), plain);
    });
}

/// What a program that this process starts finds open.
fn listing() -> usize {
    let printed = std::process::Command::new("ls").arg("/proc/self/fd").output().unwrap().stdout;
    String::from_utf8_lossy(&printed).lines().count()
}
