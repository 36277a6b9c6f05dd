//! The program itself, over real sockets: it serves, and comes to an orderly end when it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn it_serves_and_ends_when_it_is_told_to() {
    let mut server = Command::new(env!("CARGO_BIN_EXE_shout"))
        .args(["--address", "127.0.0.1:0", "--drain", "5"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(server.stdout.take().unwrap());
    let mut line = String::new();
    says.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();

    let mut client = TcpStream::connect(&address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client.write_all(b"hello\n").unwrap();
    let mut heard = [0; 6];
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"HELLO\n");

    let told = Command::new("kill").args(["-TERM", &server.id().to_string()]).status().unwrap();
    assert!(told.success());
    // The connection is ended, the port is free, and the program says what became of it.
    assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    let mut rest = String::new();
    says.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "1 connections were served, 0 were cut off\n");
    assert!(server.wait().unwrap().success());
    assert!(TcpStream::connect(&address).is_err());
}
