//! What is answered to which request.

use std::cell::RefCell;
use std::convert::Infallible;
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::json;

use super::body::Parts;
use super::counts::Counters;
use super::deeds::{self, Doctor};
use super::gate::{Gate, Refusal};
use super::look::{Looker, Picture};
use super::pace::Pace;
use super::page::page;
use super::query::Query;
use super::snapshot;
use crate::http::{HeaderMap, HeaderValue, Incoming, Method, Request, Response, StatusCode, Uri, header};
use crate::sync::{OwnedSemaphorePermit, Semaphore};

/// More rows than these are much to keep for a client that does not take them.
const ROWS_MANY: usize = 1000;
/// How many answers that are long may be under way at once.
const LONG_AT_ONCE: usize = 2;
/// How many forms of one picture are kept, lest viewers who ask for the same have it made for each.
const FORMS_KEPT: usize = 8;

const JSON: &str = "application/json";

/// All that answers need.
pub(super) struct Routes {
    gate: Gate,
    pace: Pace,
    looker: Looker,
    doctor: Doctor,
    long: Rc<Semaphore>,
    forms: RefCell<Forms>,
    counters: Arc<Counters>,
}

/// A picture as it was written for those who asked.
#[derive(Default)]
struct Forms {
    of: Option<Rc<Picture>>,
    written: Vec<(Query, Bytes)>,
}

/// What a path means.
enum Route {
    Page,
    Snapshot,
    Doctor,
    Trace,
    Abort { number: u64, task: u64 },
}

impl Route {
    fn of(path: &str) -> Option<Route> {
        Some(match path {
            "/" => Route::Page,
            "/api/snapshot" => Route::Snapshot,
            "/api/doctor" => Route::Doctor,
            "/api/trace" => Route::Trace,
            _ => {
                let rest = path.strip_prefix("/api/loops/")?.strip_suffix("/abort")?;
                let (number, task) = rest.split_once("/tasks/")?;
                Route::Abort { number: number.parse().ok()?, task: task.parse().ok()? }
            }
        })
    }

    fn permits(&self, method: &Method) -> Result<(), &'static str> {
        let (fits, names) = match self {
            Route::Abort { .. } => (method == Method::POST, "POST"),
            _ => (method == Method::GET || method == Method::HEAD, "GET, HEAD"),
        };
        if fits { Ok(()) } else { Err(names) }
    }
}

impl Routes {
    pub(super) fn new(token: Option<String>, counters: Arc<Counters>) -> Routes {
        Routes {
            gate: Gate::new(token),
            pace: Pace::new(),
            looker: Looker::new(&counters),
            doctor: Doctor::default(),
            long: Rc::new(Semaphore::new(LONG_AT_ONCE)),
            forms: RefCell::default(),
            counters,
        }
    }

    /// `is_crowded` says that others wait for this connection to end.
    pub(super) async fn answer(
        &self,
        request: Request<Incoming>,
        is_crowded: bool,
    ) -> Result<Response<Parts>, Infallible> {
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.pace.turn().await;
        // A body is nobody's here. hyper reads on behind it, or ends the connection.
        let (head, _) = request.into_parts();
        let answered = self.answer_to(&head.method, &head.uri, &head.headers).await;
        let mut response = answered.unwrap_or_else(|(status, text)| {
            if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
                self.counters.refused.fetch_add(1, Ordering::Relaxed);
            }
            let body = json!({ "error": text }).to_string();
            let mut response = whole(JSON, Parts::of(body));
            *response.status_mut() = status;
            if status == StatusCode::UNAUTHORIZED {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            }
            response
        });
        if is_crowded {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }

    async fn answer_to(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
    ) -> Result<Response<Parts>, Refusal> {
        let query = uri.query().unwrap_or_default();
        let route = Route::of(uri.path());
        self.gate.check_host(uri, headers)?;
        self.gate.check_token(headers, matches!(route, Some(Route::Page)).then_some(query))?;
        let Some(route) = route else {
            let text = "there is nothing at this path: there are /, /api/snapshot, /api/doctor, /api/trace, and \
                        /api/loops/LOOP/tasks/TASK/abort, with numbers for LOOP and TASK";
            return Err((StatusCode::NOT_FOUND, text.to_owned()));
        };
        if let Err(permitted) = route.permits(method) {
            let text = format!("{method} means nothing here: say {permitted}");
            let mut response = whole(JSON, Parts::of(json!({ "error": text }).to_string()));
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(permitted));
            return Ok(response);
        }
        match route {
            Route::Page => {
                let (page, policy) = page();
                let mut response = whole("text/html; charset=utf-8", Parts::of(page));
                let policy = HeaderValue::from_str(&policy).expect("it is of visible signs");
                response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
                Ok(response)
            }
            Route::Snapshot => {
                let query = Query::of(query).map_err(|text| (StatusCode::BAD_REQUEST, text))?;
                self.snapshot(query).await.map(|body| whole(JSON, body))
            }
            Route::Doctor => self.doctor.report().await.map(|report| whole(JSON, Parts::of(report))),
            Route::Trace => {
                let permit = self.long_permit().await;
                let trace = deeds::trace().await?;
                let mut response = whole(JSON, Parts::of(trace).with(permit));
                let name = format!("attachment; filename=\"annulus-trace-{}.json\"", process::id());
                let name = HeaderValue::from_str(&name).expect("it is of visible signs");
                response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
                Ok(response)
            }
            Route::Abort { number, task } => {
                self.gate.check_asked(headers)?;
                let aborted = deeds::abort(number, task).await?;
                Ok(whole(JSON, Parts::of(json!({ "aborted": aborted }).to_string())))
            }
        }
    }

    async fn long_permit(&self) -> Option<OwnedSemaphorePermit> {
        Rc::clone(&self.long).acquire_owned().await.ok()
    }

    async fn snapshot(&self, query: Query) -> Result<Parts, Refusal> {
        let permit = if query.limit > ROWS_MANY { self.long_permit().await } else { None };
        let Some(picture) = self.looker.picture().await else {
            let text = "the inspector ends: it was dropped, or the program ends";
            return Err((StatusCode::SERVICE_UNAVAILABLE, text.to_owned()));
        };
        Ok(Parts::of(self.written(&picture, query)).with(permit))
    }

    fn written(&self, picture: &Rc<Picture>, query: Query) -> Bytes {
        let mut forms = self.forms.borrow_mut();
        if !forms.of.as_ref().is_some_and(|of| Rc::ptr_eq(of, picture)) {
            *forms = Forms { of: Some(Rc::clone(picture)), written: Vec::new() };
        }
        if let Some((_, bytes)) = forms.written.iter().find(|(other, _)| *other == query) {
            return bytes.clone();
        }
        let bytes = Bytes::from(snapshot::write(picture, &query));
        if query.limit <= ROWS_MANY && forms.written.len() < FORMS_KEPT {
            forms.written.push((query, bytes.clone()));
        }
        bytes
    }
}

/// An answer that nobody keeps, shows as something else, or puts into a page of theirs.
fn whole(kind: &'static str, body: Parts) -> Response<Parts> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
