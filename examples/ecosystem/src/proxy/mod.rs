//! A reverse proxy as a service: `annulus::http::serve` takes it, and `annulus::http::Client` is what it asks by.

mod body;
mod headers;
mod upstream;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use annulus::http::{
    Client, HeaderValue, Incoming, Method, Request, Response, Stage, StatusCode, Uri, header,
};

pub use body::Reply;
use body::{Lender, Lent};
use headers::{for_the_client, for_the_upstream};
use upstream::Upstreams;

/// Asks the upstreams in turn, as far as they are healthy.
pub struct Proxy {
    client: Client,
    upstreams: Rc<Upstreams>,
}

impl Proxy {
    /// One that waits so long for an upstream's answer, and looks each second whether those at `addresses` answer `health`.
    pub fn new(addresses: &[String], timeout: Duration, health: &str) -> Proxy {
        let client = Client::builder()
            .http1_only()
            .connect_timeout(timeout.min(Duration::from_secs(2)))
            .request_timeout(timeout)
            .read_timeout(timeout)
            .build();
        Proxy { client, upstreams: Upstreams::watched(addresses, health) }
    }

    /// The answer to a request: an upstream's, or what is to be said if there is none.
    ///
    /// # Errors
    /// None: what goes wrong is a status.
    pub async fn answer(
        &self,
        request: Request<Incoming>,
        peer: Option<SocketAddr>,
    ) -> Result<Response<Reply>, Infallible> {
        Ok(self.forwarded(request, peer).await)
    }

    async fn forwarded(&self, request: Request<Incoming>, peer: Option<SocketAddr>) -> Response<Reply> {
        let (mut head, body) = request.into_parts();
        for_the_upstream(&mut head, peer);
        let may_repeat = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE];
        let may_repeat = may_repeat.contains(&head.method);
        let lender = Lender::new(body);
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let mut tried = Vec::new();
        loop {
            let Some(upstream) = self.upstreams.next(&tried) else {
                return match tried.is_empty() {
                    true => said(StatusCode::SERVICE_UNAVAILABLE, "no upstream is healthy"),
                    false => said(StatusCode::BAD_GATEWAY, "no upstream could answer"),
                };
            };
            let Ok(uri) = format!("http://{}{path}", upstream.address).parse::<Uri>() else {
                return said(StatusCode::BAD_REQUEST, "that is no path");
            };
            let mut asked = Request::new(Lent::of(&lender));
            *asked.method_mut() = head.method.clone();
            *asked.headers_mut() = head.headers.clone();
            *asked.uri_mut() = uri;
            let error = match self.client.request(asked).await {
                Ok(mut response) => {
                    upstream.answered();
                    for_the_client(response.headers_mut());
                    return response.map(|body| Reply::of(body, &upstream));
                }
                Err(error) => error,
            };
            upstream.failed(&error);
            if error.is_timeout() && error.stage() != Stage::Connect {
                return said(StatusCode::GATEWAY_TIMEOUT, "the upstream did not answer in time");
            }
            // What no upstream has seen may go to another one; what one has seen, if it does no harm twice.
            let was_seen = !matches!(error.stage(), Stage::Resolve | Stage::Connect);
            if lender.is_begun() || (was_seen && !may_repeat) {
                return said(StatusCode::BAD_GATEWAY, "the upstream did not answer");
            }
            tried.push(upstream);
        }
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Reply> {
    let mut response = Response::new(Reply::text(text));
    *response.status_mut() = status;
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
