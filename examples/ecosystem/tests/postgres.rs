//! tokio-postgres on annulus, against a real PostgreSQL; what it says is compared with what psql says.

mod support;

use std::fs;

use support::found;
use support::postgres::Postgres;
use support::process::Process;
use support::program;

const TOUR: &str = env!("CARGO_BIN_EXE_postgres");
const WATCH: &str = env!("CARGO_BIN_EXE_postgres_watch");

/// What the program did in the database, and what it says of that, is what psql finds there.
#[track_caller]
fn agrees_with_psql(server: &Postgres, config: &str, driver: &str) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let said = program::run(TOUR, driver, &[config, file.path().to_str().unwrap()], &server.trusted());
    let all = |head: &str| -> Vec<&str> { said.iter().filter_map(|line| line.strip_prefix(head)).collect() };

    let rows = "select name, people from (values ('Graz', 303000), ('Łódź', 658000)) as city (name, people)";
    assert_eq!(all("row: ").join("\n"), server.psql(rows), "{said:#?}");
    assert_eq!(all("refused: "), ["23505"], "a key that is there twice");
    let sum = server.psql("select sum(number * number) from generate_series(0, 999) as number");
    assert_eq!(all("pipelined: "), [format!("1000 queries, the sum is {sum}")]);
    assert_eq!(all("copied in: "), ["10000"]);

    assert_eq!(all("notified: "), ["news: rain", "news: then sun"]);
    assert_eq!(all("after a transaction that was dropped and one that was kept: "), ["303001"]);
    assert_eq!(server.psql("select people from cities where name = 'Graz'"), "303001");

    // The file was written before that, so it is compared with the table as it was.
    let copied = fs::read_to_string(file.path()).unwrap();
    assert_eq!(all("copied out: "), [format!("{} bytes", copied.len())]);
    server.psql("update cities set people = people - 1 where name = 'Graz'");
    assert_eq!(copied.trim_end(), server.psql("copy (select * from cities order by name) to stdout"));

    assert_eq!(all("cancelled: "), ["true"]);
    assert_eq!(all("afterwards: "), ["as good as before"]);
    assert_eq!(all("the end: "), ["the connection was closed"]);
    said
}

on_real_drivers! {
    fn what_it_says_is_what_psql_says(driver: &str) {
        let Some(server) = Postgres::start(&[]) else { return };
        for config in [server.tcp(), server.unix()] {
            let said = agrees_with_psql(&server, &config, driver);
            assert_eq!(said[0], "secured: not at all");
        }
    }

    fn it_is_the_same_by_tls_and_a_server_that_is_not_trusted_is_an_error(driver: &str) {
        if found::program("openssl").is_none() {
            return;
        }
        let Some(server) = Postgres::start(&["ssl=on"]) else { return };
        let config = format!("{} sslmode=require", server.tcp());
        let said = agrees_with_psql(&server, &config, driver);
        assert_eq!(said[0], "secured: TLSv1.3");

        // The certificate is for 127.0.0.1 alone.
        for (config, trusted, why) in [
            (config.replace("127.0.0.1", "localhost"), server.trusted(), "localhost"),
            (config, vec![("PGSSLROOTCERT", server.another_certificate())], "invalid peer certificate"),
        ] {
            let (status, said) = program::start(TOUR, driver, &[&config, "never"], &trusted).ended();
            assert!(!status.success() && said.join("\n").contains(why), "{said:#?}");
        }
    }

    fn a_connection_that_the_server_ends_is_told_why_and_the_others_go_on(driver: &str) {
        let Some(server) = Postgres::start(&[]) else { return };
        let mut watch = program::start(WATCH, driver, &[&server.tcp(), &server.unix()], &[]);
        let [first, second] = ["1: ", "2: "].map(|head| connected(&mut watch, head));
        watch.says("1: ", &format!("round 1 of process {first}"));
        server.psql(&format!("select pg_terminate_backend({first})"));

        let error = watch.says("1: ", "; again");
        assert!(error.contains("terminating connection due to administrator command"), "{error}");
        let again = connected(&mut watch, "1: ");
        assert_ne!(again, first);
        watch.says("1: ", &format!("round 3 of process {again}"));
        // Still the same process, so it was not connected again.
        goes_on(&mut watch, "2: ", second);
    }

    fn a_server_that_is_killed_in_the_middle_of_a_query_is_an_error_and_one_that_is_back_is_found(driver: &str) {
        let Some(mut server) = Postgres::start(&[]) else { return };
        let Some(other) = Postgres::start(&[]) else { return };
        let mut watch = program::start(WATCH, driver, &[&server.tcp(), &server.unix(), &other.tcp()], &[]);
        let [.., unharmed] = ["1: ", "2: ", "3: "].map(|head| connected(&mut watch, head));
        server.crash();
        for head in ["1: ", "2: "] {
            let error = watch.says(head, "; again");
            let is_clear = ["connection closed", "connection was closed", "reset by peer"];
            assert!(is_clear.iter().any(|text| error.contains(text)), "{error}");
            // It is not there, which is another error, and tried on.
            watch.says(head, "refused");
        }
        server.begin();
        for head in ["1: ", "2: "] {
            let process = connected(&mut watch, head);
            watch.says(head, &format!("round 1 of process {process}"));
        }
        goes_on(&mut watch, "3: ", unharmed);
    }
}

/// The process that serves a connection, from what is said when it is there.
#[track_caller]
fn connected(watch: &mut Process, head: &str) -> u32 {
    let what = "connected to process ";
    watch.line(head, what, |line| line.strip_prefix(what)?.parse().ok())
}

/// A connection does its rounds and has never been another one.
#[track_caller]
fn goes_on(watch: &mut Process, head: &str, process: u32) {
    for round in 1..=5 {
        let line = watch.line(head, "anything", |line| Some(line.to_owned()));
        assert_eq!(line, format!("round {round} of process {process}"));
    }
}
