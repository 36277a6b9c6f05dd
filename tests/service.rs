//! What a server owes its manager: sockets that it was given, a successor that takes them over, and words on how it is.
#![allow(unsafe_code)]

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use annulus::io::AsyncRead;
use annulus::service::{self, EndedEarly, Successor};
use annulus::{Builder, Driver, net};
use support::child::{alone, is_child, myself, name, text};
use support::watchdog::Watchdog;
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

/// What a process of these tests is there for.
const ROLE: &str = "ANNULUS_TEST_ROLE";

fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Whether a descriptor is open, and then whether it is close-on-exec.
fn is_close_on_exec(number: i32) -> Option<bool> {
    // SAFETY: no memory is passed.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    (flags >= 0).then_some(flags & libc::FD_CLOEXEC != 0)
}

/// A duplicate of at least that number, close-on-exec.
fn duplicate_from(descriptor: BorrowedFd<'_>, lowest: i32) -> OwnedFd {
    // SAFETY: no memory is passed.
    let number = unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) };
    assert!(number >= lowest, "{}", std::io::Error::last_os_error());
    // SAFETY: it was just made, and nobody else has it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

/// The command that runs this test again as a manager would: with these descriptors at 3, 4 and so on, and LISTEN_PID set to what
/// the shell makes of `process`.
fn activated(test: &str, process: &str, sockets: Vec<OwnedFd>) -> Command {
    let again = myself(test);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("export LISTEN_PID={process}; exec \"$@\""), "sh"]);
    command.arg(again.get_program()).args(again.get_args());
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LISTEN_FDS", sockets.len().to_string());

    let sockets: Vec<_> = sockets.iter().map(|socket| duplicate_from(socket.as_fd(), 40)).collect();
    let settle = move || {
        for (number, socket) in (3..).zip(&sockets) {
            // SAFETY: no memory is passed, and it may be called between fork and exec.
            assert_eq!(unsafe { libc::dup2(socket.as_raw_fd(), number) }, number);
        }
        // SAFETY: as above. What the machinery around the tests leaves open is no part of them.
        #[cfg(target_os = "linux")]
        unsafe {
            let from = 3 + sockets.len() as u32;
            libc::syscall(libc::SYS_close_range, from, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
        };
        Ok(())
    };
    // SAFETY: it makes calls that are allowed between fork and exec.
    unsafe { command.pre_exec(settle) };
    command
}

/// Runs it, and gives what it printed.
#[track_caller]
fn succeeds(test: &str, mut command: Command) -> String {
    // std's pipe for what fork and exec have to say must not be where the descriptors go.
    let null = File::open("/dev/null").unwrap();
    let _occupied: Vec<_> = (0..10).map(|_| duplicate_from(null.as_fd(), 3)).collect();
    let output = command.output().unwrap();
    let printed = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{test}, in a process of its own: {}\n{printed}", output.status);
    assert!(printed.contains("running 1 test"), "there is no test {test:?}");
    printed
}

/// Ends a process that a test has started.
#[track_caller]
fn kill(process: u32) {
    // SAFETY: no memory is passed; the process is this test's.
    assert_eq!(unsafe { libc::kill(process as i32, libc::SIGKILL) }, 0, "{process}");
}

fn is_there(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

#[test]
fn a_manager_gives_its_sockets_with_their_names() {
    let test = "a_manager_gives_its_sockets_with_their_names";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let given = service::inherited().unwrap();
        let names: Vec<_> = given.iter().map(|given| given.name().to_owned()).collect();
        assert_eq!(names, ["web", "", "dns", "log"]);
        let numbers: Vec<_> = given.iter().map(|given| given.socket().as_raw_fd()).collect();
        assert_eq!(numbers, [3, 4, 5, 6]);
        assert!(
            numbers.iter().all(|number| is_close_on_exec(*number) == Some(true)),
            "no child inherits them"
        );
        assert!(service::inherited().unwrap().is_empty(), "they are given once");
        assert!(
            thread::spawn(service::inherited).join().unwrap().unwrap().is_empty(),
            "also to other threads"
        );

        let [web, admin, dns, log] = given.try_into().unwrap();
        let (mut stream, _) = web.into_tcp_listener().unwrap().accept().unwrap();
        stream.write_all(b"hello").unwrap();
        let (mut stream, _) = admin.into_unix_listener().unwrap().accept().unwrap();
        stream.write_all(b"there").unwrap();
        let mut word = [0; 16];
        assert_eq!(dns.into_udp_socket().unwrap().recv(&mut word).unwrap(), 3);
        assert_eq!(log.into_unix_datagram().unwrap().recv(&mut word).unwrap(), 4);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (admin, log) = (directory.path().join("admin"), directory.path().join("log"));
    let web = TcpListener::bind("[::1]:0").or_else(|_| TcpListener::bind("127.0.0.1:0")).unwrap();
    let dns = UdpSocket::bind("127.0.0.1:0").unwrap();
    // They come before anybody accepts.
    let mut client = TcpStream::connect(web.local_addr().unwrap()).unwrap();
    let name = dns.local_addr().unwrap();
    let (admin_listener, log_socket) =
        (UnixListener::bind(&admin).unwrap(), UnixDatagram::bind(&log).unwrap());
    let mut local = UnixStream::connect(&admin).unwrap();
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"dns", name).unwrap();
    UnixDatagram::unbound().unwrap().send_to(b"line", &log).unwrap();

    let sockets: Vec<OwnedFd> = vec![web.into(), admin_listener.into(), dns.into(), log_socket.into()];
    let mut command = activated(test, "$$", sockets);
    command.env("LISTEN_FDNAMES", "web::dns:log");
    succeeds(test, command);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    local.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hellothere");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let test = "sockets_for_another_process_are_left_alone";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        assert!(service::inherited().unwrap().is_empty());
        assert_eq!(is_close_on_exec(3), Some(false), "it is nobody's to touch");
        return;
    }
    for process in ["$PPID", "''; unset LISTEN_PID"] {
        succeeds(test, activated(test, process, vec![TcpListener::bind("127.0.0.1:0").unwrap().into()]));
    }
}

#[test]
fn a_childs_child_is_not_given_what_its_parent_was() {
    let test = "a_childs_child_is_not_given_what_its_parent_was";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let given = service::inherited().unwrap();
        if role().is_some() {
            assert!(given.is_empty(), "{given:?}");
            assert_eq!(is_close_on_exec(4), None);
            return;
        }
        let names: Vec<_> = given.iter().map(|given| given.name()).collect();
        assert_eq!(names, ["unknown", "unknown"]);
        let mut command = myself(test);
        // With the variables that this process has.
        command.env(ROLE, "grandchild");
        succeeds(test, command);
        return;
    }
    let sockets = (0..2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap().into());
    succeeds(test, activated(test, "$$", sockets.collect()));
}

#[test]
fn a_descriptor_that_is_promised_and_not_there_is_an_error() {
    let test = "a_descriptor_that_is_promised_and_not_there_is_an_error";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        if role().is_none() {
            // What this process opens at the number is not what was promised.
            let _ours: Vec<_> = (0..3).map(|_| File::open("/dev/null").unwrap()).collect();
            for _ in 0..2 {
                let error = service::inherited().unwrap_err();
                assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
                assert!(error.to_string().contains("descriptor 4"), "{error}");
                assert!(error.to_string().contains("opened by this process"), "{error}");
            }
        } else {
            let error = service::inherited().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains("is not open"), "{error}");
        }
        assert_eq!(is_close_on_exec(3), Some(false), "nothing was taken");
        return;
    }
    let one = || vec![TcpListener::bind("127.0.0.1:0").unwrap().into()];
    let mut command = activated(test, "$$", one());
    command.env("LISTEN_FDS", "2").env("LISTEN_FDNAMES", "one:other");
    succeeds(test, command);
    for count in ["900", "2000000000"] {
        let mut command = activated(test, "$$", one());
        command.env("LISTEN_FDS", count).env(ROLE, "many");
        succeeds(test, command);
    }
}

#[test]
fn a_variable_that_is_wrong_is_said() {
    let test = "a_variable_that_is_wrong_is_said";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let error = service::inherited().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains(&role().unwrap()), "{error}");
        assert_eq!(is_close_on_exec(3), Some(false), "nothing was taken");
        return;
    }
    let wrong = [
        ("LISTEN_FDS", "several"),
        ("LISTEN_FDS", "-1"),
        ("LISTEN_FDS", "4294967295"),
        ("LISTEN_FDNAMES", "one:two"),
        ("ANNULUS_INHERITED", "2:17:one"),
    ];
    for (variable, value) in wrong {
        let mut command = activated(test, "$$", vec![TcpListener::bind("127.0.0.1:0").unwrap().into()]);
        command.env(variable, value).env(ROLE, format!("{variable}={value:?}"));
        succeeds(test, command);
    }
    let mut command = activated(test, "nobody", vec![TcpListener::bind("127.0.0.1:0").unwrap().into()]);
    command.env(ROLE, "LISTEN_PID=\"nobody\"");
    succeeds(test, command);
}

#[test]
fn a_socket_of_another_kind_is_given_back_and_said_to_be_what_it_is() {
    let test = "a_socket_of_another_kind_is_given_back_and_said_to_be_what_it_is";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let [udp, stream, local, file] = service::inherited().unwrap().try_into().unwrap();
        let not = udp.into_tcp_listener().unwrap_err();
        assert_eq!(not.error.kind(), ErrorKind::InvalidInput);
        assert!(not.to_string().contains("an IP socket for datagrams"), "{not}");
        not.socket.into_udp_socket().unwrap();
        let not = stream.into_tcp_listener().unwrap_err();
        assert!(not.to_string().contains("does not listen"), "{not}");
        let not = local.into_tcp_listener().unwrap_err();
        assert!(not.to_string().contains("a Unix listener"), "{not}");
        let not = not.socket.into_unix_datagram().unwrap_err();
        let not = not.socket.into_udp_socket().unwrap_err();
        not.socket.into_unix_listener().unwrap();
        let not = file.into_unix_listener().unwrap_err();
        assert!(not.to_string().contains("no IP or Unix socket"), "{not}");
        let error: std::io::Error = not.into();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sockets = vec![
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        TcpStream::connect(listener.local_addr().unwrap()).unwrap().into(),
        UnixListener::bind(directory.path().join("local")).unwrap().into(),
        File::open("/dev/null").unwrap().into(),
    ];
    succeeds(test, activated(test, "$$", sockets));
}

/// What a server says, as the manager reads it.
fn says_all() {
    assert!(service::ready().unwrap());
    assert!(service::status("two connections").unwrap());
    assert!(service::reloading().unwrap());
    assert!(service::alive().unwrap());
    assert!(service::notify("EXTEND_TIMEOUT_USEC=5000000\nERRNO=2").unwrap());
    assert!(service::stopping().unwrap());
}

fn hears_all(manager: &UnixDatagram) {
    manager.set_read_timeout(Some(LONG)).unwrap();
    let mut buffer = [0; 8192];
    let mut next = || {
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    assert_eq!(next(), "READY=1");
    assert_eq!(next(), "STATUS=two connections");
    let reloading = next();
    let moment = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&reloading);
    // The system's, not one of our own: seconds since the machine was started.
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_else(|_| "1e12".to_owned());
    let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    let moment: f64 = moment.parse::<u64>().unwrap() as f64 / 1e6;
    assert!(moment > 0.0 && moment <= uptime + 5.0, "{moment} of {uptime}");
    assert_eq!(next(), "WATCHDOG=1");
    assert_eq!(next(), "EXTEND_TIMEOUT_USEC=5000000\nERRNO=2");
    assert_eq!(next(), "STOPPING=1");
}

#[test]
fn a_manager_is_told_by_a_path() {
    let test = "a_manager_is_told_by_a_path";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        return says_all();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let mut command = myself(test);
    command.env("NOTIFY_SOCKET", &path);
    succeeds(test, command);
    hears_all(&manager);
}

#[test]
#[cfg(target_os = "linux")]
fn a_manager_is_told_by_an_abstract_name() {
    use std::os::linux::net::SocketAddrExt;

    let test = "a_manager_is_told_by_an_abstract_name";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        return says_all();
    }
    let abstract_name = format!("annulus-test-{}", std::process::id());
    let name = std::os::unix::net::SocketAddr::from_abstract_name(&abstract_name).unwrap();
    let manager = UnixDatagram::bind_addr(&name).unwrap();
    let mut command = myself(test);
    command.env("NOTIFY_SOCKET", format!("@{abstract_name}"));
    succeeds(test, command);
    hears_all(&manager);
}

#[test]
fn nobody_who_asks_is_no_error() {
    let test = "nobody_who_asks_is_no_error";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        assert!(!service::ready().unwrap());
        assert!(!service::stopping().unwrap());
        assert!(!service::status("alone").unwrap());
        assert_eq!(service::watchdog().unwrap(), None);
        assert!(service::inherited().unwrap().is_empty());
        return;
    }
    for nothing in [None, Some("")] {
        let mut command = myself(test);
        for variable in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"] {
            command.env_remove(variable);
        }
        command.envs(nothing.map(|nothing| ("NOTIFY_SOCKET", nothing)));
        succeeds(test, command);
    }
}

#[test]
fn a_manager_that_cannot_be_told_is_an_error_and_does_not_hold_up() {
    let test = "a_manager_that_cannot_be_told_is_an_error_and_does_not_hold_up";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let error = match role().unwrap().as_str() {
            "refuses" => {
                // Its queue is as long as the system says; then it is full.
                let full = (0..100_000).find_map(|_| service::ready().err()).expect("a queue has an end");
                let before = Instant::now();
                assert!(service::ready().is_err());
                assert!(before.elapsed() < Duration::from_secs(20), "it does not wait for ever");
                full
            }
            "too long" => {
                let most = format!("STATUS={}", "x".repeat(4096 - 7));
                assert!(service::notify(&most).unwrap());
                service::notify(&(most + "x")).unwrap_err()
            }
            "two lines" => service::status("one\nSTOPPING=1").unwrap_err(),
            _ => service::ready().unwrap_err(),
        };
        print!("{:?} {error}", error.kind());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (path, gone, empty) =
        (directory.path().join("manager"), directory.path().join("gone"), directory.path().join("empty"));
    let _manager = UnixDatagram::bind(&path).unwrap();
    let _other = UnixDatagram::bind(&empty).unwrap();
    drop(UnixDatagram::bind(&gone).unwrap());
    let nowhere = directory.path().join("nowhere");
    let cases = [
        ("refuses", path.to_str().unwrap(), "TimedOut", "does not read"),
        ("too long", empty.to_str().unwrap(), "InvalidInput", "4097 bytes"),
        ("two lines", empty.to_str().unwrap(), "InvalidInput", "one line"),
        ("gone", gone.to_str().unwrap(), "ConnectionRefused", "gone"),
        ("nowhere", nowhere.to_str().unwrap(), "NotFound", "nowhere"),
        ("of another kind", "vsock:2:1234", "Unsupported", "vsock"),
    ];
    for (role, name, kind, says) in cases {
        let mut command = myself(test);
        command.env(ROLE, role).env("NOTIFY_SOCKET", name);
        let printed = succeeds(test, command);
        assert!(printed.contains(kind) && printed.contains(says), "{role}: {printed}");
    }
}

#[test]
fn a_watchdog_is_for_the_process_that_it_is_set_for() {
    let test = "a_watchdog_is_for_the_process_that_it_is_set_for";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        match service::watchdog() {
            Ok(span) => print!("{span:?}"),
            Err(error) => print!("{:?} {error}", error.kind()),
        }
        return;
    }
    let asked = |span: &str, process: Option<&str>| {
        // LISTEN_PID is only the first thing that this sets.
        let process = process.map_or("1".to_owned(), |process| format!("1 WATCHDOG_PID={process}"));
        let mut command = activated(test, &process, Vec::new());
        command.env("WATCHDOG_USEC", span).env_remove("WATCHDOG_PID");
        succeeds(test, command)
    };
    assert!(asked("3000000", None).contains("Some(3s)"));
    assert!(asked("1500000", Some("$$")).contains("Some(1.5s)"));
    assert!(asked("3000000", Some("$PPID")).contains("None"));
    for (span, process) in [("0", None), ("soon", None), ("3000000", Some("me"))] {
        let printed = asked(span, process);
        assert!(printed.contains("InvalidData") && printed.contains("WATCHDOG_"), "{printed}");
    }
}

#[test]
fn a_program_that_was_replaced_is_the_new_one() {
    let test = "a_program_that_was_replaced_is_the_new_one";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let path = std::env::current_exe().unwrap();
        let command = service::program().unwrap();
        assert_eq!(command.get_program(), path);
        assert!(command.get_args().eq(std::env::args_os().skip(1)), "{command:?}");
        fs::remove_file(&path).unwrap();
        let error = service::program().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        fs::copy("/bin/sh", &path).unwrap();
        let mut new = Command::new(service::program().unwrap().get_program());
        assert!(new.args(["-c", "exit 0"]).status().unwrap().success(), "a shell is in its place");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("program");
    let original = std::env::current_exe().unwrap();
    fs::hard_link(&original, &copy).or_else(|_| fs::copy(&original, &copy).map(drop)).unwrap();
    let again = myself(test);
    let mut command = Command::new(&copy);
    command.args(again.get_args());
    command.envs(again.get_envs().filter_map(|(name, value)| Some((name, value?))));
    succeeds(test, command);
}

#[test]
#[cfg(feature = "sim")]
fn a_simulated_world_has_no_manager() {
    let test = "a_simulated_world_has_no_manager";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let runtime = Builder::new().driver(Driver::Sim(1)).build().unwrap();
        return runtime
            .run(async {
                let error = Successor::start(Command::new("true"), &[]).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(!service::ready().unwrap());
                assert!(!service::stopping().unwrap());
                assert!(service::inherited().unwrap().is_empty());
                assert_eq!(is_close_on_exec(3), Some(false), "the machine's are left alone");
                assert_eq!(service::watchdog().unwrap(), None);
            })
            .unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_nonblocking(true).unwrap();
    let mut command = activated(test, "$$", vec![TcpListener::bind("127.0.0.1:0").unwrap().into()]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "3000000").env_remove("WATCHDOG_PID");
    succeeds(test, command);
    assert_eq!(manager.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock, "it heard nothing");
}

/// The real thing, where it is installed: systemd-socket-activate(1) starts this test when somebody connects.
#[test]
#[cfg(target_os = "linux")]
fn systemd_is_understood() {
    let test = "systemd_is_understood";
    let _watchdog = Watchdog::over(test);
    if is_child(test) {
        let [web, other] = service::inherited().unwrap().try_into().unwrap();
        assert_eq!((web.name(), other.name()), ("web", "other"));
        let (mut stream, _) = web.into_unix_listener().unwrap().accept().unwrap();
        stream.write_all(b"from systemd").unwrap();
        return;
    }
    let program = "systemd-socket-activate";
    if !Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skipped(test, "there is no systemd-socket-activate on this machine");
    }
    let directory = tempfile::tempdir().unwrap();
    let (web, other) = (directory.path().join("web"), directory.path().join("other"));
    let again = myself(test);
    let mut command = Command::new(program);
    command.arg("--listen").arg(&web).arg("--listen").arg(&other).arg("--fdname=web:other");
    for (name, value) in again.get_envs() {
        command.arg("--setenv").arg(format!("{}={}", name.display(), value.unwrap().display()));
    }
    command.arg(again.get_program()).args(again.get_args());
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let mut client = loop {
        match UnixStream::connect(&web) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < end, "systemd-socket-activate does not listen: {error}"),
        }
        thread::sleep(Duration::from_millis(2));
    };
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(heard, "from systemd");
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

/// Three processes: this one, which is the manager, a server, and the server's successor, by `service::program`.
fn a_successor_outlives_its_predecessor_and_is_the_service_then(builder: Builder) {
    match role().as_deref() {
        Some("server") if std::env::var_os("GENERATION").is_some() => {
            assert_eq!(service::watchdog().unwrap(), Some(Duration::from_secs(3)), "it is watched as well");
            assert!(std::env::var_os("LISTEN_FDS").is_none(), "they were the predecessor's");
            let [web] = service::inherited().unwrap().try_into().unwrap();
            let listener = web.into_tcp_listener().unwrap();
            assert!(service::ready().unwrap());
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(std::process::id().to_string().as_bytes()).unwrap();
            return;
        }
        Some("server") => {
            let runtime = builder.build().unwrap();
            return runtime
                .run(async {
                    let [web] = service::inherited().unwrap().try_into().unwrap();
                    let mut command = service::program().unwrap();
                    // Who started the server reads what it writes to the end, which is not the successor's.
                    command.env("GENERATION", "2").stdout(Stdio::null()).stderr(Stdio::null());
                    let mut successor = Successor::start(command, &[("web", web.socket())]).unwrap();
                    successor.ready(LONG).await.unwrap();
                })
                .unwrap();
        }
        _ => {}
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
    // The server has ended.
    let mut said = Vec::new();
    for _ in 0..2 {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).unwrap();
        said.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
    }
    let mut client = TcpStream::connect(address).unwrap();
    let mut number = String::new();
    client.read_to_string(&mut number).unwrap();
    assert_eq!(said, [format!("READY=1\nMAINPID={number}"), format!("MAINPID={number}")]);
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
        for _ in 0..5 {
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

    // It was ready, and is gone when somebody looks.
    let mut successor = Successor::start(shell("printf ! >&3; exit 6"), &[]).unwrap();
    let stat = format!("/proc/{}/stat", successor.pid());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        annulus::time::sleep(Duration::from_millis(2)).await;
    }
    let error = successor.ready(LONG).await.unwrap_err();
    assert!(error.to_string().contains("exit status: 6"), "{error}");
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
