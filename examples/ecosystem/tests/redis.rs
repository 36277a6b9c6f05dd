//! redis-rs on annulus, against a real redis-server; what it says is compared with what redis-cli says.

mod support;

use support::process::Process;
use support::program;
use support::redis::Redis;

const TOUR: &str = env!("CARGO_BIN_EXE_redis_client");
const WATCH: &str = env!("CARGO_BIN_EXE_redis_watch");

fn tcp(server: &Redis) -> String {
    format!("redis://127.0.0.1:{}/", server.port)
}

fn unix(server: &Redis) -> String {
    format!("unix://{}", server.socket().display())
}

/// What the program did on the server, and what it says of that, is what redis-cli finds there.
#[track_caller]
fn agrees_with_redis_cli(server: &Redis, address: &str, driver: &str) {
    server.cli(&["flushall"]);
    let said = program::run(TOUR, driver, &[address], &[]);
    let all = |head: &str| -> Vec<&str> { said.iter().filter_map(|line| line.strip_prefix(head)).collect() };

    assert_eq!(all("value: "), ["hello, Łódź"], "{said:#?}");
    assert_eq!(server.cli(&["--raw", "get", "annulus:greeting"]), "hello, Łódź");
    assert_eq!(all("nothing: "), ["None"]);
    assert_eq!(all("a megabyte comes back: "), ["true"]);
    assert_eq!(server.cli(&["strlen", "annulus:megabyte"]), "1048576");
    assert_eq!(all("refused: "), ["Some(\"WRONGTYPE\")"]);

    assert_eq!(all("pipeline: "), ["100 numbers, in order: true"]);
    assert_eq!(server.cli(&["llen", "annulus:list"]), "100");
    assert_eq!(all("transaction: "), ["41, 42"]);
    assert_eq!(server.cli(&["get", "annulus:count"]), "42");

    let sum: u64 = (0..1000).map(|number| number * number).sum();
    assert_eq!(all("at once: "), [format!("1000 answers, the sum is {sum}")]);
    assert_eq!(server.cli(&["get", "annulus:square:999"]), "998001");
    assert_eq!(all("heard by: "), ["1", "1"]);
    assert_eq!(all("message: "), ["annulus:news: rain", "annulus:news: then sun"]);
    assert_eq!(all("late: ").len(), 1, "{said:#?}");
}

on_real_drivers! {
    fn what_it_says_is_what_redis_cli_says(driver: &str) {
        let Some(server) = Redis::start() else { return };
        agrees_with_redis_cli(&server, &tcp(&server), driver);
        agrees_with_redis_cli(&server, &unix(&server), driver);
    }

    fn a_connection_that_the_server_ends_is_an_error_and_the_others_go_on(driver: &str) {
        let Some(server) = Redis::start() else { return };
        let mut watch = program::start(WATCH, driver, &[&tcp(&server), &unix(&server)], &[]);
        let [first, second] = ["1: ", "2: "].map(|head| connected(&mut watch, head));
        watch.says("1: ", &format!("round 1 of client {first}"));
        server.cli(&["client", "kill", "id", &first.to_string()]);

        is_clear(&watch.says("1: ", "; again"));
        let again = connected(&mut watch, "1: ");
        assert_ne!(again, first);
        watch.says("1: ", &format!("round 3 of client {again}"));
        // Still the same client, so it was not connected again.
        goes_on(&mut watch, "2: ", second);
    }

    fn a_server_that_is_killed_in_the_middle_of_a_command_is_an_error_and_one_that_is_back_is_found(driver: &str) {
        let Some(mut server) = Redis::start() else { return };
        let Some(other) = Redis::start() else { return };
        let mut watch = program::start(WATCH, driver, &[&tcp(&server), &unix(&server), &tcp(&other)], &[]);
        let [.., unharmed] = ["1: ", "2: ", "3: "].map(|head| connected(&mut watch, head));
        server.crash();
        for head in ["1: ", "2: "] {
            is_clear(&watch.says(head, "; again"));
            // It is not there, which is another error, and tried on.
            watch.says(head, "refused");
        }
        server.begin();
        for head in ["1: ", "2: "] {
            let client = connected(&mut watch, head);
            watch.says(head, &format!("round 1 of client {client}"));
        }
        goes_on(&mut watch, "3: ", unharmed);
    }
}

/// It says that the connection was lost, in words that one finds.
#[track_caller]
fn is_clear(error: &str) {
    let words = ["closed", "reset by peer", "broken pipe", "terminated", "end of file"];
    assert!(words.iter().any(|text| error.to_lowercase().contains(text)), "{error}");
}

/// The number that the server knows a client by, from what is said when it is connected.
#[track_caller]
fn connected(watch: &mut Process, head: &str) -> u64 {
    let what = "connected as client ";
    watch.line(head, what, |line| line.strip_prefix(what)?.parse().ok())
}

/// A connection does its rounds and has never been another one.
#[track_caller]
fn goes_on(watch: &mut Process, head: &str, client: u64) {
    for round in 1..=5 {
        let line = watch.line(head, "anything", |line| Some(line.to_owned()));
        assert_eq!(line, format!("round {round} of client {client}"));
    }
}
