//! What each key does.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::app::{App, Mode, SORTS, STATES, View, Wish};

/// What is told to who asks for help.
pub(crate) const HELP: [(&str, &str); 13] = [
    ("↑ ↓  k j", "the task above, below"),
    ("PgUp PgDn Home End", "many of them"),
    ("s, S", "sort by the next column, the one before"),
    ("r", "the other way round"),
    ("/", "only tasks with this in name, place, id or operation; Esc: all"),
    ("f", "only tasks in the next state"),
    ("l", "only the next loop"),
    ("x", "abort the marked task, after a question"),
    ("Tab", "tasks, operations by kind, operations in flight"),
    ("p, Space", "pause, go on"),
    ("+ -", "look more often, less often"),
    ("?", "this"),
    ("q, Ctrl-C", "quit"),
];

pub(crate) fn press(app: &mut App, key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Some(Wish::Quit);
    }
    app.said = None;
    match &app.mode {
        Mode::Looking => look(app, key.code),
        Mode::Filtering => filter(app, key.code),
        Mode::Confirming(task) => {
            let wish = Wish::Abort { number: task.number, task: task.id };
            app.mode = Mode::Looking;
            // Only this letter: whoever types on has not read the question.
            (key.code == KeyCode::Char('y')).then_some(wish)
        }
        Mode::Help => {
            app.mode = Mode::Looking;
            None
        }
    }
}

fn look(app: &mut App, code: KeyCode) -> Option<Wish> {
    let page = isize::try_from(app.query.limit).unwrap_or(1);
    match code {
        KeyCode::Char('q') => Some(Wish::Quit),
        KeyCode::Up | KeyCode::Char('k') => app.walk(-1),
        KeyCode::Down | KeyCode::Char('j') => app.walk(1),
        KeyCode::PageUp => app.walk(-page),
        KeyCode::PageDown => app.walk(page),
        KeyCode::Home => app.walk(isize::MIN),
        KeyCode::End => app.walk(isize::MAX),
        KeyCode::Char('s') => sort(app, 1),
        KeyCode::Char('S') => sort(app, SORTS.len() - 1),
        KeyCode::Char('r') => {
            app.query.descends = !app.query.descends;
            app.anew()
        }
        KeyCode::Char('/') => {
            app.mode = Mode::Filtering;
            app.view = View::Tasks;
            None
        }
        KeyCode::Char('f') => {
            app.query.state = (app.query.state + 1) % STATES.len();
            app.anew()
        }
        KeyCode::Char('l') => app.next_loop(),
        KeyCode::Char('x') if app.view == View::Tasks => {
            let task = app.task()?.clone();
            if task.stoppable {
                app.mode = Mode::Confirming(Box::new(task));
            } else {
                app.said = Some(Err(format!("task {} cannot be stopped: its loop ends with it", task.id)));
            }
            None
        }
        KeyCode::Tab => {
            app.view = match app.view {
                View::Tasks => View::Operations,
                View::Operations => View::InFlight,
                View::InFlight => View::Tasks,
            };
            None
        }
        KeyCode::Char('p' | ' ') => {
            app.is_paused = !app.is_paused;
            (!app.is_paused).then_some(Wish::Ask)
        }
        KeyCode::Char('+') => pace(app, |every| every / 2),
        KeyCode::Char('-') => pace(app, |every| every * 2),
        KeyCode::Char('?' | 'h') => {
            app.mode = Mode::Help;
            None
        }
        KeyCode::Esc if !app.query.filter.is_empty() => {
            app.query.filter.clear();
            app.anew()
        }
        _ => None,
    }
}

fn sort(app: &mut App, by: usize) -> Option<Wish> {
    app.query.sort = (app.query.sort + by) % SORTS.len();
    // Of numbers the greatest are of interest, words begin with A.
    app.query.descends = matches!(SORTS[app.query.sort].0, "busy" | "waiting" | "age" | "polls");
    app.anew()
}

fn pace(app: &mut App, change: impl Fn(Duration) -> Duration) -> Option<Wish> {
    app.every = change(app.every).clamp(Duration::from_millis(250), Duration::from_secs(60));
    None
}

fn filter(app: &mut App, code: KeyCode) -> Option<Wish> {
    match code {
        KeyCode::Enter => app.mode = Mode::Looking,
        KeyCode::Esc => {
            app.mode = Mode::Looking;
            app.query.filter.clear();
            return app.anew();
        }
        KeyCode::Backspace => {
            app.query.filter.pop();
            return app.anew();
        }
        KeyCode::Char(letter) => {
            app.query.filter.push(letter);
            return app.anew();
        }
        _ => {}
    }
    None
}
