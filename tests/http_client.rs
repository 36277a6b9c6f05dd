//! `http::Client`: connections that serve many requests, requests that are sent once, time that is bounded.

mod support;

#[path = "http_client/served.rs"]
mod served;

use std::cell::Cell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use annulus::http::{Client, ClientBuilder, Method, Request, Stage, Version};
use annulus::net::{TcpListener, UnixListener};
use annulus::time::{now, sleep, timeout};
use annulus::{http, spawn};
use futures_util::future::join_all;
use served::{ByHand, OK, PATIENCE, Parts, Server, Then, answer, gathered, span, until};
use support::outside::directory;
use support::{is_simulated, on_every_driver};
use tower::ServiceExt;

on_every_driver! {
    one_after_the_other_they_share_a_connection,
    at_once_each_has_its_own_and_so_many_are_kept_as_may_be,
    of_http2_there_is_one_connection_for_many_at_once,
    what_is_sent_arrives_whole_by_both_protocols,
    the_server_is_told_whom_it_is,
    a_connection_that_was_closed_while_it_was_idle_is_not_used,
    who_meets_a_dead_connection_is_sent_once_more,
    what_may_not_be_sent_twice_is_not,
    nothing_is_sent_a_third_time,
    the_second_time_goes_over_a_new_connection,
    what_was_begun_to_be_answered_is_not_sent_again,
    after_a_server_of_http2_has_stopped_its_successor_is_asked,
    an_idle_connection_is_closed_in_time,
    a_server_that_hangs_holds_up_nobody_else,
    a_body_that_pauses_is_not_waited_for,
    a_request_that_is_given_up_closes_its_connection,
    a_response_that_is_dropped_half_read_closes_its_connection,
    a_stream_of_http2_that_is_dropped_leaves_the_connection,
    a_body_is_no_larger_than_it_may_be,
    who_does_not_listen_is_named_with_the_remedy,
    what_is_no_http_says_so,
    a_long_upload_is_not_late_while_it_goes_on,
    an_early_answer_is_heard,
    a_unix_socket_is_asked,
    it_is_a_service_with_layers_around_it,
    the_last_client_takes_its_connections_along,
}

async fn text(client: &Client, url: String) -> String {
    client.get(url).await.unwrap().into_body().text(1 << 20).await.unwrap()
}

fn second() -> ClientBuilder {
    Client::builder().http2_only()
}

/// A client that has made a request to a server by hand, and its connection is idle.
async fn warm(server: &ByHand) -> Client {
    let client = Client::new();
    assert_eq!(text(&client, server.url()).await, "ok");
    until("a connection is kept", || client.counts().idle == 1).await;
    client
}

async fn one_after_the_other_they_share_a_connection() {
    let server = Server::start().await;
    let client = Client::new();
    for _ in 0..5 {
        // Nobody waits in between.
        assert_eq!(text(&client.clone(), server.url("/")).await, "hello");
    }
    let counts = client.counts();
    assert_eq!((counts.requests, counts.connections, counts.reused, counts.open), (5, 1, 4, 1));
    assert_eq!(server.accepted(), 1);
}

async fn at_once_each_has_its_own_and_so_many_are_kept_as_may_be() {
    let (one, other) = (Server::start().await, Server::start().await);
    let client = Client::builder().idle_max_per_host(3).idle_max(4).build();
    let ask = |server: &Server| join_all((0..5).map(|_| text(&client, server.url("/"))).collect::<Vec<_>>());
    ask(&one).await;
    until("three are kept", || client.counts().idle == 3 && client.counts().open == 3).await;
    ask(&other).await;
    until("four are kept", || client.counts().idle == 4 && client.counts().open == 4).await;
    assert_eq!((one.accepted(), other.accepted()), (5, 5));
    until("the servers see it", || one.handle.connections() + other.handle.connections() == 4).await;
    // The one that has idled for the longest made room: the other server's are the newer ones.
    until("of the older one is left", || one.handle.connections() == 1).await;
}

async fn of_http2_there_is_one_connection_for_many_at_once() {
    let server = Server::start().await;
    let client = second().build();
    let hanging = spawn({
        let (client, url) = (client.clone(), server.url("/hangs"));
        async move { client.get(url).await }
    });
    let said = join_all((0..20).map(|_| text(&client, server.url("/about")))).await;
    assert!(said.iter().all(|said| said.starts_with("GET HTTP/2.0")), "{said:?}");
    hanging.abort();
    let counts = client.counts();
    assert_eq!((counts.connections, counts.reused, server.accepted()), (1, 20, 1));
}

async fn what_is_sent_arrives_whole_by_both_protocols() {
    let server = Server::start().await;
    for client in [Client::new(), second().build()] {
        let expected = gathered(Parts::large(40)).await;
        let request = Request::post(server.url("/echo")).body(Parts::large(40)).unwrap();
        let response = client.request(request).await.unwrap();
        let echoed = response.into_body().bytes(usize::MAX).await.unwrap();
        assert!(echoed == expected, "{} of {} bytes", echoed.len(), expected.len());
        // Chunk by chunk.
        let mut body = client.get(server.url("/large")).await.unwrap().into_body();
        let mut length = 0;
        while let Some(chunk) = body.chunk().await.unwrap() {
            length += chunk.len();
        }
        assert_eq!(length, 64 * (64 << 10));
        assert_eq!(client.counts().connections, 1);
    }
}

async fn the_server_is_told_whom_it_is() {
    let server = Server::start().await;
    let address = server.address;
    let said = text(&Client::new(), server.url("/about?a=b")).await;
    assert_eq!(said, format!("GET HTTP/1.1 {address} /about?a=b"));
    let said = text(&second().build(), server.url("/about?a=b")).await;
    assert_eq!(said, format!("GET HTTP/2.0 none http://{address}/about?a=b"));
    for (client, wanted) in [
        (Client::new(), "PUT HTTP/1.1 other /about".to_owned()),
        (second().build(), "PUT HTTP/2.0 none http://other/about".to_owned()),
    ] {
        let request = Request::put(server.url("/about")).header("host", "other").body(http::text(""));
        let response = client.request(request.unwrap()).await.unwrap();
        assert_eq!(response.into_body().text(100).await.unwrap(), wanted);
    }
    let request = Request::get(server.url("/")).version(Version::HTTP_2).body(http::text("")).unwrap();
    let error = Client::new().request(request).await.unwrap_err();
    assert!(error.stage() == Stage::Request && error.to_string().contains("http2_only"), "{error}");
}

async fn a_connection_that_was_closed_while_it_was_idle_is_not_used() {
    let server = ByHand::start(&[&[Then::Says(OK)], &[Then::Says(OK)]]).await;
    let client = Client::new();
    assert_eq!(text(&client, server.url()).await, "ok");
    until("it is seen", || server.closed.get() == 1 && client.counts().open == 0).await;
    assert_eq!(client.counts().idle, 0);
    let request = Request::post(server.url()).body(http::text("")).unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 200);
    assert_eq!((client.counts().connections, client.counts().retried), (2, 0));
}

async fn who_meets_a_dead_connection_is_sent_once_more() {
    let server = ByHand::start(&[&[Then::Says(OK), Then::Closes], &[Then::Says(OK)]]).await;
    let client = warm(&server).await;
    let request = Request::delete(server.url()).header("x-mark", "seen").body(http::text("")).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.into_body().text(2).await.unwrap(), "ok");
    assert_eq!((client.counts().connections, client.counts().retried), (2, 1));
    assert_eq!(server.order(), [0, 0, 1]);
    let heard = server.heard.borrow();
    assert_eq!(heard[1].1, heard[2].1, "it is the same request");
    assert!(heard[2].1.starts_with("DELETE / ") && heard[2].1.contains("x-mark: seen"), "{heard:?}");
}

async fn what_may_not_be_sent_twice_is_not() {
    for (method, body) in [(Method::POST, ""), (Method::PUT, "with a body")] {
        let server = ByHand::start(&[&[Then::Says(OK), Then::Closes], &[Then::Says(OK)]]).await;
        let client = warm(&server).await;
        let request = Request::builder().method(method).uri(server.url()).body(http::text(body)).unwrap();
        let error = client.request(request).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Response, "{error}");
        assert_eq!((server.order(), client.counts().retried), (vec![0, 0], 0));
    }
}

async fn nothing_is_sent_a_third_time() {
    let server = ByHand::start(&[&[Then::Says(OK), Then::Closes], &[Then::Closes], &[Then::Says(OK)]]).await;
    let client = warm(&server).await;
    let error = client.get(server.url()).await.unwrap_err();
    assert_eq!((error.stage(), error.kind()), (Stage::Response, ErrorKind::UnexpectedEof), "{error}");
    assert_eq!((server.order(), client.counts().retried), (vec![0, 0, 1], 1));
    // On a new connection nothing is sent twice at all.
    let server = ByHand::start(&[&[Then::Closes], &[Then::Says(OK)]]).await;
    client.get(server.url()).await.unwrap_err();
    assert_eq!(server.order(), [0]);
}

async fn the_second_time_goes_over_a_new_connection() {
    const ONCE: &[Then] = &[Then::Says(OK), Then::Closes];
    let server = ByHand::start(&[ONCE, ONCE, &[Then::Says(OK)]]).await;
    let client = Client::new();
    join_all((0..2).map(|_| text(&client, server.url()))).await;
    assert_eq!(client.counts().idle, 2);
    assert_eq!(text(&client, server.url()).await, "ok");
    assert_eq!((server.order().len(), server.order()[3], client.counts().retried), (4, 2, 1));
}

async fn what_was_begun_to_be_answered_is_not_sent_again() {
    const HALF: &str = "HTTP/1.1 200";
    let server = ByHand::start(&[&[Then::Says(OK), Then::Says(HALF)], &[Then::Says(OK)]]).await;
    let client = warm(&server).await;
    client.get(server.url()).await.unwrap_err();
    assert_eq!((server.order(), client.counts().retried), (vec![0, 0], 0));
}

async fn after_a_server_of_http2_has_stopped_its_successor_is_asked() {
    let server = Server::start().await;
    let address = server.address;
    let client = second().build();
    assert_eq!(text(&client, server.url("/")).await, "hello");
    server.handle.stop();
    server.served.await.unwrap().unwrap();
    let server = Server::at(address).await;
    let request = Request::post(server.url("/echo")).body(http::text("again")).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.into_body().text(100).await.unwrap(), "again");
    assert_eq!(client.counts().connections, 2);
}

async fn an_idle_connection_is_closed_in_time() {
    for builder in [Client::builder(), second()] {
        let server = Server::start().await;
        let client = builder.idle_timeout(span(20)).build();
        for _ in 0..3 {
            text(&client, server.url("/")).await;
            sleep(span(4)).await;
        }
        let before = now();
        until("it is closed", || client.counts().open == 0 && server.handle.connections() == 0).await;
        assert!(now() - before >= span(10), "it began anew with each request");
        assert_eq!(client.counts().idle, 0);
        text(&client, server.url("/")).await;
        assert!(client.counts().connections >= 2);
    }
}

async fn a_server_that_hangs_holds_up_nobody_else() {
    let server = Server::start().await;
    for builder in [Client::builder(), second()] {
        let client = builder.request_timeout(span(30)).build();
        let before = now();
        let hanging = spawn({
            let (client, url) = (client.clone(), server.url("/hangs?token=secret"));
            async move { client.get(url).await }
        });
        sleep(span(1)).await;
        assert_eq!(text(&client, server.url("/")).await, "hello");
        assert!(!hanging.is_finished());
        let error = hanging.await.unwrap().unwrap_err();
        assert!(error.is_timeout() && error.stage() == Stage::Response, "{error:?}");
        assert!(error.to_string().contains("request_timeout") && !error.to_string().contains("secret"));
        assert!(now() - before >= span(30));
        if is_simulated() {
            assert!(now() - before < span(31), "a second late: {:?}", now() - before);
        }
        // What may be gone without a word is given no more requests; what answers meanwhile is.
        text(&client, server.url("/")).await;
        assert_eq!(client.counts().connections, 2);
    }
}

async fn a_body_that_pauses_is_not_waited_for() {
    let server = Server::start().await;
    for builder in [Client::builder(), second()] {
        let client = builder.read_timeout(span(5)).build();
        let mut body = client.get(server.url("/stalls")).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "begun");
        // Time that nobody waited is no pause.
        sleep(span(10)).await;
        let before = now();
        let error = body.chunk().await.unwrap_err();
        assert!(now() - before >= span(5));
        assert!(error.is_timeout() && error.stage() == Stage::Body, "{error:?}");
        assert!(error.to_string().contains("read_timeout"), "{error}");
    }
}

async fn a_request_that_is_given_up_closes_its_connection() {
    let server = ByHand::start(&[&[Then::Says(OK), Then::Waits], &[Then::Says(OK)]]).await;
    let client = warm(&server).await;
    timeout(span(2), client.get(server.url())).await.unwrap_err();
    until("it is closed", || server.closed.get() == 1 && client.counts().open == 0).await;
    assert_eq!(text(&client, server.url()).await, "ok");
}

async fn a_response_that_is_dropped_half_read_closes_its_connection() {
    let server = Server::start().await;
    let client = Client::new();
    for path in ["/large", "/stalls"] {
        let mut body = client.get(server.url(path)).await.unwrap().into_body();
        body.chunk().await.unwrap();
        drop(body);
        until("it is closed", || client.counts().open == 0 && server.handle.connections() == 0).await;
    }
    // Not one that had all come: an end that nobody asked for is as good as one that somebody did.
    let mut body = client.get(server.url("/")).await.unwrap().into_body();
    body.chunk().await.unwrap();
    sleep(span(1)).await;
    drop(body);
    until("it is kept", || client.counts().idle == 1).await;
}

async fn a_stream_of_http2_that_is_dropped_leaves_the_connection() {
    let server = Server::start().await;
    let client = second().build();
    for path in ["/large", "/stalls"] {
        let mut body = client.get(server.url(path)).await.unwrap().into_body();
        body.chunk().await.unwrap();
    }
    timeout(span(2), client.get(server.url("/hangs"))).await.unwrap_err();
    assert_eq!(text(&client, server.url("/")).await, "hello");
    assert_eq!((client.counts().connections, client.counts().open), (1, 1));
}

async fn a_body_is_no_larger_than_it_may_be() {
    let server = Server::start().await;
    let known =
        ByHand::start(&[&[Then::Says("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n"), Then::Waits]]);
    let client = Client::new();
    for url in [server.url("/large"), known.await.url()] {
        let body = client.get(url).await.unwrap().into_body();
        let error = body.bytes(5000).await.unwrap_err();
        assert_eq!((error.stage(), error.kind()), (Stage::Body, ErrorKind::FileTooLarge), "{error}");
        assert!(error.to_string().contains("5000 at most"), "{error}");
    }
    until("both are closed", || client.counts().open == 0).await;
    // Exactly as large is not too large.
    let response = client.get(server.url("/large")).await.unwrap();
    assert_eq!(response.into_body().bytes(64 * (64 << 10)).await.unwrap().len(), 64 * (64 << 10));
    let response = client.get(server.url("/large")).await.unwrap();
    assert!(response.into_body().text(usize::MAX).await.unwrap_err().to_string().contains("UTF-8"));
}

async fn who_does_not_listen_is_named_with_the_remedy() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for client in [Client::new(), second().build()] {
        let asks = (0..3).map(|_| client.get(format!("http://{address}/path?token=secret")));
        for error in join_all(asks).await {
            let error = error.unwrap_err();
            assert_eq!((error.stage(), error.kind()), (Stage::Connect, ErrorKind::ConnectionRefused));
            let text = error.to_string();
            assert!(text.contains(&format!("http://{address}/path: no connection: ")), "{text}");
            assert!(text.contains("nobody listens there") && !text.contains("secret"), "{text}");
        }
        assert_eq!(client.counts().open, 0);
    }
}

async fn what_is_no_http_says_so() {
    let server = ByHand::start(&[&[Then::Says("SSH-2.0-OpenSSH_9.2\r\n"), Then::Waits]]).await;
    let error = Client::new().get(server.url()).await.unwrap_err();
    assert_eq!((error.stage(), error.kind()), (Stage::Response, ErrorKind::InvalidData));
    assert!(error.to_string().contains("something else than HTTP"), "{error}");
    for (url, why) in [("/path", "absolute"), ("http://", "URL"), ("ftp://host/", "ftp")] {
        let error = Client::new().get(url).await.unwrap_err();
        assert!(error.stage() == Stage::Request && error.to_string().contains(why), "{error}");
    }
}

/// A body whose parts come one after the other.
struct Slow {
    left: usize,
    sleep: annulus::time::Sleep,
}

impl http_body::Body for Slow {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::ready!(Future::poll(std::pin::Pin::new(&mut self.sleep), cx));
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        self.left -= 1;
        self.sleep = sleep(span(6));
        std::task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"part")))))
    }
}

async fn a_long_upload_is_not_late_while_it_goes_on() {
    let server = Server::start().await;
    for builder in [Client::builder(), second()] {
        let client = builder.request_timeout(span(20)).build();
        let body = Slow { left: 6, sleep: sleep(Duration::ZERO) };
        let before = now();
        let response = client.request(Request::post(server.url("/echo")).body(body).unwrap()).await.unwrap();
        assert!(now() - before >= span(30));
        assert_eq!(response.into_body().text(100).await.unwrap(), "part".repeat(6));
    }
}

async fn an_early_answer_is_heard() {
    let server = Server::start().await;
    for client in [Client::new(), second().build()] {
        let body = Parts::large(1).hanging();
        let taken = Rc::<Cell<usize>>::clone(&body.taken);
        let request = Request::post(server.url("/early")).body(body).unwrap();
        let response = timeout(PATIENCE, client.request(request)).await.unwrap().unwrap();
        assert_eq!((response.status().as_u16(), taken.get()), (413, 1));
        assert_eq!(response.into_body().text(100).await.unwrap(), "enough");
        assert_eq!(text(&client, server.url("/")).await, "hello");
    }
}

async fn a_unix_socket_is_asked() {
    let directory = directory().await;
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).await.unwrap();
    drop(spawn(http::serve(listener, http::service_fn(answer)).into_future()));
    let client = Client::builder().unix_socket(&path).build();
    for _ in 0..2 {
        let said = text(&client, "http://somebody/about".to_owned()).await;
        assert_eq!(said, "GET HTTP/1.1 somebody /about");
        until("it is kept", || client.counts().idle == 1).await;
    }
    assert_eq!(client.counts().connections, 1);
    let error = Client::builder().unix_socket(directory.path().join("none")).build();
    let error = error.get("http://somebody/").await.unwrap_err();
    assert!(error.stage() == Stage::Connect && error.to_string().contains("no such socket"), "{error}");
}

async fn it_is_a_service_with_layers_around_it() {
    let server = Server::start().await;
    let client = Client::new();
    let service = tower::ServiceBuilder::new()
        .map_request(|path: &'static str| Request::get(path).body(http::text("")).unwrap())
        .layer(tower::limit::ConcurrencyLimitLayer::new(1))
        .service(client.clone());
    let url: &'static str = Box::leak(server.url("/").into_boxed_str());
    let response = service.oneshot(url).await.unwrap();
    assert_eq!(response.into_body().text(100).await.unwrap(), "hello");
    // As axum and tonic want bodies to be.
    fn is_send<T: Send>(_: &T) {}
    is_send(&client.get(server.url("/")).await.unwrap().into_body());
}

async fn the_last_client_takes_its_connections_along() {
    let server = Server::start().await;
    for client in [Client::new(), second().build()] {
        let other = client.clone();
        text(&client, server.url("/")).await;
        let body = client.get(server.url("/large")).await.unwrap().into_body();
        drop(client);
        assert!(other.counts().open > 0);
        drop(other);
        // What is begun is finished.
        assert_eq!(body.bytes(usize::MAX).await.unwrap().len(), 64 * (64 << 10));
        until("they are closed", || server.handle.connections() == 0).await;
    }
}

/// What no driver of a machine can be asked for: hosts that do not answer.
#[cfg(feature = "sim")]
#[test]
fn a_host_that_does_not_answer_is_given_up_in_time() {
    use annulus::sim::{World, idle};
    let world = World::new(support::sim_seed());
    let (server, host) = (world.host("server", idle), world.host("client", idle));
    world.link(&host, &server).cut();
    let took = host.run(async {
        let client = Client::builder().connect_timeout(Duration::from_secs(7)).build();
        let before = now();
        let error = client.get("http://server/").await.unwrap_err();
        assert!(error.stage() == Stage::Connect && error.is_timeout(), "{error}");
        let error = client.get("http://nobody/").await.unwrap_err();
        assert!(error.stage() == Stage::Resolve && error.to_string().contains("nobody"), "{error}");
        now() - before
    });
    assert_eq!(took.unwrap().as_secs(), 7);
}
