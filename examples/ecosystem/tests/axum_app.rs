//! `axum_app` as a process, and those for whom it is made: curl, openssl, wrk, h2load, a browser, and clients of bad faith.

mod support;

#[path = "axum_app/app.rs"]
mod app;

use std::fs;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use app::{App, WebSocket};
use support::found::program;
use support::process::{Process, output};
use support::until;

on_real_drivers! {
    fn notes_are_kept_and_told_of_by_json(driver: &str) {
        let Some(curl) = program("curl") else { return };
        let app = App::start(driver, &[]);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let ask = |arguments: &[&str], path: &str| {
                let mut command = Command::new(&curl);
                command.args(["-sS", version, "-w", " %{http_code}"]).args(arguments);
                output(command.arg(app.at(path)))
            };
            let json = ["-H", "content-type: application/json", "-d"];
            let added = ask(&[&json[..], &[r#"{"text":"tea ☕"}"#]].concat(), "/api/notes");
            assert!(added.ends_with(r#","text":"tea ☕"} 201"#), "{added}");
            let id: u64 = added[6..].split(',').next().unwrap().parse().unwrap();
            let place = format!("/api/notes/{id}");
            let note = format!(r#"{{"id":{id},"text":"tea ☕"}}"#);
            assert_eq!(ask(&[], &place), format!("{note} 200"));
            assert_eq!(ask(&[], "/api/notes"), format!("[{note}] 200"));
            assert_eq!(ask(&["-X", "DELETE"], &place), " 204");
            assert!(ask(&[], &place).ends_with(" 404"));
            assert!(ask(&["-X", "DELETE"], &place).ends_with(" 404"));
            assert_eq!(ask(&[], "/api/notes"), "[] 200");
            for (bad, status) in [("{", " 400"), (r#"{"words":1}"#, " 422")] {
                let refused = ask(&[&json[..], &[bad]].concat(), "/api/notes");
                assert!(refused.ends_with(status), "{refused}");
            }
            let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(20_000));
            assert!(ask(&[&json[..], &[&long]].concat(), "/api/notes").ends_with(" 413"));
        }
        app.ends();
    }

    fn both_protocols_are_spoken_with_and_without_tls(driver: &str) {
        let Some(curl) = program("curl") else { return };
        let version = |app: &App, arguments: &[&str]| {
            let mut command = Command::new(&curl);
            command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code} %{http_version}"]).args(arguments);
            output(command.arg(app.at("/chat")))
        };
        let plain = App::start(driver, &[]);
        assert_eq!(version(&plain, &["--http1.1"]), "200 1.1");
        assert_eq!(version(&plain, &["--http1.0"]), "200 1");
        assert_eq!(version(&plain, &["--http2-prior-knowledge"]), "200 2");
        plain.ends();
        let app = App::start_tls(driver);
        let authority = app.authority();
        assert_eq!(version(&app, &["--http1.1", "--cacert", &authority]), "200 1.1");
        assert_eq!(version(&app, &["--http2", "--cacert", &authority]), "200 2");
        assert_eq!(version(&app, &["--no-alpn", "--cacert", &authority]), "200 1.1");
        assert_eq!(version(&app, &["--tls-max", "1.2", "--http2", "--cacert", &authority]), "200 2");
        // Who does not know the authority does not trust it.
        let distrusts = Command::new(&curl).args(["-sS", &app.at("/chat")]).output().unwrap();
        assert_eq!(distrusts.status.code(), Some(60));
        app.ends();
    }

    fn openssl_agrees_on_what_it_offers(driver: &str) {
        let Some(openssl) = program("openssl") else { return };
        let app = App::start_tls(driver);
        let (authority, address) = (app.authority(), app.address.to_string());
        let says = |alpn: &str, text: &[u8]| {
            let mut command = Command::new(&openssl);
            command.args(["s_client", "-alpn", alpn, "-CAfile", &authority, "-verify_return_error", "-ign_eof"]);
            command.args(["-servername", "localhost", "-connect", &address]);
            let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = pipes.spawn().unwrap();
            child.stdin.take().unwrap().write_all(text).unwrap();
            let done = child.wait_with_output().unwrap();
            String::from_utf8_lossy(&done.stdout).into_owned()
        };
        let request = b"GET /api/notes HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let text = says("http/1.1", request);
        assert!(text.contains("ALPN protocol: http/1.1") && text.contains("HTTP/1.1 200 OK"), "{text}");
        assert!(text.contains("Verification: OK"), "{text}");
        // The preface, and GOAWAY at once: so the server ends it.
        let goaway = b"\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let text = says("h2", &[&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"[..], goaway].concat());
        assert!(text.contains("ALPN protocol: h2"), "{text}");
        // One that knows neither is refused by TLS itself.
        let text = says("spdy/1", b"");
        assert!(!text.contains("ALPN protocol") && !text.contains("HTTP/"), "{text}");
        app.ends();
    }

    fn load_is_answered_without_a_failure(driver: &str) {
        let app = App::start(driver, &[]);
        if let Some(wrk) = program("wrk") {
            let text = output(Command::new(wrk).args(["-t1", "-c32", "-d1s", &app.at("/api/notes")]));
            assert!(!text.contains("Socket errors") && !text.contains("Non-2xx"), "{text}");
            print!("{text}");
        }
        let h2load = program("h2load");
        if let Some(h2load) = &h2load {
            assert_loads(h2load, &app.at("/api/notes"), &[]);
            assert_loads(h2load, &app.at("/api/notes"), &["--h1"]);
        }
        app.ends();
        let app = App::start_tls(driver);
        if let Some(h2load) = &h2load {
            assert_loads(h2load, &app.at("/chat"), &[]);
            assert_loads(h2load, &app.at("/chat"), &["--h1"]);
        }
        app.ends();
    }

    fn events_come_as_they_happen_and_silence_is_filled(driver: &str) {
        let Some(curl) = program("curl") else { return };
        let app = App::start(driver, &["--beat", "0.2"]);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let mut events = Process::start(Command::new(&curl).args(["-sSN", version, &app.at("/events")]));
            events.says("event: ", "hello");
            events.says(": ", "still here");
            let json = ["-sS", "-H", "content-type: application/json", "-d", r#"{"text":"news"}"#];
            output(Command::new(&curl).args(json).arg(app.at("/api/notes")));
            events.says("event: ", "added");
            events.says("data: ", r#""text":"news""#);
            events.says(": ", "still here");
        }
        // Those who listen do not hold up the end.
        let mut listener = Process::start(Command::new(&curl).args(["-sSN", &app.at("/events")]));
        listener.says("event: ", "hello");
        app.ends();
        assert!(listener.ended().0.success(), "the stream ends as streams end");
    }

    fn files_come_whole_and_no_path_leads_out_of_the_folder(driver: &str) {
        let Some(curl) = program("curl") else { return };
        let folder = tempfile::tempdir().unwrap();
        let large: Vec<u8> = (0..5_000_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        fs::create_dir(folder.path().join("public")).unwrap();
        fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        fs::write(folder.path().join("public/large.bin"), &large).unwrap();
        fs::write(folder.path().join("public/page.html"), "<p>hello").unwrap();
        std::os::unix::fs::symlink("../secret.txt", folder.path().join("public/link.txt")).unwrap();
        let app = App::start(driver, &["--files", folder.path().join("public").to_str().unwrap()]);
        let ask = |arguments: &[&str], path: &str| {
            let done = Command::new(&curl).args(["-sS", "--path-as-is"]).args(arguments).arg(app.at(path)).output();
            done.unwrap().stdout
        };
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            assert!(ask(&[version], "/static/large.bin") == large, "20 MB compare equal");
        }
        let head = String::from_utf8(ask(&["-i"], "/static/page.html")).unwrap();
        assert!(head.contains("content-type: text/html") && head.ends_with("<p>hello"), "{head}");
        let out = ["../secret.txt", "%2e%2e/secret.txt", "link.txt", "/etc/passwd", "nothing", "", ".", "a%00b"];
        for path in out {
            let answer = String::from_utf8(ask(&["-w", " %{http_code}"], &format!("/static/{path}"))).unwrap();
            assert!(answer.ends_with(" 404") || answer.ends_with(" 400"), "{path}: {answer}");
        }
        app.ends();
    }

    fn a_browser_chats(driver: &str) {
        let (Some(chromium), Some(curl)) = (program("chromium"), program("curl")) else { return };
        for app in [App::start(driver, &[]), App::start_tls(driver)] {
            let folder = tempfile::tempdir().unwrap();
            let shows = browser(&chromium, folder.path(), &app.at("/chat/test"));
            // The page tries itself out, and makes a note of what came of it.
            let text = until("the page's note", || {
                let notes = output(Command::new(&curl).args(["-sSk", &app.at("/api/notes")]));
                (notes != "[]").then_some(notes)
            });
            assert!(text.contains("all passed"), "{text}");
            println!("{}", text.replace("\\n", "\n"));
            shows.signal("TERM");
            shows.ended();
            app.ends();
        }
    }

    fn who_chats_without_manners_harms_nobody_else(driver: &str) {
        let app = App::start(driver, &["--beat", "1"]);
        let mut good = WebSocket::open(&app);
        let check = |good: &mut WebSocket, what: &str| {
            good.says(1, what.as_bytes());
            loop {
                let (kind, text) = good.hears();
                match kind {
                    9 => good.says(10, &text),
                    1 if text == what.as_bytes() => return,
                    _ => {}
                }
            }
        };
        check(&mut good, "alone");

        // One half closed: it is ended at once, and not after a time-out.
        let mut half = WebSocket::open(&app);
        half.stream.shutdown(Shutdown::Write).unwrap();
        half.is_ended();
        check(&mut good, "after one that was half closed");

        // Each of these is a protocol error, or worse.
        let long_ping = [&b"\x89\xfe\0\x7e\0\0\0\0"[..], &[0; 126]].concat();
        let garbage: [(&[u8], Option<u16>); 7] = [
            (b"GET / HTTP/1.1\r\n\r\n", Some(1002)),
            (&[0xff; 64], Some(1002)),
            // Not masked.
            (b"\x81\x02hi", Some(1002)),
            // A continuation of nothing.
            (b"\x80\x80\0\0\0\0", Some(1002)),
            // A ping of 126 bytes.
            (&long_ping, Some(1002)),
            // Text that is none.
            (b"\x81\x82\0\0\0\0\xff\xfe", Some(1007)),
            // A message of 2^62 bytes.
            (b"\x82\xff\x40\0\0\0\0\0\0\0\0\0\0\0", Some(1009)),
        ];
        for (bytes, code) in garbage {
            let mut bad = WebSocket::open(&app);
            bad.stream.write_all(bytes).unwrap();
            assert_eq!(bad.close_code(), code, "{bytes:?}");
            check(&mut good, "after garbage");
        }

        // Who does not answer pings is asked to leave; who does not read either, is left.
        let mut silent = WebSocket::open(&app);
        let told = thread::spawn(move || silent.close_code());
        while !told.is_finished() {
            thread::sleep(Duration::from_millis(100));
            check(&mut good, "beside a silent one");
        }
        assert_eq!(told.join().unwrap(), Some(1008));
        let deaf = WebSocket::open(&app);
        for _ in 0..40 {
            good.says(2, &[0; 1 << 20]);
            loop {
                let (kind, bytes) = good.hears();
                match kind {
                    2 => break assert_eq!(bytes.len(), 1 << 20),
                    9 => good.says(10, &bytes),
                    _ => {}
                }
            }
            check(&mut good, &"x".repeat(60_000));
        }
        drop(deaf);
        // No WebSocket at all.
        for request in ["", "connection: upgrade\r\nupgrade: websocket\r\n", "upgrade: websocket\r\nsec-websocket-version: 13\r\n"] {
            let text = app.says(format!("GET /ws HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{request}\r\n").as_bytes());
            assert!(text.starts_with("HTTP/1.1 4"), "{text}");
        }
        let text = app.says(app::OPENING.replace("host: h", "host: h\r\norigin: http://elsewhere").as_bytes());
        assert!(text.starts_with("HTTP/1.1 403"), "{text}");
        check(&mut good, "to the end");

        // At the end those who chat are told.
        app.process().signal("TERM");
        assert_eq!(good.close_code(), Some(1001));
        drop(good);
        app.has_ended();
    }

    fn tls_that_is_none_or_is_cut_off_harms_nobody_else(driver: &str) {
        let (Some(curl), Some(openssl)) = (program("curl"), program("openssl")) else { return };
        let app = App::start_tls(driver);
        let works = |what: &str| {
            let mut command = Command::new(&curl);
            let text = output(command.args(["-sS", "--cacert", &app.authority(), &app.at("/api/notes")]));
            assert_eq!(text, "[]", "{what}");
        };
        let mut garbage: Vec<Vec<u8>> = vec![
            b"GET / HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(),
            vec![0; 1000],
            vec![0xff; 100_000],
            // A record that is longer than any may be, and one that promises what never comes.
            b"\x16\x03\x01\xff\xff".iter().copied().chain([1; 70_000]).collect(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        ];
        garbage.push(Vec::new());
        for bytes in &garbage {
            let mut stream = app.connect();
            // Refused amid of it, as a rule.
            let _ = stream.write_all(bytes);
            let _ = stream.shutdown(Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
            works("after garbage");
        }
        // Who says nothing, or half a hello, waits beside the others.
        let held: Vec<_> = (0..20).map(|_| app.connect()).collect();
        works("beside silent ones");
        drop(held);
        // Killed amid of an answer: no close_notify, no FIN of TLS.
        for _ in 0..5 {
            let mut command = Command::new(&openssl);
            let address = app.address.to_string();
            command.args(["s_client", "-quiet", "-CAfile", &app.authority(), "-connect", &address]);
            let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.as_mut().unwrap().write_all(b"GET /events HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 20]).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
        }
        works("after those that were killed");
        app.ends();
    }
}

#[track_caller]
fn assert_loads(h2load: &std::path::Path, url: &str, arguments: &[&str]) {
    let text =
        output(Command::new(h2load).args(["-n", "2000", "-c", "8", "-m", "10"]).args(arguments).arg(url));
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    assert!(text.contains("status codes: 2000 2xx"), "{text}");
}

/// A browser that shows a page, until it is dropped, with nothing of its own that it would remember.
fn browser(chromium: &std::path::Path, folder: &std::path::Path, url: &str) -> Process {
    let mut command = Command::new(chromium);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.args(["--disable-dev-shm-usage", "--remote-debugging-port=0", "--ignore-certificate-errors"]);
    Process::start(command.arg(format!("--user-data-dir={}", folder.display())).arg(url))
}
