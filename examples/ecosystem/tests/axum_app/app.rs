//! The program, and a WebSocket by hand.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::PATIENCE;
use crate::support::process::Process;
use crate::support::program::start;

pub(crate) struct App {
    process: Process,
    pub(crate) address: SocketAddr,
    scheme: String,
    /// Of its certificate.
    folder: Option<TempDir>,
}

impl App {
    pub(crate) fn start(driver: &str, options: &[&str]) -> App {
        let arguments = [&["127.0.0.1:0"][..], options].concat();
        let mut process = start(env!("CARGO_BIN_EXE_axum_app"), driver, &arguments, &[]);
        let (scheme, address) = process.line("listening on ", "its address", |line| {
            let (scheme, address) = line.split_once("://")?;
            Some((scheme.to_owned(), address.parse().ok()?))
        });
        App { process, address, scheme, folder: None }
    }

    pub(crate) fn start_tls(driver: &str) -> App {
        let folder = tempfile::tempdir().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("chain.pem"), made.cert.pem()).unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let options = ["--cert", &path("chain.pem"), "--key", &path("key.pem")];
        App { folder: Some(folder), ..App::start(driver, &options) }
    }

    /// The file of the certificate, which has signed itself.
    pub(crate) fn authority(&self) -> String {
        let folder = self.folder.as_ref().expect("it speaks TLS");
        folder.path().join("chain.pem").to_str().unwrap().to_owned()
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Says bytes, and hears the head of an answer.
    pub(crate) fn says(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        head(&mut stream)
    }

    /// Stops it, in order.
    #[track_caller]
    pub(crate) fn ends(self) {
        self.process.signal("TERM");
        self.has_ended();
    }

    #[track_caller]
    pub(crate) fn has_ended(self) {
        let (status, lines) = self.process.ended();
        assert!(status.success(), "{status}:\n{}", lines.join("\n"));
        assert!(lines.iter().any(|line| line.starts_with("ended: ")), "{}", lines.join("\n"));
        assert!(!lines.iter().any(|line| line.contains("panicked")), "{}", lines.join("\n"));
    }
}

pub(crate) const OPENING: &str = "GET /ws HTTP/1.1\r\nhost: h\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A client that writes frames as it likes.
pub(crate) struct WebSocket {
    pub(crate) stream: TcpStream,
}

impl WebSocket {
    pub(crate) fn open(app: &App) -> WebSocket {
        let mut stream = app.connect();
        stream.write_all(OPENING.as_bytes()).unwrap();
        let head = head(&mut stream);
        // The example of RFC 6455.
        assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        WebSocket { stream }
    }

    /// A whole message, masked with zeroes.
    pub(crate) fn says(&mut self, kind: u8, payload: &[u8]) {
        let mut frame = vec![0x80 | kind, 0xff];
        frame.extend((payload.len() as u64).to_be_bytes());
        if kind >= 8 {
            frame = vec![0x80 | kind, 0x80 | payload.len() as u8];
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).unwrap();
    }

    fn exactly<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let mut room = [0; COUNT];
        self.stream.read_exact(&mut room).ok().map(|()| room)
    }

    /// The next frame; None is the end.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let [kind, length] = self.exactly()?;
        let length = match length {
            126 => u16::from_be_bytes(self.exactly()?) as usize,
            127 => u64::from_be_bytes(self.exactly()?) as usize,
            length => length.into(),
        };
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).ok()?;
        Some((kind & 0xf, payload))
    }

    #[track_caller]
    pub(crate) fn hears(&mut self) -> (u8, Vec<u8>) {
        self.next().expect("it goes on")
    }

    /// The code with which it is closed, if one is told before its end.
    pub(crate) fn close_code(&mut self) -> Option<u16> {
        loop {
            match self.next()? {
                (8, payload) => return payload.first_chunk().map(|code| u16::from_be_bytes(*code)),
                _ => {}
            }
        }
    }

    pub(crate) fn is_ended(&mut self) {
        self.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        while self.next().is_some() {}
    }
}
