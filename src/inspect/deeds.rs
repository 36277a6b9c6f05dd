//! What takes longer than a picture: the doctor's report, the recorders' trace, and stopping a task.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use super::gate::Refusal;
use crate::engine::beacons;
use crate::executor::Id;
use crate::http::StatusCode;
use crate::recorder::write_all;
use crate::runtime::{Remote, recordings, spawn, spawn_blocking};
use crate::sync::Mutex;
use crate::time::timeout;

/// How long a loop has to stop a task.
const PATIENCE: Duration = Duration::from_secs(1);

/// The doctor's report: made once, for it makes a ring to look at.
#[derive(Clone, Default)]
pub(super) struct Doctor(Rc<Mutex<Option<Bytes>>>);

impl Doctor {
    pub(super) async fn report(&self) -> Result<Bytes, Refusal> {
        let kept = Rc::clone(&self.0);
        // A task of its own: who goes away meanwhile does not have it made twice.
        let task = spawn(async move {
            let mut kept = kept.lock().await;
            if kept.is_none() {
                let report = spawn_blocking(|| crate::report::report().to_json()).await;
                *kept = report.ok().map(Bytes::from);
            }
            kept.clone()
        });
        task.await.ok().flatten().ok_or_else(|| {
            let text = "the report could not be made: `cargo run --example doctor` may say why";
            (StatusCode::INTERNAL_SERVER_ERROR, text.to_owned())
        })
    }
}

/// What all loops' flight recorders have, as one trace.
pub(super) async fn trace() -> Result<Bytes, Refusal> {
    let made = spawn_blocking(|| {
        let recordings = recordings();
        let mut trace = Vec::new();
        let written = write_all(&recordings, &mut trace);
        (!recordings.is_empty()).then_some(written.map(|()| trace))
    });
    let failed =
        |why: &str| Err((StatusCode::INTERNAL_SERVER_ERROR, format!("the trace could not be made: {why}")));
    match made.await {
        Ok(Some(Ok(trace))) => Ok(Bytes::from(trace)),
        Ok(Some(Err(error))) => failed(&error.to_string()),
        Ok(None) => {
            let text = "no loop has a flight recorder: have the program build its loops with \
                        Builder::flight_recorder(16384)";
            Err((StatusCode::NOT_FOUND, text.to_owned()))
        }
        Err(_) => failed("it panicked"),
    }
}

/// Stops a task; false if there is none of that number.
pub(super) async fn abort(number: u64, task: u64) -> Result<bool, Refusal> {
    let beacon = beacons().into_iter().find(|beacon| beacon.number() == number);
    let Some(remote) = beacon.and_then(|beacon| Remote::to(&beacon)) else {
        let text = format!(
            "there is no loop {number}: it has ended, or never was; /api/snapshot lists those that there are"
        );
        return Err((StatusCode::NOT_FOUND, text));
    };
    let mut answer = remote.run(move || crate::task::abort(Id::of_number(task)));
    match timeout(PATIENCE, &mut answer).await {
        Ok(Ok(aborted)) => Ok(aborted),
        Ok(Err(_)) => Err((StatusCode::NOT_FOUND, format!("loop {number} has ended, and its tasks with it"))),
        Err(_) => {
            answer.abort();
            let text = format!(
                "loop {number} does not answer, since it is held up or does not run, and the task was not aborted: a task is \
                 stopped between two polls; ask again when the loop goes on"
            );
            Err((StatusCode::SERVICE_UNAVAILABLE, text))
        }
    }
}
