//! A program that takes over from a running one, with its sockets: no connection is lost, and nothing is left behind.
#![allow(unsafe_code)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::parent_id;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use annulus::io::AsyncRead;
use annulus::service::{self, EndedEarly, Successor};
use annulus::{Builder, net};
use support::child::{alone, is_child, myself, name, text};
use support::managed::{ROLE, activated, duplicate_from, is_close_on_exec, role, succeeds};
use support::{audit, on_real_drivers, skipped};

on_real_drivers! {
    because "processes are the machine's":
        a_successor_serves_what_waited_in_the_queue,
        a_successor_outlives_its_predecessor_and_is_the_service_then,
        sockets_may_have_each_others_numbers,
        a_successors_child_is_not_the_successor,
        one_that_ends_before_it_is_ready_says_how,
        one_that_is_not_ready_in_time_is_ended,
        one_that_is_ended_is_not_the_service,
        one_that_cannot_be_started_is_an_error,
        waiting_for_a_successor_can_be_given_up_and_begun_again,
        nothing_but_what_is_given_reaches_a_successor,
        successors_leave_nothing_behind;
}

/// Longer than anything takes on a slow machine, shorter than the watchdog's patience.
const LONG: Duration = Duration::from_secs(60);

/// Ends a process that a test has started.
#[track_caller]
fn kill(process: u32) {
    // SAFETY: no memory is passed; the process is this test's.
    assert_eq!(unsafe { libc::kill(process as i32, libc::SIGKILL) }, 0, "{process}");
}

fn is_there(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// The command that runs the test that this thread is in again, as a successor.
fn heir(role: &str) -> Command {
    let mut command = myself(&name());
    command.env(ROLE, role);
    command
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Answers `connection` with a word until its end.
async fn answer<F: net::Family>(stream: net::Stream<F>, word: &'static str) {
    let mut stream = stream;
    let (result, asked) = AsyncRead::read(&mut stream, Vec::with_capacity(16)).await;
    result.unwrap();
    assert_eq!(asked, b"who?");
    stream.write_all(word).await.0.unwrap();
}

#[track_caller]
fn hears(client: &mut impl Read, word: &str) {
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, word);
}

fn a_successor_serves_what_waited_in_the_queue(builder: Builder) {
    if is_child(&name()) {
        assert_eq!(role().unwrap(), "heir");
        let runtime = builder.build().unwrap();
        return runtime
            .run(async {
                let given = service::inherited().unwrap();
                let names: Vec<_> = given.iter().map(|given| given.name().to_owned()).collect();
                assert_eq!(names, ["web", "admin", "local"]);
                assert!(is_close_on_exec(3) == Some(true) && is_close_on_exec(6) == Some(true));
                assert!(service::inherited().unwrap().is_empty());
                let [web, admin, local] = given.try_into().unwrap();
                let web = net::TcpListener::from_std(web.into_tcp_listener().unwrap()).unwrap();
                let admin = net::TcpListener::from_std(admin.into_tcp_listener().unwrap()).unwrap();
                let local = net::UnixListener::from_std(local.into_unix_listener().unwrap()).unwrap();
                // Those that waited, before it is ready.
                answer(web.accept().await.unwrap().0, "web").await;
                answer(local.accept().await.unwrap().0, "local").await;
                assert!(service::ready().unwrap(), "somebody waits to hear it");
                answer(admin.accept().await.unwrap().0, "admin").await;
                answer(web.accept().await.unwrap().0, "web again").await;
            })
            .unwrap();
    }
    let runtime = builder.build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("local");
    let [web, admin] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let local = UnixListener::bind(&path).unwrap();
    let (web_name, admin_name) = (web.local_addr().unwrap(), admin.local_addr().unwrap());
    let mut waiting = TcpStream::connect(web_name).unwrap();
    waiting.write_all(b"who?").unwrap();
    let mut waiting_locally = UnixStream::connect(&path).unwrap();
    waiting_locally.write_all(b"who?").unwrap();
    runtime
        .run(async {
            let sockets = [("web", web.as_fd()), ("admin", admin.as_fd()), ("local", local.as_fd())];
            let mut successor = Successor::start(heir("heir"), &sockets).unwrap();
            assert_ne!(successor.pid(), std::process::id());
            successor.ready(LONG).await.unwrap();
            successor.ready(LONG).await.unwrap();
            assert!(
                [&web.as_fd(), &local.as_fd()]
                    .iter()
                    .all(|socket| { is_close_on_exec(socket.as_raw_fd()) == Some(true) })
            );
            // From here on there is only the other one.
            drop((web, admin, local));
            let asking = annulus::spawn_blocking(move || {
                hears(&mut waiting, "web");
                hears(&mut waiting_locally, "local");
                for (name, word) in [(admin_name, "admin"), (web_name, "web again")] {
                    let mut client = TcpStream::connect(name).unwrap();
                    client.write_all(b"who?").unwrap();
                    hears(&mut client, word);
                }
            });
            asking.await.unwrap();
        })
        .unwrap();
}

/// Four processes: this one, which is the manager, and three generations of a server, by `service::program`.
fn a_successor_outlives_its_predecessor_and_is_the_service_then(builder: Builder) {
    if role().is_some() {
        return a_generation(builder);
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(LONG)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut command = activated(&name(), "$$ WATCHDOG_PID=$$", vec![listener.into()]);
    command.env(ROLE, "server").env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "3000000");
    succeeds(&name(), command);
    // The server has ended. It was replaced, and that one as well.
    let mut said = Vec::new();
    for _ in 0..4 {
        let mut buffer = [0; 4096];
        let length = loop {
            // A child that ends, or a ring that goes away, may interrupt it.
            match manager.recv(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                length => break length.unwrap(),
            }
        };
        said.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    let mut client = TcpStream::connect(address).unwrap();
    let mut number = String::new();
    client.read_to_string(&mut number).unwrap();
    assert_eq!(said[2..], [format!("READY=1\nMAINPID={number}"), format!("MAINPID={number}")]);
    assert_eq!(said[0], format!("READY=1\n{}", said[1]));
    assert_ne!(said[0], said[2]);
}

/// A server that is replaced at once, if it is not the third one.
fn a_generation(builder: Builder) {
    let generation: u32 = std::env::var("GENERATION").map_or(1, |number| number.parse().unwrap());
    let parent = parent_id();
    let [web] = service::inherited().unwrap().try_into().unwrap();
    assert_eq!(
        service::watchdog().unwrap(),
        Some(Duration::from_secs(3)),
        "it is watched as the first one is"
    );
    if generation > 1 {
        assert!(std::env::var_os("LISTEN_FDS").is_none(), "they were the predecessor's");
        assert!(service::ready().unwrap());
        // So that it has told the manager what it has to.
        while parent_id() == parent {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
    if generation == 3 {
        let (mut stream, _) = web.into_tcp_listener().unwrap().accept().unwrap();
        return stream.write_all(std::process::id().to_string().as_bytes()).unwrap();
    }
    let mut command = service::program().unwrap();
    command.env("GENERATION", (generation + 1).to_string());
    // Who started the server reads what it writes to the end, which is not the successor's.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let mut successor = Successor::start(command, &[("web", web.socket())]).unwrap();
            successor.ready(LONG).await.unwrap();
        })
        .unwrap();
}

fn port(listener: &TcpListener) -> String {
    listener.local_addr().unwrap().port().to_string()
}

fn sockets_may_have_each_others_numbers(builder: Builder) {
    if role().is_some() {
        let given = service::inherited().unwrap().into_iter().map(|given| given.into_tcp_listener().unwrap());
        let listeners: Vec<_> = given.collect();
        let ports: Vec<_> = listeners.iter().map(port).collect();
        assert_eq!(ports.join(" "), std::env::var("PORTS").unwrap());
        assert!(service::ready().unwrap());
        // Until it is not needed any more.
        listeners[0].accept().unwrap();
        return;
    }
    alone(|| {
        let mut listeners: Vec<_> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        assert!(
            listeners.iter().any(|listener| (3..8).contains(&listener.as_raw_fd())),
            "as low as they can be"
        );
        listeners.reverse();
        let runtime = builder.build().unwrap();
        for round in 0..10 {
            if round == 5 {
                // High up, and the numbers that they will have in the other process are free in this one.
                listeners
                    .iter_mut()
                    .for_each(|listener| *listener = duplicate_from(listener.as_fd(), 60).into());
            }
            listeners.rotate_left(1);
            let ports: Vec<_> = listeners.iter().map(port).collect();
            let mut command = heir("heir");
            command.env("PORTS", ports.join(" "));
            let sockets: Vec<_> = listeners.iter().map(|listener| ("web", listener.as_fd())).collect();
            runtime
                .run(async { Successor::start(command, &sockets).unwrap().ready(LONG).await.unwrap() })
                .unwrap();
            drop(TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap());
        }
    });
}

/// It has inherited the variable, and even the descriptors.
fn a_successors_child_is_not_the_successor(builder: Builder) {
    if role().is_some() {
        assert!(service::inherited().unwrap().is_empty());
        assert!(!service::ready().unwrap(), "it is not for it to say");
        assert_eq!(
            (is_close_on_exec(3), is_close_on_exec(4)),
            (Some(false), Some(false)),
            "they are not its own"
        );
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let again = heir("not the heir");
    let mut command = shell("\"$@\" && printf ! >&4; exec sleep 1000");
    command.arg("sh").arg(again.get_program()).args(again.get_args()).stdout(Stdio::null());
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let runtime = builder.build().unwrap();
    runtime
        .run(async {
            let mut successor = Successor::start(command, &[("web", listener.as_fd())]).unwrap();
            successor.ready(LONG).await.unwrap();
            kill(successor.pid());
        })
        .unwrap();
}

async fn one_that_ends_before_it_is_ready_says_how() {
    let directory = tempfile::tempdir().unwrap();
    let note = directory.path().join("note");
    // Its own child goes on, and could say something on the way back.
    let scripts = [
        ("exit 7", Some(7)),
        ("kill -9 $$", None),
        ("sleep 50 & echo $! > \"$NOTE\"; exit 4", Some(4)),
        // It says something, but not that.
        ("printf x >&3; exit 5", Some(5)),
    ];
    for (script, code) in scripts {
        let mut command = shell(script);
        command.env("NOTE", &note).stdout(Stdio::null()).stderr(Stdio::null());
        let mut successor = Successor::start(command, &[]).unwrap();
        let before = Instant::now();
        let error = successor.ready(LONG).await.unwrap_err();
        assert!(before.elapsed() < Duration::from_secs(30), "it does not wait for the limit");
        assert!(error.to_string().contains("ended before it took over"), "{error}");
        let ended = error.get_ref().unwrap().downcast_ref::<EndedEarly>().unwrap();
        assert_eq!(ended.status().code(), code, "{script}");
        assert!(successor.ready(LONG).await.is_err(), "asked again");
    }
    kill(fs::read_to_string(&note).unwrap().trim().parse().unwrap());

    // It was ready, and is gone when somebody looks: before it is asked, or while it is waited for.
    let word = directory.path().join("word");
    for asked_before in [false, true] {
        let mut command = shell("while [ ! -e \"$WORD\" ]; do sleep 0.01; done; printf ! >&3; exit 6");
        command.env("WORD", &word);
        let mut successor = Successor::start(command, &[]).unwrap();
        let stat = format!("/proc/{}/stat", successor.pid());
        let ends = async {
            annulus::yield_now().await;
            File::create(&word).unwrap();
            // The loop stands still meanwhile, and finds its word and its end at once.
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
                std::thread::sleep(Duration::from_millis(2));
            }
        };
        let result = if asked_before {
            futures_util::join!(successor.ready(LONG), ends).0
        } else {
            ends.await;
            successor.ready(LONG).await
        };
        let error = result.unwrap_err();
        assert!(error.to_string().contains("exit status: 6"), "{error}");
        fs::remove_file(&word).unwrap();
    }
}

async fn one_that_is_not_ready_in_time_is_ended() {
    // It hangs; it has closed the way back.
    for script in ["exec sleep 1000", "exec 3>&-; exec sleep 1000"] {
        let mut successor = Successor::start(shell(script), &[]).unwrap();
        let before = Instant::now();
        let error = successor.ready(Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        assert!(before.elapsed() >= Duration::from_millis(200));
        assert!(!is_there(successor.pid()), "it is ended, and reaped");
    }
}

/// Even if it has told the manager so in its last moment: whoever ends it speaks last.
fn one_that_is_ended_is_not_the_service(builder: Builder) {
    if role().is_some() {
        let runtime = builder.build().unwrap();
        let error = runtime
            .run(async {
                let mut successor = Successor::start(shell("exec sleep 1000"), &[]).unwrap();
                successor.ready(Duration::from_millis(50)).await.unwrap_err()
            })
            .unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        return print!("pid={};", std::process::id());
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let mut command = heir("server");
    command.env("NOTIFY_SOCKET", &path);
    let printed = succeeds(&name(), command);
    let mut buffer = [0; 64];
    let length = manager.recv(&mut buffer).unwrap();
    let number = text(&buffer[..length]).strip_prefix("MAINPID=").unwrap().to_owned();
    assert!(printed.contains(&format!("pid={number};")), "{number}: {printed}");
}

fn one_that_cannot_be_started_is_an_error(builder: Builder) {
    alone(|| {
        // With room at the low numbers, where std's own pipe would be.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = builder.build().unwrap();
        let before = audit::descriptors();
        runtime
            .run(async {
                let sockets: Vec<_> = (0..20).map(|_| ("web", listener.as_fd())).collect();
                let error = Successor::start(Command::new("/nowhere/at/all"), &sockets).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                let long = "x".repeat(256);
                for name in ["a:b", "a\nb", "\u{e9}", &long] {
                    let error =
                        Successor::start(Command::new("true"), &[(name, listener.as_fd())]).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                }
            })
            .unwrap();
        audit::comes_back("descriptors", before, audit::descriptors);
    });
}

async fn waiting_for_a_successor_can_be_given_up_and_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let word = directory.path().join("word");
    let mut command = shell("while [ ! -e \"$WORD\" ]; do sleep 0.01; done; printf ! >&3; exec sleep 1000");
    command.env("WORD", &word);
    let mut successor = Successor::start(command, &[]).unwrap();
    for _ in 0..3 {
        let given_up = annulus::time::timeout(Duration::from_millis(20), successor.ready(LONG));
        assert!(given_up.await.is_err(), "nobody has said so yet");
        assert!(is_there(successor.pid()), "that is no reason to end it");
    }
    File::create(&word).unwrap();
    successor.ready(LONG).await.unwrap();
    kill(successor.pid());
}

async fn nothing_but_what_is_given_reaches_a_successor() {
    if !Path::new("/proc/self/fd").exists() {
        return skipped(&name(), "nobody lists the descriptors of a process here");
    }
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("list");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // As some library may open them: whoever is started inherits them.
    // SAFETY: no memory is passed; the duplicate is closed below.
    let careless = unsafe { libc::dup(listener.as_raw_fd()) };
    assert_eq!(is_close_on_exec(careless), Some(false));
    let mut command = Command::new("ls");
    command.arg("/proc/self/fd").stdout(File::create(&list).unwrap());
    let sockets = [("one", listener.as_fd()), ("other", listener.as_fd())];
    let mut successor = Successor::start(command, &sockets).unwrap();
    assert!(successor.ready(LONG).await.is_err(), "a list is not a server");
    // SAFETY: it is this test's own.
    unsafe { libc::close(careless) };
    let mut numbers: Vec<u32> =
        fs::read_to_string(&list).unwrap().split_whitespace().map(|number| number.parse().unwrap()).collect();
    numbers.sort_unstable();
    // Two sockets, the way back, and what ls lists.
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
}

fn successors_leave_nothing_behind(builder: Builder) {
    alone(|| {
        let runtime = builder.build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let processes = runtime
            .run(async {
                let mut processes = Vec::new();
                let mut before = None;
                for round in 0..21 {
                    // The first one may bring something that stays, a helper for example.
                    if round == 1 {
                        before = Some(audit::descriptors());
                    }
                    let command = shell("printf ! >&4; exec sleep 1000");
                    let mut successor = Successor::start(command, &[("web", listener.as_fd())]).unwrap();
                    successor.ready(LONG).await.unwrap();
                    let process = successor.pid();
                    drop(successor);
                    kill(process);
                    processes.push(process);
                }
                // The loop reaps those that were dropped, as they end.
                let end = Instant::now() + Duration::from_secs(20);
                let is_clean = || {
                    !processes.iter().any(|process| is_there(*process))
                        && audit::descriptors() <= before.unwrap()
                };
                while !is_clean() && Instant::now() < end {
                    annulus::time::sleep(Duration::from_millis(5)).await;
                }
                audit::comes_back("descriptors", before.unwrap(), audit::descriptors);
                processes
            })
            .unwrap();
        let left: Vec<_> = processes.into_iter().filter(|process| is_there(*process)).collect();
        assert!(left.is_empty(), "zombies: {left:?}");
    });
}
