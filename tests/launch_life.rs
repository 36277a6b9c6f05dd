//! The life of a server of several shards, as a process of its own under load: it ends in order, gives way to its successor, and
//! goes on where a part of it fails. No request fails for any of that.
#![cfg(unix)]

mod support;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use annulus::launch::{Balance, Connection, OnFailure, Shard};
use annulus::sync::Notify;
use annulus::task::JoinSet;
use annulus::{Builder, select, time};
use rustix::process::{Pid, Signal, kill_process};
use support::child::{is_child, myself, name};
use support::quiet::boom;

support::on_real_drivers! {
    because "signals and processes are the machine's":
    a_server_under_load_ends_in_order_and_no_request_fails,
    a_server_that_is_told_twice_ends_at_once,
    a_server_that_is_stopped_before_its_shards_have_begun_ends_in_order,
    a_server_that_is_told_twice_before_its_shards_have_begun_does_not_begin,
    a_successor_takes_over_under_load_and_no_request_fails,
    a_successor_that_fails_leaves_the_server_as_it_was,
    a_successor_that_is_not_ready_in_time_is_given_up,
    a_server_that_is_asked_twice_starts_one_successor,
    a_successor_knows_two_addresses_apart,
    a_server_that_is_stopped_while_it_is_replaced_takes_its_successor_with_it,
    settings_are_read_again_by_a_signal,
    a_successor_that_reads_settings_before_it_is_ready_is_not_ready_by_that,
    a_shard_that_is_let_go_while_a_successor_starts_takes_nothing_from_it,
    a_service_manager_that_keeps_the_socket_starts_the_server_again,
    a_service_manager_hears_that_all_shards_are_alive,
    a_shard_that_panics_under_load_is_started_again_and_the_other_goes_on,
    a_shard_that_panics_under_load_is_let_go_and_the_other_goes_on,
    a_service_manager_gives_the_socket_and_is_told_how_it_goes;
}

/// Longer than anything takes on a slow machine, shorter than the watchdog's patience.
const LONG: Duration = Duration::from_secs(60);

/// What the server is to do besides serving, by its environment.
const MODE: &str = "ANNULUS_TEST_MODE";

// The server: in a process of its own.

/// In the child: the server, and true. In the parent: false.
fn is_server(builder: &Builder) -> bool {
    if !is_child(&name()) {
        return false;
    }
    let mode = std::env::var(MODE).unwrap_or_default();
    let builder = Mutex::new(builder.clone());
    let orders = match &*mode {
        "stopped once" => 1,
        "stopped twice" => 2,
        _ => 0,
    };
    // Where nobody listens, for the manager's settings are other ones than the program's.
    let address = if mode == "elsewhere" { "127.0.0.1:9" } else { "127.0.0.1:0" };
    let launch = annulus::launch()
        .shards(2)
        .listen(address)
        .runtime(move |shard, _| {
            // While the other one waits for it.
            for _ in 0..if shard == 1 { orders } else { 0 } {
                Server::signal(std::process::id(), Signal::TERM);
                thread::sleep(Duration::from_millis(300));
            }
            builder.lock().unwrap().clone()
        })
        .drain_limit(if mode == "patient" { Duration::from_secs(3600) } else { Duration::from_secs(20) })
        .balance(Balance::RoundRobin)
        .on_failure(match &*mode {
            "go on" | "go on, slowly" => OnFailure::GoOn,
            _ => OnFailure::restart(10, LONG),
        })
        .on_notice(|notice| say(&format!("notice: {notice}")));
    let launch = if mode == "two addresses" { launch.listen("127.0.0.1:0") } else { launch };
    let fails = mode == "successor fails";
    let hangs = mode.starts_with("successor hangs");
    let limit = if mode == "successor hangs for long" { Duration::from_millis(200) } else { LONG };
    let launch = launch.successor(
        move || match (fails, hangs) {
            (true, _) => Ok(Command::new("false")),
            (_, true) => {
                let mut command = Command::new("sleep");
                command.arg("1000");
                Ok(command)
            }
            _ => annulus::service::program(),
        },
        limit,
    );
    let (patient, slow) = (mode == "patient", ["slow", "go on, slowly"].contains(&&*mode));
    let launched = match launch.as_service().start(move |shard| serve(shard, patient, slow)) {
        Ok(launched) => launched,
        Err(refused) => {
            say(&format!("refused: {refused}"));
            return true;
        }
    };
    // One that is stopped before is never ready.
    assert!(launched.wait_until_ready() || orders > 0);
    if let [_, second] = launched.addresses()[..] {
        say(&format!("and: {second}"));
    }
    say(&format!("serving: {} {}", std::process::id(), launched.addresses()[0]));
    let outcomes = launched.outcomes();
    let failed: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    let failed: Vec<_> = failed.iter().map(ToString::to_string).collect();
    say(&format!("ended: {} {failed:?}", std::process::id()));
    true
}

fn say(line: &str) {
    // In one piece, for a successor speaks as well. Nobody need listen.
    let _ = io::stdout().lock().write_all(format!("\nserver: {line}\n").as_bytes());
}

async fn serve(shard: Shard, patient: bool, slow: bool) -> io::Result<()> {
    if slow {
        say(&format!("prepares: {}", std::process::id()));
        time::sleep(Duration::from_millis(1500)).await;
    }
    let mut incoming = shard.incoming()?;
    let mut reloads = shard.reloads();
    let mut connections = JoinSet::new();
    let panics = Rc::new(Notify::new());
    loop {
        select! {
            // In the shard's own future, not in a task of it.
            () = panics.notified() => boom("a client has asked for it"),
            connection = incoming.next() => match connection {
                Some(Ok(connection)) => {
                    let (shard, panics) = (shard.clone(), Rc::clone(&panics));
                    connections.spawn(async move {
                        // A client that goes is no error of the server's.
                        let _ = answer(shard, connection, panics).await;
                    });
                }
                Some(Err(error)) => return Err(error),
                None => break,
            },
            changed = reloads.changed() => {
                changed.expect("as long as the shard is there");
                say(&format!("reloaded: {} {}", shard.index(), *reloads.borrow()));
            }
        }
    }
    while connections.join_next().await.is_some() {}
    if patient {
        std::future::pending::<()>().await;
    }
    Ok(())
}

/// Each line is a request, and is answered by one. When the shard stops, one more is waited for, which is told so.
async fn answer(shard: Shard, connection: Connection, panics: Rc<Notify>) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64);
    loop {
        buffer.clear();
        let read = connection.read(buffer);
        let (count, line) = match shard.stopping().is_cancelled() {
            // What it receives when it is dropped is left for the next.
            false => match shard.stopping().run_until_cancelled(read).await {
                Some(read) => read,
                None => {
                    buffer = Vec::with_capacity(64);
                    continue;
                }
            },
            true => match time::timeout(Duration::from_secs(2), read).await {
                Ok(read) => read,
                Err(_) => return Ok(()),
            },
        };
        if count? == 0 {
            return Ok(());
        }
        if line == b"block\n" {
            say("blocks");
            thread::sleep(Duration::from_secs(3));
        }
        if line == b"panic\n" {
            panics.notify_one();
        }
        let ends = shard.stopping().is_cancelled();
        let then = if ends { "close" } else { "keep" };
        let answer = format!("pong {} {} {then}\n", std::process::id(), shard.index());
        connection.write_all(answer).await.0?;
        if ends {
            return Ok(());
        }
        buffer = line;
    }
}

// The parent's side.

fn set_mode(command: &mut Command, mode: &str) {
    command.env(MODE, mode);
}

/// A server and its successors. All are gone when this is.
struct Server {
    child: Child,
    lines: Receiver<String>,
    processes: HashSet<u32>,
    /// What it said and nobody has waited for: two processes speak in any order.
    heard: Vec<String>,
}

impl Server {
    fn start(set: impl FnOnce(&mut Command)) -> Server {
        let mut command = myself(&name());
        command.stdout(Stdio::piped()).env("RUST_BACKTRACE", "0");
        set(&mut command);
        Server::of(command)
    }

    fn of(mut command: Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let printed = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in printed.lines().map_while(Result::ok) {
                if let Some(line) = line.strip_prefix("server: ") {
                    if sender.send(line.to_owned()).is_err() {
                        break;
                    }
                }
            }
        });
        let processes = HashSet::from([child.id()]);
        Server { child, lines, processes, heard: Vec::new() }
    }

    /// Waits until it says something that begins so, and gives the rest.
    #[track_caller]
    fn says(&mut self, what: &str) -> String {
        loop {
            if let Some(place) = self.heard.iter().position(|line| line.starts_with(what)) {
                return self.heard.remove(place).split_off(what.len());
            }
            let line = self.lines.recv_timeout(LONG);
            let line = line.unwrap_or_else(|_| panic!("it does not say {what:?}, but: {:?}", self.heard));
            for said in ["serving: ", "notice: process "] {
                let process =
                    line.strip_prefix(said).and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
                self.processes.extend(process);
            }
            self.heard.push(line);
        }
    }

    /// Its number and its address.
    #[track_caller]
    fn serves(&mut self) -> (u32, SocketAddr) {
        let rest = self.says("serving: ");
        let (process, address) = rest.split_once(' ').unwrap();
        (process.parse().unwrap(), address.parse().unwrap())
    }

    fn signal(process: u32, signal: Signal) {
        kill_process(Pid::from_raw(process as i32).unwrap(), signal).unwrap();
    }

    #[track_caller]
    fn ends(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < LONG, "it does not end: {:?}", self.heard);
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for process in &self.processes {
            // Most are gone already.
            let _ = kill_process(Pid::from_raw(*process as i32).unwrap(), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn is_there(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // One that has ended and was not asked for is gone as well.
    !stat.is_empty() && !stat.contains(") Z ")
}

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    answers: HashMap<(u32, usize), usize>,
    refused: usize,
    /// Of which shard, if it was heard of, and what.
    failures: Vec<(Option<usize>, String)>,
}

/// Clients that ask without a pause, each on a connection that it keeps as long as the server does.
struct Load {
    clients: Vec<JoinHandle<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(clients: usize, address: SocketAddr) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..clients).map(|_| {
            let stop = Arc::clone(&stop);
            thread::Builder::new().stack_size(256 << 10).spawn(move || client(address, &stop)).unwrap()
        });
        Load { clients: clients.collect(), stop }
    }

    /// All that they have seen, when they have come to their end.
    fn end(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.join().unwrap();
            seen.answers.into_iter().for_each(|(who, count)| *all.answers.entry(who).or_default() += count);
            all.refused += seen.refused;
            all.failures.extend(seen.failures);
        }
        println!("{all:?}");
        all
    }
}

fn client(address: SocketAddr, stop: &AtomicBool) -> Seen {
    let mut seen = Seen::default();
    while !stop.load(Ordering::SeqCst) {
        let stream = match TcpStream::connect(address) {
            Ok(stream) => stream,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                seen.refused += 1;
                // Nobody listens any more.
                break;
            }
            Err(error) => {
                seen.failures.push((None, format!("connect: {error}")));
                break;
            }
        };
        let mut of = None;
        if let Err(error) = talk(stream, stop, &mut seen, &mut of) {
            seen.failures.push((of, error.to_string()));
        }
    }
    seen
}

fn talk(stream: TcpStream, stop: &AtomicBool, seen: &mut Seen, of: &mut Option<usize>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(LONG))?;
    let mut answers = BufReader::new(stream.try_clone()?);
    while !stop.load(Ordering::SeqCst) {
        let answer = ask(&stream, &mut answers)?;
        let [process, shard, then] = answer.split(' ').collect::<Vec<_>>()[..] else {
            return Err(io::Error::other(format!("{answer:?} is no answer")));
        };
        let shard = shard.parse().unwrap();
        *of = Some(shard);
        *seen.answers.entry((process.parse().unwrap(), shard)).or_default() += 1;
        if then == "close" {
            return Ok(());
        }
    }
    Ok(())
}

fn ask(mut stream: &TcpStream, answers: &mut impl BufRead) -> io::Result<String> {
    stream.write_all(b"ping\n")?;
    let mut answer = String::new();
    answers.read_line(&mut answer)?;
    let answer = answer.strip_prefix("pong ").and_then(|rest| rest.strip_suffix('\n'));
    answer.map(str::to_owned).ok_or_else(|| io::Error::other("a request was not answered"))
}

/// Waits until a process has answered.
#[track_caller]
fn is_answered(address: SocketAddr, process: u32) {
    let begun = Instant::now();
    loop {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let answer = ask(&stream, &mut BufReader::new(&stream)).unwrap();
        if answer.starts_with(&format!("{process} ")) {
            return;
        }
        assert!(begun.elapsed() < LONG, "{process} does not answer");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_server_under_load_ends_in_order_and_no_request_fails(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|_| ());
    let (process, address) = server.serves();
    let load = Load::start(32, address);
    thread::sleep(Duration::from_millis(300));
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
    assert_eq!(server.says("ended: "), format!("{process} []"));
    let seen = load.end();
    assert_eq!(seen.failures, []);
    assert_eq!(seen.refused, 32, "each has found that nobody listens any more");
    assert!(seen.answers.contains_key(&(process, 0)) && seen.answers.contains_key(&(process, 1)));
}

fn a_server_that_is_told_twice_ends_at_once(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "patient"));
    let (process, _) = server.serves();
    Server::signal(process, Signal::INT);
    server.says("notice: stopping");
    Server::signal(process, Signal::TERM);
    server.says("notice: what still runs is cut off");
    server.ends();
    let told = server.says("ended: ");
    assert!(told.contains("cut off") && told.contains("drain_limit"), "{told}");
}

fn a_server_that_is_stopped_before_its_shards_have_begun_ends_in_order(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "stopped once"));
    assert!(server.ends().success());
    assert!(server.says("ended: ").ends_with(" []"), "no shard has failed");
}

fn a_server_that_is_told_twice_before_its_shards_have_begun_does_not_begin(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "stopped twice"));
    let told = server.says("refused: ");
    assert!(told.contains("did not begin"), "{told}");
    assert!(server.ends().success());
}

fn a_successor_that_reads_settings_before_it_is_ready_is_not_ready_by_that(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "slow"));
    let (first, address) = server.serves();
    Server::signal(first, Signal::USR2);
    let next: u32 = server.says("notice: process ").split(' ').next().unwrap().parse().unwrap();
    server.says(&format!("prepares: {next}"));
    Server::signal(next, Signal::HUP);
    server.says("notice: settings are read again");
    thread::sleep(Duration::from_millis(200));
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let answer = ask(&stream, &mut BufReader::new(&stream)).unwrap();
    assert!(answer.starts_with(&format!("{first} ")), "the first one still serves: {answer}");
    assert_eq!(server.serves().0, next);
    assert_eq!(server.says("ended: "), format!("{first} []"));
    Server::signal(next, Signal::TERM);
    server.says("ended: ");
}

fn a_shard_that_is_let_go_while_a_successor_starts_takes_nothing_from_it(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "go on, slowly"));
    let (first, address) = server.serves();
    Server::signal(first, Signal::USR2);
    let next = server.says("notice: process ").split(' ').next().unwrap().to_owned();
    server.says(&format!("prepares: {next}"));
    asks_to_panic(address);
    server.says("notice: shard ");
    let (next, _) = server.serves();
    server.says("ended: ");
    for _ in 0..40 {
        is_answered(address, next);
    }
    Server::signal(next, Signal::TERM);
    server.says("ended: ");
}

fn a_successor_takes_over_under_load_and_no_request_fails(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|_| ());
    let (first, address) = server.serves();
    let load = Load::start(64, address);
    is_answered(address, first);
    let mut before = first;
    for _ in 0..2 {
        thread::sleep(Duration::from_millis(200));
        Server::signal(before, Signal::USR2);
        let (next, theirs) = server.serves();
        assert_ne!(next, before);
        assert_eq!(theirs, address);
        server.says(&format!("notice: process {next} has taken over"));
        assert_eq!(server.says("ended: "), format!("{before} []"));
        is_answered(address, next);
        before = next;
    }
    assert!(server.ends().success(), "the first one has ended well");
    let seen = load.end();
    assert_eq!(seen.failures, []);
    assert_eq!(seen.refused, 0);
    let processes: HashSet<_> = seen.answers.keys().map(|(process, _)| *process).collect();
    assert_eq!(processes.len(), 3, "all three have answered: {:?}", seen.answers);
    Server::signal(before, Signal::TERM);
    assert_eq!(server.says("ended: "), format!("{before} []"));
}

fn a_successor_that_fails_leaves_the_server_as_it_was(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "successor fails"));
    let (process, address) = server.serves();
    let load = Load::start(8, address);
    for _ in 0..2 {
        Server::signal(process, Signal::USR2);
        let told = server.says("notice: no other process has taken over, this one goes on: ");
        assert!(told.contains("exit status: 1"), "{told}");
    }
    is_answered(address, process);
    let seen = load.end();
    assert_eq!((seen.failures, seen.refused), (Vec::new(), 0));
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
}

fn a_successor_that_is_not_ready_in_time_is_given_up(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "successor hangs for long"));
    let (process, address) = server.serves();
    Server::signal(process, Signal::USR2);
    let told = server.says("notice: no other process has taken over, this one goes on: ");
    assert!(told.contains("was not ready within 200ms"), "{told}");
    is_answered(address, process);
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
}

fn a_server_that_is_asked_twice_starts_one_successor(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "successor hangs"));
    let (process, _) = server.serves();
    Server::signal(process, Signal::USR2);
    server.says("notice: process ");
    Server::signal(process, Signal::USR2);
    // Signals of one kind are heard in their order, and those of another may be sooner: what is heard after it is waited for.
    thread::sleep(Duration::from_millis(200));
    Server::signal(process, Signal::TERM);
    server.says("ended: ");
    assert!(!server.heard.iter().any(|line| line.ends_with("is to take over")), "{:?}", server.heard);
}

fn a_successor_knows_two_addresses_apart(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "two addresses"));
    let ((first, one), other) = (server.serves(), server.says("and: "));
    Server::signal(first, Signal::USR2);
    let ((next, same), as_well) = (server.serves(), server.says("and: "));
    assert_ne!(next, first);
    assert_eq!((same, as_well), (one, other));
    Server::signal(next, Signal::TERM);
    assert_eq!(server.says(&format!("ended: {next} ")), "[]");
}

fn a_server_that_is_stopped_while_it_is_replaced_takes_its_successor_with_it(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "successor hangs"));
    let (process, _) = server.serves();
    Server::signal(process, Signal::USR2);
    let told = server.says("notice: process ");
    let successor: u32 = told.strip_suffix(" is to take over").unwrap().parse().unwrap();
    assert!(is_there(successor));
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
    assert!(!is_there(successor));
}

fn settings_are_read_again_by_a_signal(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|_| ());
    let (process, address) = server.serves();
    Server::signal(process, Signal::HUP);
    let mut told = [server.says("reloaded: "), server.says("reloaded: ")];
    told.sort();
    assert_eq!(told, ["0 1", "1 1"]);
    is_answered(address, process);
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
}

/// Asks one shard to panic, and gives its number and the client that asked.
fn asks_to_panic(address: SocketAddr) -> usize {
    let mut stream = TcpStream::connect(address).unwrap();
    let answer = ask(&stream, &mut BufReader::new(&stream)).unwrap();
    let shard = answer.split(' ').nth(1).unwrap().parse().unwrap();
    stream.write_all(b"panic\n").unwrap();
    shard
}

/// Waits until so many shards have answered new connections.
#[track_caller]
fn answering(address: SocketAddr) -> HashSet<usize> {
    let answers = (0..40).filter_map(|_| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        // One that was on its way to a shard as it panicked is lost with it.
        let answer = ask(&stream, &mut BufReader::new(&stream)).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    });
    answers.collect()
}

fn a_shard_that_panics_under_load_is_started_again_and_the_other_goes_on(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|_| ());
    let (process, address) = server.serves();
    let load = Load::start(16, address);
    thread::sleep(Duration::from_millis(100));
    let fallen = asks_to_panic(address);
    let told = server.says("notice: shard ");
    assert_eq!(
        told,
        format!("{fallen} panicked: a client has asked for it, on purpose; it is started again")
    );
    let begun = Instant::now();
    while answering(address).len() < 2 {
        assert!(begun.elapsed() < LONG, "it is not started again");
    }
    let seen = load.end();
    let lost_by: Vec<_> = seen.failures.iter().filter_map(|(shard, _)| *shard).collect();
    assert!(lost_by.iter().all(|shard| *shard == fallen), "the other has lost nobody: {:?}", seen.failures);
    assert!(!lost_by.is_empty(), "who was with the shard that fell is told by an end");
    assert_eq!(seen.refused, 0);
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
    assert_eq!(server.says("ended: "), format!("{process} []"));
}

fn a_shard_that_panics_under_load_is_let_go_and_the_other_goes_on(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let mut server = Server::start(|command| set_mode(command, "go on"));
    let (process, address) = server.serves();
    let load = Load::start(16, address);
    thread::sleep(Duration::from_millis(100));
    let fallen = asks_to_panic(address);
    let told = server.says("notice: shard ");
    assert_eq!(told, format!("{fallen} panicked: a client has asked for it, on purpose"));
    assert_eq!(answering(address), HashSet::from([1 - fallen]));
    let seen = load.end();
    let mut lost_by = seen.failures.iter().filter_map(|(shard, _)| *shard);
    assert!(lost_by.all(|shard| shard == fallen), "the other has lost nobody: {:?}", seen.failures);
    assert_eq!(seen.refused, 0);
    Server::signal(process, Signal::TERM);
    server.ends();
    let told = server.says("ended: ");
    assert!(told.contains(&format!("shard {fallen} panicked")), "{told}");
}

fn a_service_manager_gives_the_socket_and_is_told_how_it_goes(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(LONG)).unwrap();
    let hears = || {
        let mut room = [0; 4096];
        let count = manager.recv(&mut room).unwrap();
        String::from_utf8_lossy(&room[..count]).into_owned()
    };
    // One socket, which both shards accept from, and nobody but the manager knows its address.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Who connects before there is a server waits for it.
    let early = TcpStream::connect(address).unwrap();
    let mut command = support::managed::activated(&name(), "$$", vec![listener.into()]);
    command.env("NOTIFY_SOCKET", &path);
    set_mode(&mut command, "elsewhere");
    let mut server = Server::of(command);
    let (process, theirs) = server.serves();
    assert_eq!(theirs, address);
    assert_eq!(hears(), "READY=1");
    assert!(ask(&early, &mut BufReader::new(&early)).unwrap().starts_with(&process.to_string()));
    assert_eq!(answering(address), HashSet::from([0, 1]));

    Server::signal(process, Signal::HUP);
    assert!(hears().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hears(), "READY=1");

    // The next one is the service from then on.
    Server::signal(process, Signal::USR2);
    let (next, theirs) = server.serves();
    assert_eq!(theirs, address);
    server.says("ended: ");
    let mut told = vec![hears()];
    while !told.last().unwrap().contains(&format!("MAINPID={next}")) {
        told.push(hears());
    }
    // What the one that has ended had to say is there, and to say that it stops is not for it: the service goes on.
    manager.set_nonblocking(true).unwrap();
    let mut room = [0; 4096];
    while let Ok(count) = manager.recv(&mut room) {
        told.push(String::from_utf8_lossy(&room[..count]).into_owned());
    }
    manager.set_nonblocking(false).unwrap();
    assert!(!told.iter().any(|told| told.contains("STOPPING")), "{told:?}");
    Server::signal(next, Signal::TERM);
    while !told.last().unwrap().contains("STOPPING") {
        told.push(hears());
    }
    assert!(told.iter().any(|told| told.contains(&format!("MAINPID={next}"))), "{told:?}");
    server.says("ended: ");
}

fn a_service_manager_that_keeps_the_socket_starts_the_server_again(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    // Of one shard's, and of two that share it.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..3 {
        let copy = listener.try_clone().unwrap();
        let mut server = Server::of(support::managed::activated(&name(), "$$", vec![copy.into()]));
        let (process, theirs) = server.serves();
        assert_eq!(theirs, address);
        is_answered(address, process);
        Server::signal(process, Signal::TERM);
        assert!(server.ends().success());
    }
    // Who connects meanwhile waits for the next.
    let early = TcpStream::connect_timeout(&address, LONG).unwrap();
    early.set_read_timeout(Some(LONG)).unwrap();
    let mut server = Server::of(support::managed::activated(&name(), "$$", vec![listener.into()]));
    let (process, _) = server.serves();
    assert!(ask(&early, &mut BufReader::new(&early)).unwrap().starts_with(&process.to_string()));
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
}

fn a_service_manager_hears_that_all_shards_are_alive(builder: Builder) {
    if is_server(&builder) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let hears = |limit| {
        manager.set_read_timeout(Some(limit)).unwrap();
        let mut room = [0; 4096];
        let count = manager.recv(&mut room).ok()?;
        Some(String::from_utf8_lossy(&room[..count]).into_owned())
    };
    let mut server = Server::start(|command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    let (process, address) = server.serves();
    let alive = (0..).map_while(|_| hears(LONG)).filter(|heard| heard == "WATCHDOG=1");
    assert_eq!(alive.take(3).count(), 3);
    // One that is held up does not say so.
    TcpStream::connect(address).unwrap().write_all(b"block\n").unwrap();
    server.says("blocks");
    while hears(Duration::from_millis(300)).is_some() {}
    assert_eq!(hears(Duration::from_secs(1)), None);
    Server::signal(process, Signal::TERM);
    assert!(server.ends().success());
}
