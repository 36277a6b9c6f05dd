//! Who is refused, and what is said.

use std::io::ErrorKind;

use annulus::inspect::Inspector;

use crate::client::*;

const TOKEN: &str = "0123456789abcdef";

fn guarded() -> Inspector {
    Inspector::builder().address("127.0.0.1:0").token(TOKEN).start().unwrap()
}

#[test]
fn without_the_token_nothing_is_told() {
    let inspector = guarded();
    let host = "host: localhost";
    for path in
        ["/", "/?token=", "/?token=fedcba9876543210", "/api/snapshot", "/api/doctor", "/api/trace", "/no"]
    {
        let reply = ask(&inspector, &format!("GET {path}"), &[host]);
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (401, Some("Bearer")),
            "{path}: {reply:?}"
        );
        assert!(reply.error().contains("?token="), "{reply:?}");
    }
    let bearer = format!("authorization: Bearer {TOKEN}");
    let wrong = [
        "authorization: Bearer 0123456789abcdeg",
        "authorization: Basic 0123456789abcdef",
        "authorization: Bearer",
    ];
    for header in wrong {
        assert_eq!(ask(&inspector, "GET /api/snapshot", &[host, header]).status, 401, "{header}");
    }
    // In an address it is for the page alone: what asks for more keeps it in memory.
    assert_eq!(get(&inspector, &format!("/api/snapshot?token={TOKEN}")).status, 401);
    let abort = ask(&inspector, "POST /api/loops/1/tasks/1/abort", &[host, "x-annulus: 1"]);
    assert_eq!(abort.status, 401);
    let counts = inspector.counts();
    assert!(counts.refused >= 12 && counts.surveys == 0, "{counts:?}");

    assert_eq!(get(&inspector, &format!("/?token={TOKEN}")).status, 200);
    assert_eq!(ask(&inspector, "GET /api/snapshot", &[host, &bearer]).status, 200);
    assert_eq!(ask(&inspector, "GET /", &[host, &bearer]).status, 200);
    assert!(
        !format!("{inspector:?}{:?}", Inspector::builder().token(TOKEN)).contains(TOKEN),
        "nor is it in a log"
    );
}

#[test]
fn a_page_of_somebody_elses_name_is_refused() {
    let inspector = inspector();
    for host in ["example.org", "localhost.example.org:80", "127.0.0.1.example.org", ""] {
        let reply = ask(&inspector, "GET /api/snapshot", &[&format!("host: {host}")]);
        assert_eq!(reply.status, 403, "{host}: {reply:?}");
        assert!(reply.error().contains("localhost"), "{reply:?}");
    }
    assert_eq!(ask(&inspector, "GET /api/snapshot", &["host: localhost", "host: example.org"]).status, 403);
    assert_eq!(ask(&inspector, "GET /api/snapshot", &[]).status, 403);
    let whole = ask(&inspector, "GET http://example.org/api/snapshot", &["host: localhost"]);
    assert_eq!(whole.status, 403, "{whole:?}");
    let post = ask(&inspector, "POST /api/loops/1/tasks/1/abort", &["host: example.org", "x-annulus: 1"]);
    assert_eq!(post.status, 403);
    for host in ["127.0.0.1:7070", "[::1]:80", "localhost", "10.0.0.1"] {
        assert_eq!(ask(&inspector, "GET /api/snapshot", &[&format!("host: {host}")]).status, 200, "{host}");
    }
}

#[test]
fn what_changes_something_is_not_had_by_a_form() {
    let inspector = inspector();
    let post = |headers: &[&str]| ask(&inspector, "POST /api/loops/1/tasks/1/abort", headers);
    for header in ["x-annulus: 0", "x-annulus:", "content-type: text/plain"] {
        let reply = post(&["host: localhost", header]);
        assert_eq!(reply.status, 403, "{header}: {reply:?}");
        assert!(reply.error().contains("X-Annulus: 1"));
    }
    // Nor may a page of others ask for the permission to send it.
    let reply = ask(
        &inspector,
        "OPTIONS /api/loops/1/tasks/1/abort",
        &["host: localhost", "origin: http://example.org"],
    );
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (405, None), "{reply:?}");
}

#[test]
fn unknown_paths_and_methods_are_told_which_there_are() {
    let inspector = inspector();
    for path in [
        "/favicon.ico",
        "/api",
        "/api/snapshot/",
        "/api/loops/x/tasks/1/abort",
        "/api/loops/1/tasks/-1/abort",
        "//",
    ] {
        let reply = get(&inspector, path);
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
        assert!(reply.error().contains("/api/snapshot"), "{reply:?}");
    }
    let reply = ask(&inspector, "DELETE /api/snapshot", &["host: localhost"]);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("GET, HEAD")), "{reply:?}");
    let reply = ask(&inspector, "GET /api/loops/1/tasks/1/abort", &["host: localhost"]);
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")), "{reply:?}");
    let reply = ask(&inspector, "HEAD /api/snapshot", &["host: localhost"]);
    assert_eq!((reply.status, &*reply.body), (200, ""), "{reply:?}");
    for (query, word) in
        [("sort=size", "busy"), ("order=up", "desc"), ("limit=x", "whole"), ("what=1", "filter")]
    {
        let reply = get(&inspector, &format!("/api/snapshot?{query}"));
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(reply.error().contains(word), "{query}: {reply:?}");
    }
    assert_eq!(inspector.counts().surveys, 1, "no loop was asked for those but by HEAD");
}

#[test]
fn garbage_is_refused_and_others_are_answered() {
    let inspector = inspector();
    let endless = [b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ".to_vec(), vec![b'x'; 1 << 20]].concat();
    let many = format!("GET / HTTP/1.1\r\nhost: localhost\r\n{}\r\n", "x: y\r\n".repeat(500));
    let second = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let long = format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "x".repeat(100_000));
    for bytes in
        [b"\0\x01\x02garbage\r\n\r\n".to_vec(), endless, many.into_bytes(), second, long.into_bytes()]
    {
        let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        // Cut off, or told so: as it comes.
        match say(&inspector, &bytes) {
            Ok(reply) => assert!((400..500).contains(&reply.status), "{beginning:?}: {reply:?}"),
            Err(error) => println!("{beginning:?}: {error}"),
        }
        assert_eq!(get(&inspector, "/api/snapshot").status, 200, "after {beginning:?}");
    }
    // A body is read by nobody, and does no harm.
    let body = format!("content-length: 5\r\n\r\nhello{}", "");
    let reply =
        ask(&inspector, "POST /api/loops/1/tasks/1/abort", &["host: localhost", "x-annulus: 1", &body]);
    assert!([200, 404].contains(&reply.status), "{reply:?}");
}

#[test]
fn a_public_address_is_asked_for_by_name_and_with_a_token() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let refused = Inspector::builder().address(address).start().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        let text = refused.to_string();
        assert!(
            text.contains("public(true)") && text.contains("127.0.0.1") && text.contains("ssh -L"),
            "{text}"
        );
    }
    let refused = Inspector::builder().address("0.0.0.0:0").public(true).start().unwrap_err();
    assert!(
        refused.kind() == ErrorKind::PermissionDenied && refused.to_string().contains("token"),
        "{refused}"
    );
    for token in ["", "short", "with spaces in the middle of it"] {
        let refused = Inspector::builder().token(token).start().unwrap_err();
        assert!(refused.kind() == ErrorKind::InvalidInput && refused.to_string().contains("16"), "{refused}");
    }
    // Bound to all addresses, and asked by way of this machine alone.
    let inspector = Inspector::builder().address("0.0.0.0:0").public(true).token(TOKEN).start().unwrap();
    assert!(inspector.url().starts_with("http://127.0.0.1:"), "{inspector:?}");
    assert_eq!(get(&inspector, "/api/snapshot").status, 401);
}
