//! Child processes, signals, and the standard streams.
#![allow(unsafe_code)]

mod support;

use std::io::ErrorKind;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use annulus::io::AsyncRead;
use annulus::process::Command;
use annulus::signal::{SignalKind, signal};
use annulus::time::{sleep, timeout};
use annulus::{Builder, Driver, Runtime, spawn};
use support::child::alone;
use support::limits::is_root;
use support::on_real_drivers;

on_real_drivers! {
    because "processes and signals are the machine's":
        a_child_says_how_it_ended,
        output_is_gathered_from_both_pipes,
        a_child_is_talked_to_by_its_pipes,
        a_childs_output_is_anothers_input,
        waiting_closes_what_the_child_reads,
        a_program_that_is_not_there_is_an_error,
        a_child_runs_where_and_as_it_is_told,
        a_child_has_the_name_the_user_and_the_groups_that_it_is_given,
        a_child_that_is_killed_says_by_what,
        a_child_that_dies_is_told_to_who_writes_to_it_and_who_reads,
        a_child_is_sent_signals_until_it_has_ended,
        a_child_that_is_dropped_runs_on_and_is_reaped,
        a_child_that_is_to_be_killed_when_dropped_is,
        many_children_are_waited_for_at_once,
        waiting_can_be_given_up_and_begun_again,
        waiting_for_a_child_holds_up_nobody,
        each_listener_gets_the_signal,
        a_signal_that_came_before_it_was_asked_for_is_told,
        a_dropped_recv_loses_no_signal,
        a_storm_of_signals_is_survived,
        listeners_that_are_gone_leave_no_descriptors,
        what_cannot_be_listened_for_is_refused,
        every_kind_that_has_a_name_is_heard,
        ctrl_c_is_heard_by_who_waits_for_it,
        signals_of_several_loops_reach_each_of_them,
        standard_streams_are_read_and_written;
}

#[test]
fn a_simulated_world_has_neither_processes_nor_signals() {
    let runtime = Runtime::builder().driver(Driver::Sim(1)).build().unwrap();
    runtime
        .run(async {
            assert_eq!(Command::new("true").spawn().unwrap_err().kind(), ErrorKind::Unsupported);
            assert_eq!(signal(SignalKind::hangup()).unwrap_err().kind(), ErrorKind::Unsupported);
            assert_eq!(annulus::io::stdin().unwrap_err().kind(), ErrorKind::Unsupported);
        })
        .unwrap();
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Whether a process of that number is there, and no zombie.
fn runs(number: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{number}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn is_there(number: u32) -> bool {
    Path::new(&format!("/proc/{number}")).exists()
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(Duration::from_secs(20), waiting).await.expect("it never came to that");
}

async fn a_child_says_how_it_ended() {
    assert!(Command::new("true").status().await.unwrap().success());
    assert_eq!(shell("exit 7").status().await.unwrap().code(), Some(7));
    let mut child = shell("exit 3").spawn().unwrap();
    assert!(child.id().is_some());
    assert_eq!(child.wait().await.unwrap().code(), Some(3));
    assert_eq!(child.wait().await.unwrap().code(), Some(3), "asked again");
    assert_eq!(child.id(), None, "the number may be another's by now");
    assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(3));
}

/// More than a pipe holds, in both, in an order that stops who reads one after the other.
async fn output_is_gathered_from_both_pipes() {
    let script = "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; echo end; exit 4";
    let output = shell(script).output().await.unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert_eq!((output.stdout.len(), output.stderr.len()), (200_004, 300_000));
    assert!(output.stdout.ends_with(b"end\n"));
}

async fn a_child_is_talked_to_by_its_pipes() {
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (stdin, stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
    let mut answer = Vec::with_capacity(5);
    for word in ["hello", "there", "again"] {
        stdin.write_all(word).await.0.unwrap();
        let (result, got) = stdout.read_exact(answer).await;
        result.unwrap();
        assert_eq!(got, word.as_bytes());
        answer = got;
        answer.clear();
    }
    drop(stdin);
    assert_eq!(stdout.read(answer).await.0.unwrap(), 0);
    assert!(cat.wait().await.unwrap().success());
}

async fn a_childs_output_is_anothers_input() {
    let mut one = shell("echo first; echo second").stdout(Stdio::piped()).spawn().unwrap();
    one.wait().await.unwrap();
    let output = one.stdout.take().unwrap();
    // What is read for nobody comes along, and belongs before the rest.
    {
        let mut read = output.read(Vec::with_capacity(6));
        let polled = std::future::poll_fn(|cx| {
            use std::future::Future;
            std::task::Poll::Ready(std::pin::Pin::new(&mut read).poll(cx).is_ready())
        });
        assert!(!polled.await, "it is dropped before it is told of what it read");
        sleep(Duration::from_millis(20)).await;
    }
    let (output, rest) = output.into_std().await.unwrap();
    let other = Command::new("cat").stdin(output).output().await.unwrap();
    assert_eq!([rest, other.stdout].concat(), b"first\nsecond\n");

    let (reader, writer) = annulus::io::pipe().await.unwrap();
    writer.write_all("begun, ").await.0.unwrap();
    let mut child = shell("echo ended").stdout(writer.into_std().await.unwrap()).spawn().unwrap();
    child.wait().await.unwrap();
    // The command still has the end that it gave the child: what is there is read, and no end is waited for.
    assert_eq!(reader.read_exact(Vec::with_capacity(13)).await.1, b"begun, ended\n");
}

async fn waiting_closes_what_the_child_reads() {
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    timeout(Duration::from_secs(20), cat.wait()).await.expect("it waits for the end of its input").unwrap();
}

async fn a_program_that_is_not_there_is_an_error() {
    let error = Command::new("/no/such/program").spawn().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Command::new(folder.path()).spawn().unwrap_err().kind(), ErrorKind::PermissionDenied);
}

async fn a_child_runs_where_and_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let real = std::fs::canonicalize(folder.path()).unwrap();
    let output = shell("pwd -P; echo $ONE $TWO; echo $0")
        .current_dir(&real)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("ONE", "1")
        .envs([("TWO", "2"), ("THREE", "3")])
        .env_remove("THREE")
        .arg("called")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, format!("{}\n1 2\ncalled\n", real.display()));
}

async fn a_child_that_is_killed_says_by_what() {
    use std::os::unix::process::ExitStatusExt;
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    assert!(child.try_wait().unwrap().is_none());
    child.kill().await.unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(9));
    child.start_kill().unwrap();
}

async fn a_child_has_the_name_the_user_and_the_groups_that_it_is_given() {
    if !Path::new("/proc/self/stat").exists() {
        return support::skipped("what a child has", "there is no /proc that says it");
    }
    let mut command = shell(
        "tr '\\0' ' ' </proc/$$/cmdline; echo; id -u; id -g; cut -d' ' -f5 /proc/$$/stat; echo $$ $TOLD",
    );
    // Where nobody may be as well.
    command.arg0("called").process_group(0).current_dir("/");
    command.as_std_mut().env("TOLD", "by std");
    assert_eq!(command.as_std().get_program(), "sh");
    let [user, group] = match is_root() {
        true => [65_534, 65_533],
        // SAFETY: no memory is passed, and they cannot fail.
        false => unsafe { [libc::geteuid(), libc::getegid()] },
    };
    if is_root() {
        command.uid(user).gid(group);
    }
    let output = command.output().await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("called -c "), "{said}");
    assert_eq!(lines[1..3], [user.to_string(), group.to_string()], "{said}");
    assert_eq!(lines[4], format!("{} by std", lines[3]), "it leads a group of its own");
}

/// Of a child that dies with its pipes full and its work half done.
async fn a_child_that_dies_is_told_to_who_writes_to_it_and_who_reads() {
    use std::os::unix::process::ExitStatusExt;
    let mut child = shell("head -c 10; kill -KILL $$");
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (result, back) = stdin.write_all(vec![b'x'; 1 << 20]).await;
    assert_eq!(result.unwrap_err().kind(), ErrorKind::BrokenPipe);
    assert_eq!(back.len(), 1 << 20, "the buffer comes back");
    assert_eq!(stdin.write("more").await.0.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (result, said) = stdout.read_to_end(Vec::new()).await;
    result.unwrap();
    assert_eq!(said, b"xxxxxxxxxx", "what it had said before");
    assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));

    let output = shell("echo half; echo why >&2; kill -SEGV $$; echo whole").output().await.unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (b"half\n".as_slice(), b"why\n".as_slice())
    );
    assert_eq!((output.status.signal(), output.status.code()), (Some(libc::SIGSEGV), None));

    // Somebody else ends it while it is waited for.
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    let number = child.id().unwrap();
    let waiting = spawn(async move { child.wait().await });
    sleep(Duration::from_millis(20)).await;
    assert!(Command::new("kill").arg("-9").arg(number.to_string()).status().await.unwrap().success());
    let status = timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert!(!is_there(number), "reaped");
}

async fn a_child_is_sent_signals_until_it_has_ended() {
    use std::os::unix::process::ExitStatusExt;
    let mut asked = shell("trap 'echo asked; exit 5' TERM; echo ready; while :; do sleep 0.05; done");
    let mut child = asked.stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    assert_eq!(stdout.read_exact(Vec::with_capacity(6)).await.1, b"ready\n");
    child.send_signal(0).unwrap();
    child.send_signal(SignalKind::terminate()).unwrap();
    let (result, said) = stdout.read_to_end(Vec::new()).await;
    result.unwrap();
    assert_eq!(said, b"asked\n");
    assert_eq!(child.wait().await.unwrap().code(), Some(5));
    child.send_signal(SignalKind::terminate()).unwrap();
    child.send_signal(libc::SIGKILL).unwrap();
    let mut child = Command::new("sleep").arg("100").spawn().unwrap();
    assert_eq!(child.send_signal(9999).unwrap_err().kind(), ErrorKind::InvalidInput);
    // Not SIGINT, which what a shell has put into the background inherits as ignored.
    child.send_signal(libc::SIGUSR1).unwrap();
    assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGUSR1));
}

async fn a_child_that_is_dropped_runs_on_and_is_reaped() {
    let child = Command::new("sleep").arg("0.2").spawn().unwrap();
    let number = child.id().unwrap();
    drop(child);
    assert!(runs(number));
    until(|| !is_there(number)).await;
}

async fn a_child_that_is_to_be_killed_when_dropped_is() {
    let child = Command::new("sleep").arg("100").kill_on_drop(true).spawn().unwrap();
    let number = child.id().unwrap();
    drop(child);
    until(|| !is_there(number)).await;
    // Also where nobody looks at the child itself.
    let mut sleeping = shell("echo $$; exec sleep 100");
    let running = timeout(Duration::from_millis(200), async { sleeping.kill_on_drop(true).output().await });
    assert!(running.await.is_err());
}

async fn many_children_are_waited_for_at_once() {
    let begun = Instant::now();
    let children: Vec<_> = (0..30)
        .map(|number| {
            spawn(async move { (shell(&format!("sleep 0.3; exit {number}")).status().await, number) })
        })
        .collect();
    for child in children {
        let (status, number) = child.await.unwrap();
        assert_eq!(status.unwrap().code(), Some(number));
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "one after the other it would be nine seconds");
}

async fn waiting_can_be_given_up_and_begun_again() {
    let mut child = Command::new("sleep").arg("0.3").spawn().unwrap();
    for _ in 0..3 {
        assert!(timeout(Duration::from_millis(10), child.wait()).await.is_err());
    }
    assert!(child.wait().await.unwrap().success());
}

async fn waiting_for_a_child_holds_up_nobody() {
    let mut child = Command::new("sleep").arg("0.3").spawn().unwrap();
    let waiting = spawn(async move { child.wait().await });
    let mut ticks = 0;
    while !waiting.is_finished() {
        sleep(Duration::from_millis(10)).await;
        ticks += 1;
    }
    assert!(waiting.await.unwrap().unwrap().success());
    assert!(ticks >= 10, "{ticks}");
}

/// To this process, from outside.
async fn send(kind: SignalKind) {
    let me = std::process::id().to_string();
    let status = Command::new("kill").arg(format!("-{}", kind.as_raw())).arg(me).status().await;
    assert!(status.unwrap().success());
}

// Signals are of the whole process, in which other tests run: each of these has one of its own, a real-time signal,
// that no other uses; the two drivers share it, so a signal too many is no error.
#[cfg(target_os = "linux")]
fn own(number: i32) -> SignalKind {
    SignalKind::from_raw(libc::SIGRTMIN() + number)
}

/// Where there are none of those, others that nobody sends.
#[cfg(not(target_os = "linux"))]
fn own(number: i32) -> SignalKind {
    let seldom = [libc::SIGURG, libc::SIGIO, libc::SIGINFO, libc::SIGPROF, libc::SIGVTALRM, libc::SIGXFSZ];
    SignalKind::from_raw(seldom[number as usize - 1])
}

async fn heard(listener: &mut annulus::signal::Signal) {
    timeout(Duration::from_secs(20), listener.recv()).await.expect("it was sent").unwrap();
}

async fn each_listener_gets_the_signal() {
    let (mut one, mut other) = (signal(own(1)).unwrap(), signal(own(1)).unwrap());
    send(own(1)).await;
    heard(&mut one).await;
    heard(&mut other).await;
    drop(one);
    send(own(1)).await;
    heard(&mut other).await;
    drop(other);
    // Nobody listens any more; it does not end the process.
    send(own(1)).await;
}

async fn a_signal_that_came_before_it_was_asked_for_is_told() {
    let mut listener = signal(own(2)).unwrap();
    send(own(2)).await;
    sleep(Duration::from_millis(20)).await;
    heard(&mut listener).await;
}

async fn a_dropped_recv_loses_no_signal() {
    let mut listener = signal(own(3)).unwrap();
    for _ in 0..20 {
        let sending = spawn(send(own(3)));
        let _ = timeout(Duration::from_micros(500), listener.recv()).await;
        sending.await.unwrap();
        let _ = timeout(Duration::from_millis(1), listener.recv()).await;
    }
    send(own(3)).await;
    heard(&mut listener).await;
}

async fn a_storm_of_signals_is_survived() {
    let mut listener = signal(own(4)).unwrap();
    let storm = format!("for i in $(seq 20000); do kill -{} {}; done", own(4).as_raw(), std::process::id());
    let mut storm = shell(&storm).spawn().unwrap();
    let mut told = 0_u32;
    while storm.try_wait().unwrap().is_none() {
        if timeout(Duration::from_millis(20), listener.recv()).await.is_ok() {
            told += 1;
        }
    }
    assert!((1..=20_000).contains(&told), "{told}");
    println!("20,000 signals were told {told} times");
}

async fn listeners_that_are_gone_leave_no_descriptors() {
    let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = open();
    for _ in 0..2000 {
        drop(signal(own(6)).unwrap());
        annulus::yield_now().await;
    }
    // Other tests of this process have some, too.
    until(|| open() < before + 500).await;
}

async fn what_cannot_be_listened_for_is_refused() {
    for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV] {
        assert_eq!(signal(SignalKind::from_raw(number)).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(signal(SignalKind::from_raw(9999)).is_err());
}

/// In a process of its own, for these are not of this test alone.
fn every_kind_that_has_a_name_is_heard(builder: Builder) {
    let kinds = [
        (SignalKind::alarm(), libc::SIGALRM),
        (SignalKind::child(), libc::SIGCHLD),
        (SignalKind::hangup(), libc::SIGHUP),
        (SignalKind::interrupt(), libc::SIGINT),
        (SignalKind::pipe(), libc::SIGPIPE),
        (SignalKind::quit(), libc::SIGQUIT),
        (SignalKind::terminate(), libc::SIGTERM),
        (SignalKind::user_defined1(), libc::SIGUSR1),
        (SignalKind::user_defined2(), libc::SIGUSR2),
        (SignalKind::window_change(), libc::SIGWINCH),
    ];
    alone(|| {
        builder
            .build()
            .unwrap()
            .run(async {
                for (kind, number) in kinds {
                    assert_eq!((kind.as_raw(), kind), (number, SignalKind::from_raw(number)));
                    let mut listener = signal(kind).unwrap();
                    send(kind).await;
                    heard(&mut listener).await;
                }
            })
            .unwrap();
    });
}

fn ctrl_c_is_heard_by_who_waits_for_it(builder: Builder) {
    alone(|| {
        builder
            .build()
            .unwrap()
            .run(async {
                for _ in 0..3 {
                    let waiting = spawn(annulus::signal::ctrl_c());
                    annulus::yield_now().await;
                    assert!(!waiting.is_finished());
                    send(SignalKind::interrupt()).await;
                    timeout(Duration::from_secs(20), waiting).await.expect("it was sent").unwrap().unwrap();
                }
            })
            .unwrap();
    });
}

fn signals_of_several_loops_reach_each_of_them(builder: Builder) {
    let runtime = builder.build().unwrap();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let listen = move |runtime: Runtime| {
        let ready = ready.clone();
        runtime.run(async move {
            let mut listener = signal(own(5)).unwrap();
            ready.send(()).unwrap();
            heard(&mut listener).await;
        })
    };
    std::thread::scope(|scope| {
        let listen = &listen;
        let others: Vec<_> =
            (0..3).map(|_| scope.spawn(move || listen.clone()(Runtime::new().unwrap()))).collect();
        for _ in 0..3 {
            is_ready.recv().unwrap();
        }
        runtime.run(send(own(5))).unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
    });
}

/// This very program, as a child whose streams are pipes.
async fn standard_streams_are_read_and_written() {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "what_a_child_does", "--nocapture"])
        .env("ANNULUS_IS_A_CHILD", Runtime::try_current().unwrap().driver())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all("some words").await.0.unwrap();
    let output = timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains("[some words]"), "{out}");
    assert!(err.contains("[10 bytes]"), "{err}");
}

#[test]
fn what_a_child_does() {
    let Ok(driver) = std::env::var("ANNULUS_IS_A_CHILD") else { return };
    let runtime = Runtime::builder().driver(driver.parse::<Driver>().unwrap()).build().unwrap();
    runtime
        .run(async {
            let stdin = annulus::io::stdin().unwrap();
            assert!(!stdin.is_terminal());
            let mut all = Vec::new();
            loop {
                let (result, got) = stdin.read(Vec::with_capacity(4)).await;
                if result.unwrap() == 0 {
                    break;
                }
                all.extend(got);
            }
            let text = format!("[{}]\n", String::from_utf8(all.clone()).unwrap());
            annulus::io::stdout().unwrap().write_all(text).await.0.unwrap();
            let stderr = annulus::io::stderr().unwrap();
            let (result, text) = stderr.write(format!("[{} bytes]\n", all.len())).await;
            assert_eq!(result.unwrap(), text.len());
            assert!(!stderr.is_terminal() && !annulus::io::stdout().unwrap().is_terminal());
        })
        .unwrap();
}
