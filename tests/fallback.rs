//! Where the ring, or a part of it, cannot be had: the same programs run, and what was refused is said.

mod support;

use std::pin::Pin;
use std::process::Command;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use annulus::net::TcpListener;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Driver, Error, Runtime, spawn, yield_now};
use support::child::{self, again};
use support::data::{Dice, assert_same, bytes};
use support::everything::everything;
use support::net::pair;
use support::{on_every_driver, on_real_drivers};

on_every_driver! {
    an_operation_that_does_not_exist_is_an_error_that_names_those_that_do,
}

on_real_drivers! {
    because "what a ring may lack is the machine's":
        without_any_one_operation_everything_works,
        without_all_operations_everything_works,
        nothing_is_lost_by_what_is_done_otherwise;
}

/// What operations there are, from the error's text.
fn operations() -> Vec<String> {
    let error = Builder::new().driver(Driver::Readiness).without_operation("fly").build().unwrap_err();
    let Error::UnknownOperation(name) = &error else { panic!("{error}") };
    assert_eq!(name, "fly");
    let text = error.to_string();
    let (_, names) = text.split_once("there are ").expect("a list");
    let names: Vec<_> = names.split(", ").map(str::to_owned).collect();
    assert!(names.len() > 20, "{names:?}");
    names
}

/// What the ring has no entry for, so that a helper does it in any case.
const WITHOUT_A_RING_FORM: &[&str] = &[
    "blocking",
    "copy_file_range",
    "fchmodat",
    "fchownat",
    "flistxattr",
    "flock",
    "fremovexattr",
    "getdents64",
    "lseek",
    "readlinkat",
    "realpath",
    "utimensat",
];

fn without_any_one_operation_everything_works(builder: Builder) {
    // What is done by a helper in any case is not what is counted here.
    let whole = builder.clone().build().unwrap();
    whole.run(everything()).unwrap();
    let in_any_case = whole.metrics().fallbacks;
    // An older kernel does it otherwise whether it is left out or not.
    let report = builder.report();
    let is_missing =
        |name: &str| report.operations().iter().any(|one| one.name() == name && one.remedy().is_some());
    for name in operations() {
        let runtime = builder.clone().without_operation(&name).build().unwrap();
        let driver = runtime.driver();
        let ran =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.run(everything()).unwrap()));
        assert!(ran.is_ok(), "without {name}");
        let metrics = runtime.metrics();
        // One missing operation costs no more than itself.
        assert_eq!(runtime.driver(), driver);
        if driver == "uring" && !WITHOUT_A_RING_FORM.contains(&name.as_str()) && !is_missing(&name) {
            let fallbacks = metrics.fallbacks;
            assert!(fallbacks > in_any_case, "{name} is not used, or not done otherwise: {fallbacks}");
        }
        assert_eq!((metrics.in_flight, metrics.stray), (0, 0), "without {name}: {metrics:?}");
        let start = Instant::now();
        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(2), "without {name}");
    }
}

fn without_all_operations_everything_works(mut builder: Builder) {
    for name in operations() {
        builder = builder.without_operation(&name);
    }
    let runtime = builder.build().unwrap();
    runtime.run(everything()).unwrap();
    runtime.run(everything()).unwrap();
    assert_eq!(runtime.metrics().in_flight, 0);
}

/// Reads and accepts that are raced, cancelled and dropped, in the forms that a ring without them uses.
fn nothing_is_lost_by_what_is_done_otherwise(builder: Builder) {
    let builder = builder.without_operation("recv").without_operation("recvmsg").without_operation("accept");
    builder
        .without_operation("send")
        .without_operation("connect")
        .build()
        .unwrap()
        .run(lose_nothing())
        .unwrap();
}

async fn lose_nothing() {
    const LENGTH: usize = 200_000;
    let (client, server) = pair().await;
    let sending = spawn(async move {
        let mut dice = Dice::new(1);
        for chunk in bytes(2, LENGTH).chunks(133) {
            client.write_all(chunk.to_vec()).await.0.unwrap();
            match dice.below(3) {
                0 => sleep(Duration::from_micros(dice.below(100))).await,
                _ => yield_now().await,
            }
        }
    });
    let mut dice = Dice::new(2);
    let mut got = Vec::new();
    while got.len() < LENGTH {
        let limit = Duration::from_micros(dice.below(60));
        let room = Vec::with_capacity(1 + dice.below(200) as usize);
        if dice.below(3) == 0 {
            // Asked to stop, and then waited for.
            let mut read = server.read(room);
            if let Ok((result, piece)) = timeout(limit, &mut read).await {
                assert_ne!(result.unwrap(), 0);
                got.extend(piece);
                continue;
            }
            read.cancel();
            match timeout(Duration::from_secs(5), read).await.expect("it is answered") {
                (Ok(_), piece) => got.extend(piece),
                (Err(error), _) => assert_eq!(error.raw_os_error(), Some(libc::ECANCELED)),
            }
        } else if let Ok((result, pieces)) = timeout(limit, server.readv(vec![room])).await {
            assert_ne!(result.unwrap(), 0);
            got.extend(pieces.concat());
        }
    }
    sending.await.unwrap();
    assert_same(&got, &bytes(2, LENGTH));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..50 {
        let mut accept = listener.accept();
        assert!(Future::poll(Pin::new(&mut accept), &mut Context::from_waker(Waker::noop())).is_pending());
        sleep(Duration::from_micros(dice.below(100))).await;
        let client = std::net::TcpStream::connect(address).unwrap();
        sleep(Duration::from_micros(dice.below(100))).await;
        drop(accept);
        let (_, peer) = timeout(Duration::from_secs(5), listener.accept()).await.unwrap().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    }
}

fn an_operation_that_does_not_exist_is_an_error_that_names_those_that_do(builder: Builder) {
    for name in ["", "RECV", "read ", "flush"] {
        let error = builder.clone().without_operation("recv").without_operation(name).build().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(&format!("{name:?}")) && text.contains("recv, ") && text.contains("statx"),
            "{text}"
        );
    }
}

/// Runs the rest of a test in a child with that ANNULUS_DRIVER. True in the child; in the parent, what it printed
/// is given to `then`.
fn with_driver(test: &str, driver: Option<&str>, then: impl FnOnce(String)) -> bool {
    let set = |command: &mut Command| {
        match driver {
            Some(driver) => command.env("ANNULUS_DRIVER", driver),
            None => command.env_remove("ANNULUS_DRIVER"),
        };
    };
    let Some(output) = again(test, set) else { return true };
    let text = format!("{}{}", child::text(&output.stdout), child::text(&output.stderr));
    assert!(output.status.success(), "{}\n{text}", output.status);
    then(text);
    false
}

#[test]
fn a_driver_that_does_not_exist_is_an_error_that_names_those_that_do() {
    let test = "a_driver_that_does_not_exist_is_an_error_that_names_those_that_do";
    if !with_driver(test, Some("nonsense"), drop) {
        return;
    }
    for error in [Runtime::new().unwrap_err(), annulus::run(async {}).unwrap_err()] {
        assert!(matches!(error, Error::UnknownDriver(_)), "{error:?}");
        let text = error.to_string();
        let says = ["ANNULUS_DRIVER", "nonsense", "auto", "uring", "readiness"];
        assert!(says.iter().all(|part| text.contains(part)), "{text}");
        // What `main` prints when it returns the error, and `unwrap`.
        assert_eq!(format!("{error:?}"), text);
    }
    // It replaces Auto, never an explicit choice.
    assert_eq!(Builder::new().driver(Driver::Readiness).build().unwrap().driver(), "readiness");
}

#[test]
fn the_environment_replaces_auto_and_no_explicit_choice() {
    let test = "the_environment_replaces_auto_and_no_explicit_choice";
    if !with_driver(test, Some("readiness"), drop) {
        return;
    }
    assert_eq!(Runtime::new().unwrap().driver(), "readiness");
    match Builder::new().driver(Driver::Uring).build() {
        Ok(runtime) => assert_eq!(runtime.driver(), "uring"),
        Err(error) => assert!(matches!(error, Error::Refused(_)), "{error}"),
    }
}

#[test]
fn an_environment_that_says_auto_or_nothing_is_auto() {
    let test = "an_environment_that_says_auto_or_nothing_is_auto";
    let wanted = Builder::new().driver(Driver::Uring).build().map_or("readiness", |runtime| runtime.driver());
    for driver in [None, Some(""), Some("auto")] {
        if with_driver(test, driver, drop) {
            return assert_eq!(Runtime::new().unwrap().driver(), wanted);
        }
    }
}

/// The parts that concern policies, which Linux alone has.
#[cfg(target_os = "linux")]
mod under_a_policy {
    use std::task::Poll;

    use super::*;
    use annulus::fs::File;
    use annulus::spawn_blocking;
    use support::guarded::{self, Guarded};
    use support::seccomp::{ENTER, REGISTER, SETUP, refuse};

    fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// In a child without ANNULUS_DRIVER, for all of which is about Auto. False in the parent, once the child has passed.
    fn in_a_child(test: &str, then: impl FnOnce(String)) -> bool {
        with_driver(&format!("under_a_policy::{test}"), None, then)
    }

    async fn zeros() -> annulus::fs::File {
        annulus::fs::File::open("/dev/zero").await.unwrap()
    }

    fn refusal() -> String {
        let error = Builder::new().driver(Driver::Uring).build().unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error:?}");
        assert!(std::error::Error::source(&error).is_some());
        std::io::Error::from(error).to_string()
    }

    fn auto_serves_by_readiness() {
        for _ in 0..3 {
            let runtime = Runtime::new().unwrap();
            assert_eq!(runtime.driver(), "readiness");
            runtime.run(everything()).unwrap();
        }
    }

    #[track_caller]
    fn said_once(text: &str, why: &str) {
        let said: Vec<_> = text.lines().filter(|line| line.starts_with("annulus: no io_uring")).collect();
        assert_eq!(said.len(), 1, "{text}");
        assert!(said[0].contains(why), "{said:?}");
    }

    #[test]
    fn setting_up_that_is_not_permitted_is_told_with_the_remedy() {
        let test = "setting_up_that_is_not_permitted_is_told_with_the_remedy";
        if in_a_child(test, |text| said_once(&text, "seccomp")) {
            refuse(&[SETUP], libc::EPERM);
            let text = refusal();
            assert!(text.contains("io_uring_setup") && text.contains("seccomp"), "{text}");
            auto_serves_by_readiness();
        }
    }

    #[test]
    fn setting_up_that_is_not_known_is_told_with_the_remedy() {
        let test = "setting_up_that_is_not_known_is_told_with_the_remedy";
        if in_a_child(test, |text| said_once(&text, "this kernel has no io_uring")) {
            refuse(&[SETUP], libc::ENOSYS);
            let text = refusal();
            assert!(text.contains("io_uring_setup") && text.contains("Linux 5."), "{text}");
            auto_serves_by_readiness();
        }
    }

    #[test]
    fn entering_that_is_not_permitted_is_found_out_before_anything_depends_on_it() {
        let test = "entering_that_is_not_permitted_is_found_out_before_anything_depends_on_it";
        if in_a_child(test, |text| said_once(&text, "io_uring_enter")) {
            refuse(&[ENTER], libc::EPERM);
            let text = refusal();
            assert!(text.contains("io_uring_enter") && text.contains("seccomp"), "{text}");
            auto_serves_by_readiness();
        }
    }

    #[test]
    fn registering_that_is_not_permitted_is_found_out_before_anything_depends_on_it() {
        let test = "registering_that_is_not_permitted_is_found_out_before_anything_depends_on_it";
        if in_a_child(test, |text| said_once(&text, "io_uring_register")) {
            refuse(&[REGISTER], libc::EPERM);
            let text = refusal();
            assert!(text.contains("io_uring_register"), "{text}");
            auto_serves_by_readiness();
        }
    }

    /// Without descriptors to spare there is no ring either.
    #[test]
    fn a_process_without_descriptors_is_told_what_to_raise() {
        let test = "a_process_without_descriptors_is_told_what_to_raise";
        if !in_a_child(test, drop) {
            return;
        }
        // Asked while there are descriptors to ask with.
        let drivers = support::drivers(test);
        let mut used_up = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            used_up.push(file);
        }
        for driver in drivers {
            let text = Builder::new().driver(driver).build().unwrap_err().to_string();
            assert!(text.contains("ulimit -n"), "{text}");
        }
        assert!(Runtime::new().is_err());
        drop(used_up);
        Runtime::new().unwrap().run(everything()).unwrap();
    }

    /// As long as the end may take all the same.
    const SHORT: Duration = Duration::from_millis(300);

    fn entering_is_refused_from_now_on(test: &str, errno: i32) {
        if !support::is_permitted(Driver::Uring, test) || !in_a_child(test, drop) {
            return;
        }
        let runtime =
            Builder::new().driver(Driver::Uring).shutdown_limit(Duration::from_millis(300)).build().unwrap();
        let start = Instant::now();
        let ((waits, before), error) = {
            let handle = std::cell::RefCell::new(None);
            let error = runtime
                .run(async {
                    let (client, server) = pair().await;
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let (reader, writer) = support::pipe::pipe();
                    // Of its own, for what is sent may still come: before DEFER_TASKRUN answers need no enter.
                    let (silent, hears_nothing) = pair().await;
                    let waits = [
                        spawn(async move {
                            let _kept = silent;
                            hears_nothing.read(Vec::with_capacity(8)).await.0.map(drop)
                        }),
                        spawn(async move {
                            let _kept = server;
                            client.write_all(vec![1; 16 << 20]).await.0
                        }),
                        spawn(async move { listener.accept().await.map(drop) }),
                        spawn(async move {
                            let _kept = writer;
                            File::from_std(reader).read(Vec::with_capacity(8)).await.0.map(drop)
                        }),
                        spawn(async {
                            sleep(Duration::from_secs(1000)).await;
                            Ok(())
                        }),
                        spawn(async {
                            spawn_blocking(|| std::thread::sleep(SHORT)).await.unwrap();
                            Ok(())
                        }),
                    ];
                    yield_now().await;
                    handle.replace(Some((waits, Runtime::try_current().unwrap().metrics().enters)));
                    refuse(&[ENTER], errno);
                    loop {
                        let _ = timeout(Duration::from_millis(50), annulus::nop()).await;
                    }
                })
                .map(|never: ()| never)
                .unwrap_err();
            (handle.take().unwrap(), error)
        };
        assert!(start.elapsed() < Duration::from_secs(2), "neither spins nor hangs: {:?}", start.elapsed());
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("io_uring_enter") && text.contains("Driver::Readiness"), "{text}");
        assert_eq!(std::io::Error::from(error).raw_os_error().unwrap_or(errno), errno);
        assert!(waits.iter().all(|waits| waits.is_finished()), "its tasks are cancelled");
        let enters = runtime.metrics().enters - before;
        assert!(enters <= 3, "what is refused for good is not asked for again: {enters} enters");

        let again = runtime.run(async { annulus::nop().await }).unwrap_err();
        assert!(matches!(again, Error::Broken(_)), "a broken loop stays broken: {again:?}");
        let start = Instant::now();
        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());

        // What can be done is done: another loop, by the other driver.
        let other = Builder::new().driver(Driver::Readiness).build().unwrap();
        other
            .run(async {
                for (number, waits) in waits.into_iter().enumerate() {
                    let told = timeout(Duration::from_secs(5), waits).await.expect("each is told");
                    assert!(told.as_ref().is_err_and(|error| error.is_cancelled()), "{number}: {told:?}");
                }
                everything().await;
            })
            .unwrap();
    }

    #[test]
    fn what_a_ring_that_is_not_permitted_any_more_never_took_comes_back() {
        let test = "what_a_ring_that_is_not_permitted_any_more_never_took_comes_back";
        let errno = libc::EPERM;
        if !support::is_permitted(Driver::Uring, test) || !in_a_child(test, drop) {
            return;
        }
        let runtime = Builder::new().driver(Driver::Uring).shutdown_limit(Duration::from_millis(300));
        // So that a receive is a wait for readiness, and an attempt.
        let runtime = runtime.without_operation("recv").build().unwrap();
        let start = Instant::now();
        let before = support::audit::descriptors();
        let (waits, (queued, mut receive), dropped, error) = {
            let handle = std::cell::RefCell::new(None);
            let held = std::cell::RefCell::new(None);
            let dropped = std::rc::Rc::new(());
            let error = runtime
                .run(async {
                    let (client, server) = pair().await;
                    let waits = spawn(async move {
                        let _kept = &client;
                        server.read(Vec::with_capacity(8)).await.0.map(drop)
                    });
                    // The kernel has this one, and never gives it back.
                    annulus::time::sleep(Duration::from_millis(1)).await;
                    handle.replace(Some(waits));
                    // At the cursor: those at an offset would be read at once, past the ring.
                    let (file, another) = (zeros().await, zeros().await);
                    let closed = zeros().await;
                    let other = pair().await;
                    refuse(&[ENTER], errno);
                    // Those it never sees: held outside of the loop, by a task, by nobody; and a close.
                    let mut read = file.read(Guarded::new(4096));
                    assert!(poll_once(&mut read).is_pending());
                    let mut receive = other.1.read(Guarded::new(4096));
                    assert!(poll_once(&mut receive).is_pending());
                    held.replace(Some((read, receive)));
                    let kept = std::rc::Rc::clone(&dropped);
                    drop(spawn(async move {
                        let _kept = kept;
                        another.read(Guarded::new(4096)).await
                    }));
                    let mut orphan = closed.read(Guarded::new(4096));
                    assert!(poll_once(&mut orphan).is_pending());
                    drop(orphan);
                    drop(closed);
                    let _kept = other;
                    loop {
                        let _ = timeout(Duration::from_millis(50), annulus::nop()).await;
                    }
                })
                .map(|never: ()| never)
                .unwrap_err();
            (handle.take().unwrap(), held.take().unwrap(), dropped, error)
        };
        assert!(start.elapsed() < Duration::from_secs(2), "neither spins nor hangs: {:?}", start.elapsed());
        assert!(matches!(error, Error::Broken(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("io_uring_enter") && text.contains("Driver::Readiness"), "{text}");
        assert_eq!(std::io::Error::from(error).raw_os_error().unwrap_or(errno), errno);
        assert!(waits.is_finished(), "its tasks are cancelled");
        assert_eq!(std::rc::Rc::strong_count(&dropped), 1);

        assert_eq!(guarded::mapped(), 2, "what the kernel never took is free, but for the two that are held");
        let mut queued = queued;
        let Poll::Ready((result, buffer)) = poll_once(&mut queued) else { panic!("it is answered") };
        assert_eq!(result.unwrap_err().raw_os_error(), Some(errno));
        drop((queued, buffer));
        let Poll::Ready((result, buffer)) = poll_once(&mut receive) else { panic!("it is answered") };
        assert_eq!(result.unwrap_err().raw_os_error(), Some(errno));
        drop((receive, buffer));
        assert_eq!(guarded::mapped(), 0);
        assert_eq!(runtime.metrics().in_flight, 1, "only the read that the kernel has");

        drop(runtime);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        // The stream of that read is leaked with it; the ring and its bell were there before.
        let left = support::audit::descriptors().zip(before).map(|(now, before)| now.saturating_sub(before));
        assert!(left <= Some(1), "{:#?}", support::audit::descriptor_names());
    }

    #[test]
    fn a_ring_that_is_not_permitted_any_more_ends_the_run_with_a_reason() {
        let test = "a_ring_that_is_not_permitted_any_more_ends_the_run_with_a_reason";
        entering_is_refused_from_now_on(test, libc::EPERM);
    }

    #[test]
    fn a_ring_that_is_not_known_any_more_ends_the_run_with_a_reason() {
        let test = "a_ring_that_is_not_known_any_more_ends_the_run_with_a_reason";
        entering_is_refused_from_now_on(test, libc::ENOSYS);
    }
}
