//! Asking an inspector, by this crate's own HTTP.

use std::time::Duration;

use annulus::http::{self, Request, Response};
use serde_json::Value;

use super::app::Query;
use super::place::Place;
use super::snapshot::Snapshot;

/// More than this is no answer of an inspector: it gives a thousand rows at most.
const ANSWER_MAX: usize = 16 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    http: http::Client,
    place: Place,
    token: Option<String>,
}

impl Client {
    pub(crate) fn new(place: Place, token: Option<String>) -> Client {
        let builder = http::Client::builder().connect_timeout(PATIENCE).request_timeout(PATIENCE);
        let http = match &place {
            Place::Tcp(_) => builder.build(),
            Place::Unix(path) => builder.unix_socket(path).build(),
        };
        Client { http, place, token }
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// What there is to be seen.
    ///
    /// # Errors
    /// What went wrong, and where, as a text.
    pub(crate) async fn snapshot(&self, query: &Query) -> Result<Snapshot, String> {
        let text = self.ask("GET", &format!("/api/snapshot?{}", query.text())).await?;
        serde_json::from_str(&text)
            .map_err(|error| format!("{} is no inspector, or of another version: {error}", self.place))
    }

    /// Stops a task; what came of it.
    pub(crate) async fn abort(&self, number: u64, task: u64) -> Result<String, String> {
        let text = self.ask("POST", &format!("/api/loops/{number}/tasks/{task}/abort")).await?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        Ok(match answer["aborted"].as_bool() {
            Some(true) => format!("task {task} is stopped"),
            _ => format!("task {task} had ended already"),
        })
    }

    async fn ask(&self, method: &str, path: &str) -> Result<String, String> {
        let host = match &self.place {
            Place::Tcp(host) => host,
            Place::Unix(_) => "localhost",
        };
        let mut request =
            Request::builder().method(method).uri(format!("http://{host}{path}")).header("x-annulus", "1");
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(http::text("")).map_err(|error| error.to_string())?;
        let nobody = |error| format!("{}: {error}", self.place);
        let response: Response<_> = self.http.request(request).await.map_err(nobody)?;
        let is_good = response.status().is_success();
        let text = response.into_body().text(ANSWER_MAX).await.map_err(nobody)?;
        if is_good {
            return Ok(text);
        }
        let said: Value = serde_json::from_str(&text).unwrap_or_default();
        Err(said["error"].as_str().map_or(text, str::to_owned))
    }
}
