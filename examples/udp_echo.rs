//! Sends datagrams back to where they came from, many with one system call.
//!
//! ```sh
//! cargo run --release --example udp_echo -- --addr 127.0.0.1:7007 --driver uring
//! printf 'hello' | nc -u -w 1 127.0.0.1 7007
//! ```

use std::io;

use annulus::net::{Outgoing, UdpSocket};
use annulus::{Driver, Runtime};
use clap::Parser;

/// Sends datagrams back to where they came from.
#[derive(Parser)]
struct Arguments {
    /// Where to receive.
    #[arg(long, default_value = "127.0.0.1:7007")]
    addr: String,
    /// auto, uring or readiness.
    #[arg(long, default_value_t = Driver::Auto)]
    driver: Driver,
    /// How many datagrams are received and sent with one call, at most.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// The longest datagram that is sent back whole, in bytes.
    #[arg(long, default_value_t = 2048)]
    room: usize,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let runtime = Runtime::builder().driver(arguments.driver).build()?;
    runtime.run(async {
        let socket = UdpSocket::bind(&arguments.addr).await?;
        eprintln!("echoing at {} ({})", socket.local_addr()?, runtime.driver());
        let mut rooms: Vec<_> = (0..arguments.batch).map(|_| Vec::with_capacity(arguments.room)).collect();
        loop {
            // The buffers are given away for each operation and come back with its result.
            let (messages, mut filled) = socket.recv_many(rooms).await;
            let messages = match messages {
                Ok(messages) => messages,
                Err(error) => {
                    eprintln!("a receive: {error}");
                    rooms = filled;
                    continue;
                }
            };
            rooms = filled.split_off(messages.len());
            let answers = messages.iter().zip(filled).map(|(message, bytes)| {
                if message.truncated {
                    eprintln!("{}: longer than {} bytes, the rest is lost", message.from, bytes.len());
                }
                Outgoing::new(bytes).to(message.from)
            });
            let (sent, sent_from) = socket.send_many(answers).await;
            match sent {
                Ok(count) if count < messages.len() => eprintln!("{} of {} were sent", count, messages.len()),
                Ok(_) => {}
                Err(error) => eprintln!("a send: {error}"),
            }
            rooms.extend(sent_from);
        }
    })?
}
