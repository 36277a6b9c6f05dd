//! The static file server of the examples, as a process of its own, spoken to in plain HTTP. `serve_life.rs` has its threads, how
//! it ends, and who takes over from it.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::example::example;
use support::served::{Served, body, header, on_each, status};
use support::watchdog::Watchdog;

#[test]
fn files_come_whole_in_part_and_not_at_all() {
    on_each("files_come_whole_in_part_and_not_at_all", &[], |server| {
        server.write("text.txt", "0123456789");
        let whole = server.ask("GET", "/text.txt", "");
        assert_eq!((status(&whole), body(&whole)), (200, "0123456789"));
        assert_eq!(header(&whole, "Content-Type"), "text/plain; charset=utf-8");

        let head = server.ask("HEAD", "/text.txt", "");
        assert_eq!((status(&head), header(&head, "Content-Length"), body(&head)), (200, "10", ""));
        assert_eq!(server.status("HEAD", "/text.txt", "Range: bytes=2-4\r\n"), 200, "ranges are for GET");

        let part = server.ask("GET", "/text.txt", "Range: bytes=2-4\r\n");
        assert_eq!((status(&part), body(&part)), (206, "234"));
        assert_eq!(header(&part, "Content-Range"), "bytes 2-4/10");
        assert_eq!(body(&server.ask("GET", "/text.txt", "Range: bytes=-3\r\n")), "789");
        let beyond = server.ask("GET", "/text.txt", "Range: bytes=10-\r\n");
        assert_eq!((status(&beyond), header(&beyond, "Content-Range")), (416, "bytes */10"));

        let tag = header(&whole, "ETag");
        let modified = header(&whole, "Last-Modified");
        assert_eq!(server.status("GET", "/text.txt", &format!("If-None-Match: {tag}\r\n")), 304);
        assert_eq!(server.status("GET", "/text.txt", &format!("If-None-Match: \"x\", W/{tag}\r\n")), 304);
        assert_eq!(server.status("GET", "/text.txt", "If-None-Match: \"other\"\r\n"), 200);
        assert_eq!(server.status("GET", "/text.txt", &format!("If-Modified-Since: {modified}\r\n")), 304);
        let range_if = |tag: &str| format!("Range: bytes=0-0\r\nIf-Range: {tag}\r\n");
        assert_eq!(server.status("GET", "/text.txt", &range_if(tag)), 206);
        assert_eq!(server.status("GET", "/text.txt", &range_if("\"other\"")), 200);
    });
}

#[test]
fn a_large_file_compares_equal() {
    on_each("a_large_file_compares_equal", &[], |server| {
        let bytes: Vec<u8> =
            (0..5_000_011_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        server.write("large", &bytes);
        let mut stream = server.connect();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        assert!(answer[head..] == bytes[..], "{} bytes came", answer.len() - head);
    });
}

#[test]
fn directories_are_listed_and_index_pages_are_shown() {
    on_each("directories_are_listed_and_index_pages_are_shown", &[], |server| {
        fs::create_dir(server.directory.path().join("a b")).unwrap();
        server.write("a b/<x>&.txt", "x");
        assert_eq!(status(&server.ask("GET", "/", "")), 200);
        let moved = server.ask("GET", "/a%20b", "");
        assert_eq!((status(&moved), header(&moved, "Location")), (308, "/a%20b/"));
        let moved = server.ask("GET", "//a%20b", "");
        assert_eq!(header(&moved, "Location"), "/a%20b/", "not to another host");
        let list = server.ask("GET", "/a%20b/", "");
        assert!(body(&list).contains("href=\"./%3Cx%3E%26.txt\">&lt;x&gt;&amp;.txt</a>"), "{list}");
        server.write("a b/index.html", "<p>index");
        assert_eq!(body(&server.ask("GET", "/a%20b/", "")), "<p>index");
    });
}

#[test]
fn nothing_outside_of_the_root_is_seen() {
    on_each("nothing_outside_of_the_root_is_seen", &[], |server| {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink(outside.path(), server.directory.path().join("way-out")).unwrap();
        symlink(outside.path().join("secret"), server.directory.path().join("link")).unwrap();
        server.write("inside", "inside");
        symlink("inside", server.directory.path().join("link-inside")).unwrap();
        for target in
            ["/way-out/secret", "/link", "/../secret", "/%2e%2e/secret", "/x/..%2f..%2fsecret", "/way-out/"]
        {
            let answer = server.ask("GET", target, "");
            assert!([403, 404].contains(&status(&answer)), "{target}: {answer}");
            assert!(!answer.contains("secret"), "{target}");
        }
        assert_eq!(body(&server.ask("GET", "/link-inside", "")), "inside");
    });
}

#[test]
fn what_cannot_be_served_is_told_why() {
    on_each("what_cannot_be_served_is_told_why", &[], |server| {
        let path = server.write("locked", "x");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o0)).unwrap();
        let unreadable = fs::read(&path).is_err();
        assert!(Command::new("mkfifo").arg(server.directory.path().join("pipe")).status().unwrap().success());
        if unreadable {
            assert_eq!(server.status("GET", "/locked", ""), 403);
        }
        assert_eq!(server.status("GET", "/pipe", ""), 403);
        assert_eq!(server.status("GET", "/none", ""), 404);
        assert_eq!(server.status("GET", "/locked/", ""), 404);
        let refused = server.ask("DELETE", "/locked", "");
        assert_eq!((status(&refused), header(&refused, "Allow")), (405, "GET, HEAD"));
    });
}

#[test]
fn malformed_and_oversized_requests_are_refused() {
    on_each("malformed_and_oversized_requests_are_refused", &[], |server| {
        assert_eq!(status(&server.say("nonsense\r\n\r\n")), 400);
        assert_eq!(status(&server.say("GET / HTTP/1.1\r\n\r\n")), 400, "no Host");
        assert_eq!(server.status("GET", "/%00", ""), 400);
        assert_eq!(server.status("GET", "/", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400);
        assert_eq!(server.status("GET", "/", "Content-Length: +0\r\n"), 400);
        let smuggled = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n\r\n";
        let answer = server.say(smuggled);
        assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (413, 1), "a body is no request");
        assert_eq!(server.status("GET", "/", &format!("Long: {}\r\n", "x".repeat(20_000))), 431);
        assert_eq!(server.status("GET", "/", &"A: b\r\n".repeat(100)), 431);
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    on_each("pipelined_requests_are_answered_in_order", &[], |server| {
        let large = "l".repeat(300_000);
        server.write("one", "first");
        server.write("two", &large);
        server.write("three", "third");
        let get = |name: &str| format!("GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = server.say([get("one"), get("two"), get("none"), get("three")].concat());
        let bodies: Vec<&str> = answer.split("HTTP/1.1 ").skip(1).map(body).collect();
        assert_eq!(bodies, ["first", large.as_str(), "404 Not Found\n", "third"]);

        // One byte at a time is as good.
        let mut stream = server.connect();
        for byte in format!("{}{}", get("one"), get("three")).bytes() {
            stream.write_all(&[byte]).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("first") && answer.ends_with("third"), "{answer}");
    });
}

#[test]
fn slow_and_idle_clients_are_let_go() {
    let arguments = ["--header-timeout", "0.3", "--idle-timeout", "0.6"];
    on_each("slow_and_idle_clients_are_let_go", &arguments, |server| {
        let mut slow = server.connect();
        slow.write_all(b"GET / HT").unwrap();
        let mut answer = String::new();
        slow.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), 408);

        let mut idle = server.connect();
        let start = Instant::now();
        answer.clear();
        idle.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "there is nothing to say to who asked nothing");
        assert!(start.elapsed() >= Duration::from_millis(500));
    });
}

#[test]
fn a_head_that_trickles_in_is_not_waited_for() {
    on_each("a_head_that_trickles_in_is_not_waited_for", &["--header-timeout", "0.3"], |server| {
        let mut slow = server.connect();
        slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nLong: ").unwrap();
        slow.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut answer = [0; 12];
        let answered =
            (0..500).any(|_| slow.write_all(b"x").is_err() || slow.read_exact(&mut answer).is_ok());
        assert!(answered, "a byte now and then does not hold a connection");
        assert_eq!(&answer, b"HTTP/1.1 408");
    });
}

#[test]
fn a_file_that_is_replaced_is_not_mixed_with_the_new_one() {
    on_each("a_file_that_is_replaced_is_not_mixed_with_the_new_one", &[], |server| {
        let tag_and_length = |answer: &str| (header(answer, "ETag").to_owned(), body(answer).len());
        server.write("large", "o".repeat(300_000));
        let old = tag_and_length(&server.ask("GET", "/large", ""));
        let new = server.write("new", "n".repeat(600_000));
        fs::rename(new, server.directory.path().join("large")).unwrap();
        let new = tag_and_length(&server.ask("GET", "/large", ""));
        assert_eq!((old.1, new.1), (300_000, 600_000));
        assert_ne!(old.0, new.0);
    });
}

#[test]
fn the_last_answer_arrives_though_more_was_asked() {
    on_each("the_last_answer_arrives_though_more_was_asked", &[], |server| {
        server.write("large", vec![7; 3 << 20]);
        let mut stream = server.connect();
        let last = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        let more = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
        stream.write_all([last, &more].concat().as_bytes()).unwrap();
        // What came after the last request was never read, and closing with that would reset the connection.
        std::thread::sleep(Duration::from_millis(50));
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.len() > 3 << 20 && answer.len() < 4 << 20, "{} bytes came", answer.len());
    });
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    on_each("a_client_that_does_not_read_is_let_go", &["--write-timeout", "0.3"], |server| {
        server.write("large", vec![7; 64 << 20]);
        let before = server.descriptors();
        let mut stream = server.connect();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        std::thread::sleep(Duration::from_millis(400));
        while server.descriptors() > before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(server.descriptors(), before, "connection and file are closed");
    });
}

#[test]
fn too_many_connections_are_told_so() {
    on_each("too_many_connections_are_told_so", &["--connections-max", "2", "--threads", "2"], |server| {
        let mut kept: Vec<TcpStream> = (0..2).map(|_| server.connect()).collect();
        for stream in &mut kept {
            stream.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        }
        let refused = server.ask("GET", "/none", "");
        assert_eq!((status(&refused), header(&refused, "Retry-After")), (503, "1"));
        drop(kept);
        let start = Instant::now();
        // Beyond that many refusals at once, closing is the answer.
        while !server.ask("GET", "/none", "").starts_with("HTTP/1.1 404") {
            assert!(start.elapsed() < Duration::from_secs(5), "there is room again");
        }
    });
}

#[test]
fn used_up_descriptors_make_it_wait_and_not_end() {
    let test = "used_up_descriptors_make_it_wait_and_not_end";
    for driver in support::drivers(test) {
        let _watchdog = Watchdog::over(test);
        let Some(mut server) = Served::with_descriptors_left(3, driver) else {
            return support::skipped(test, "there is no prlimit");
        };
        let mut waiting: Vec<TcpStream> = (0..20).map(|_| server.connect()).collect();
        server.says("no connection can be accepted", 1);
        // Places come free and are taken, again and again.
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(20));
            waiting.remove(0);
            waiting.push(server.connect());
        }
        drop(waiting);
        server.write("text", "still there");
        assert_eq!(body(&server.ask("GET", "/text", "")), "still there");
        let (_, said) = server.interrupt();
        // Once, though neither of its threads can.
        assert_eq!(said.matches("no connection can be accepted").count(), 1, "{said}");
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    on_each("a_file_that_shrinks_while_it_is_sent_ends_the_connection", &[], |server| {
        let path = server.write("large", vec![b'x'; 64 << 20]);
        let mut stream = server.connect();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut first = vec![0; 4096];
        stream.read_exact(&mut first).unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(8 << 20).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < 60 << 20, "less than was announced, and then the end");
        assert!(rest.iter().all(|byte| *byte == b'x'), "nothing is made up");
        assert_eq!(server.status("GET", "/none", ""), 404, "the server goes on");
    });
}

#[test]
fn peers_that_reset_leave_nothing_behind() {
    on_each("peers_that_reset_leave_nothing_behind", &[], |server| {
        server.write("large", vec![7; 8 << 20]);
        assert_eq!(server.status("GET", "/none", ""), 404);
        let before = server.descriptors();
        for n in 0..100 {
            let stream = server.connect();
            let socket = socket2::SockRef::from(&stream);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            let _ = (&stream).write_all(if n % 2 == 0 {
                b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
            } else {
                b"GET"
            });
        }
        assert_eq!(server.status("GET", "/none", ""), 404);
        let deadline = Instant::now() + Duration::from_secs(5);
        while server.descriptors() > before && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(server.descriptors() <= before);
    });
}

#[test]
fn an_interrupt_ends_it_cleanly() {
    on_each("an_interrupt_ends_it_cleanly", &[], |server| {
        let mut idle = server.connect();
        idle.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
        let start = Instant::now();
        let (code, said) = server.interrupt();
        assert_eq!(code, Some(0), "{said}");
        assert!(start.elapsed() < Duration::from_secs(3), "an idle connection is not waited for");
    });
}

#[test]
fn a_download_is_finished_after_an_interrupt() {
    on_each("a_download_is_finished_after_an_interrupt", &[], |server| {
        server.write("large", vec![7; 16 << 20]);
        let mut stream = server.connect();
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1]).unwrap();
        server.signal("-INT");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert!(rest.len() > 16 << 20, "{} bytes came", rest.len());
        let (code, said) = server.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("cut off"), "it has its file, so it is busy no more: {said}");
    });
}

#[test]
fn a_server_that_nobody_listens_to_goes_on() {
    on_each("a_server_that_nobody_listens_to_goes_on", &[], |server| {
        let mut child = Command::new(example("serve"))
            .arg(server.directory.path())
            .args(["--addr", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // One line is read, and then the pipe is closed, as by `head -n 1`.
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut String::new()).unwrap();
        std::thread::sleep(Duration::from_millis(1200));
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn an_address_that_cannot_be_had_is_explained() {
    for driver in support::drivers("an_address_that_cannot_be_had_is_explained") {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let output = Command::new(example("serve"))
            .args([".", "--addr", &address, "--driver", &driver.to_string()])
            .output()
            .expect("the example was built");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&address) && said.contains("listens there"), "{said}");
    }
}
