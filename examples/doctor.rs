//! What this machine gives annulus, what would make it better, and whether a loop works here.
//!
//! ```sh
//! cargo run --example doctor
//! cargo run --example doctor -- --json | jq '.facts[] | select(.remedy)'
//! cargo run --example doctor -- --driver readiness
//! ```

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use annulus::net::UnixStream;
use annulus::time::{sleep, timeout};
use annulus::{Builder, Driver};
use clap::Parser;
use serde_json::{Map, Value};

/// What this machine gives annulus.
#[derive(Parser)]
struct Arguments {
    /// One object of JSON instead of text.
    #[arg(long)]
    json: bool,
    /// auto, uring, readiness, or sim:7 with any number.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let builder = Builder::new().driver(arguments.driver);
    let report = builder.report();
    let checks = match builder.build().map(|runtime| runtime.run(checks())) {
        Ok(Ok(checks)) => checks,
        Ok(Err(error)) | Err(error) => vec![("a loop", Err(error.into()))],
    };
    let words = |result: &io::Result<()>| match result {
        Ok(()) => "works".to_owned(),
        Err(error) => error.to_string(),
    };
    let all = checks.iter().map(|(name, result)| (*name, words(result)));
    let text = if arguments.json {
        let mut object: Map<String, Value> = serde_json::from_str(&report.to_json()).expect("JSON");
        let checks: Map<_, _> = all.map(|(name, words)| (name.to_owned(), Value::from(words))).collect();
        object.insert("checks".to_owned(), checks.into());
        format!("{}\n", Value::from(object))
    } else {
        let text = match io::stdout().is_terminal() {
            true => report.coloured().to_string(),
            false => report.to_string(),
        };
        all.fold(format!("{text}\nself-check\n"), |text, (name, words)| {
            format!("{text}      {name:<26}{words}\n")
        })
    };
    // A reader that has enough is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::from(u8::from(checks.iter().any(|(_, result)| result.is_err())))
}

async fn checks() -> Vec<(&'static str, io::Result<()>)> {
    let socket_pair = async {
        let (one, other) = UnixStream::pair()?;
        one.write_all("there").await.0?;
        let (result, bytes) = other.read_exact(Vec::with_capacity(5)).await;
        result.and_then(|_| as_it_should_be(bytes == b"there"))
    };
    let file = async {
        let path = std::env::current_exe()?;
        if annulus::Runtime::try_current().is_some_and(|runtime| runtime.driver() == "sim") {
            // A new world has no files.
            annulus::fs::create_dir_all(path.parent().unwrap_or(&path)).await?;
            annulus::fs::write(&path, "a program").await.0?;
        }
        as_it_should_be(!annulus::fs::read(path).await?.is_empty())
    };
    vec![
        ("a nop", within(annulus::nop()).await),
        (
            "a timer",
            within(async {
                sleep(Duration::from_millis(1)).await;
                Ok(())
            })
            .await,
        ),
        ("a socket pair", within(socket_pair).await),
        ("a file", within(file).await),
    ]
}

fn as_it_should_be(is_so: bool) -> io::Result<()> {
    if is_so { Ok(()) } else { Err(io::Error::new(ErrorKind::InvalidData, "other bytes than were expected")) }
}

/// The answer, or an error that says that there was none.
async fn within<F: Future<Output = io::Result<()>>>(check: F) -> io::Result<()> {
    let none = |_| io::Error::new(ErrorKind::TimedOut, "no answer within 5 s");
    timeout(Duration::from_secs(5), check).await.map_err(none)?
}
