//! What a server owes its manager: sockets that it was given, and words on how it is. What takes over from it is in
//! `successor.rs`.

mod support;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use annulus::service;
#[cfg(target_os = "linux")]
use support::child::text;
use support::child::{is_child, myself};
use support::managed::{ROLE, activated, is_close_on_exec, role, succeeds};
use support::watchdog::Watchdog;

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
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
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
        let builder = annulus::Builder::new().driver(annulus::Driver::Sim(1));
        let runtime = builder.build().unwrap();
        return runtime
            .run(async {
                let error = service::Successor::start(Command::new("true"), &[]).unwrap_err();
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
    use std::process::Stdio;

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
        return support::skipped(test, "there is no systemd-socket-activate on this machine");
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
