//! What a running program does, in a terminal: its loops, rates, tasks, operations. `top` for annulus.
//!
//! ```sh
//! cargo run --features inspect --example top -- 4711                  # a process that has an inspector at its usual socket
//! cargo run --features inspect --example top -- 127.0.0.1:7070
//! cargo run --features inspect --example top -- unix:/run/program.sock
//! cargo run --features inspect --example top -- 4711 --once           # plain text, for scripts
//! ```
//! Keys: arrows and PgUp, PgDn; s and r for the order, / for a filter, x to abort a task, p to pause, ? for the rest.

mod app;
mod client;
mod draw;
mod history;
mod keys;
mod once;
mod place;
mod snapshot;
#[cfg(test)]
mod tests;
mod words;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use annulus::sync::across::mpsc::{UnboundedSender, unbounded_channel};
use annulus::time::sleep;
use annulus::{Runtime, spawn};
use app::{App, Wish};
use clap::Parser;
use client::Client;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as Terminal};
use snapshot::Snapshot;

/// What a running program does, in a terminal.
#[derive(Parser)]
struct Arguments {
    /// The process's number, or where its inspector listens: 127.0.0.1:7070, unix:/run/program.sock.
    target: String,
    /// The token that the inspector wants, if it wants one. Others see it in the list of processes: ANNULUS_TOKEN says it, too.
    #[arg(long)]
    token: Option<String>,
    /// Seconds from one look to the next.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    every: f64,
    /// Print what there is as plain text, and end.
    #[arg(long)]
    once: bool,
    /// How many tasks and operations are printed by --once at most.
    #[arg(long, default_value_t = 20)]
    rows: usize,
}

fn seconds(text: &str) -> Result<f64, String> {
    let fits = |span: &f64| (0.2..=3600.0).contains(span);
    text.parse().ok().filter(fits).ok_or_else(|| "say seconds, from 0.2 to 3600".to_owned())
}

/// What happens.
enum Event {
    Terminal(Terminal),
    /// The terminal says no more.
    Gone(io::Error),
    Tick,
    Answer(Result<Snapshot, String>),
    Aborted(Result<String, String>),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match Runtime::new().map_err(|error| error.to_string()).and_then(|runtime| {
        runtime.run(run(&arguments)).map_err(|error| error.to_string()).and_then(|done| done)
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("top: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), String> {
    let token = arguments.token.clone().or_else(|| std::env::var("ANNULUS_TOKEN").ok());
    let client = Client::new(place::find(&arguments.target)?, token);
    if arguments.once {
        return once::print(&client, arguments.rows).await;
    }
    // Who cannot be reached is said before the screen is taken.
    let first = client.snapshot(&app::Query::default()).await?;
    let none = |why: String| {
        format!("there is no terminal to draw on{why}: --once prints what there is as plain text")
    };
    if !io::stdout().is_terminal() {
        return Err(none(String::new()));
    }
    let terminal = ratatui::try_init().map_err(|error| none(format!(" ({error})")))?;
    let result = watch(terminal, Rc::new(client), Duration::from_secs_f64(arguments.every), first).await;
    ratatui::restore();
    result
}

/// Draws, hears what happens, and does what comes of it, until that is to quit.
async fn watch(
    mut terminal: DefaultTerminal,
    client: Rc<Client>,
    every: Duration,
    first: Snapshot,
) -> Result<(), String> {
    let (sender, mut events) = unbounded_channel();
    hear_the_terminal(sender.clone());
    let mut app = App::new(client.place().to_string(), every);
    app.hear(Ok(first));
    let mut is_asking = false;
    drop(sender.send(Event::Tick));
    loop {
        terminal.draw(|frame| draw::draw(frame, &mut app)).map_err(|error| error.to_string())?;
        let event = events.recv().await.expect("a sender is here");
        let wish = match event {
            Event::Terminal(Terminal::Key(key)) => keys::press(&mut app, key),
            Event::Terminal(_) => None,
            Event::Gone(error) => return Err(format!("the terminal is gone: {error}")),
            Event::Tick => (!app.is_paused).then_some(Wish::Ask),
            Event::Answer(answer) => {
                is_asking = false;
                app.hear(answer);
                let (sender, pause) = (sender.clone(), app.pause());
                drop(spawn(async move {
                    sleep(pause).await;
                    drop(sender.send(Event::Tick));
                }));
                None
            }
            Event::Aborted(said) => {
                app.said = Some(said);
                Some(Wish::Ask)
            }
        };
        match wish {
            None => {}
            Some(Wish::Quit) => return Ok(()),
            // Of two questions at once the second is answered by the next tick.
            Some(Wish::Ask) if is_asking => {}
            Some(Wish::Ask) => {
                is_asking = true;
                let (client, query, sender) = (Rc::clone(&client), app.query.clone(), sender.clone());
                drop(spawn(async move { drop(sender.send(Event::Answer(client.snapshot(&query).await))) }));
            }
            Some(Wish::Abort { number, task }) => {
                let (client, sender) = (Rc::clone(&client), sender.clone());
                drop(spawn(
                    async move { drop(sender.send(Event::Aborted(client.abort(number, task).await))) },
                ));
            }
        }
    }
}

/// A thread that waits for keys, which ends with the process.
fn hear_the_terminal(sender: UnboundedSender<Event>) {
    std::thread::spawn(move || {
        loop {
            let event = event::read().map_or_else(Event::Gone, Event::Terminal);
            let is_last = matches!(event, Event::Gone(_));
            if sender.send(event).is_err() || is_last {
                return;
            }
        }
    });
}
