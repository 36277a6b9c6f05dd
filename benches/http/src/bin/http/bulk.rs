//! The client's end of a bulk transfer: rustls over a blocking socket.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use annulus_http_bench::{Direction, PIECE, client};
use rustls::{ClientConnection, StreamOwned};

/// How much one order asks for.
const ORDER: u64 = 32 << 20;

/// A connection.
pub struct Bulk {
    stream: StreamOwned<ClientConnection, TcpStream>,
    piece: Vec<u8>,
}

impl Bulk {
    /// Connects; the handshake is made by the first transfer.
    ///
    /// # Errors
    /// The system's, and a certificate that is none.
    pub fn connect(address: SocketAddr, credentials: &Path) -> io::Result<Bulk> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(10)))?;
        socket.set_write_timeout(Some(Duration::from_secs(10)))?;
        let name = "localhost".try_into().map_err(io::Error::other)?;
        let connection = ClientConnection::new(client(credentials)?, name).map_err(io::Error::other)?;
        Ok(Bulk { stream: StreamOwned::new(connection, socket), piece: vec![b'x'; PIECE] })
    }

    /// Moves some bytes, waits until the other side has them, and says how many they were.
    ///
    /// # Errors
    /// The connection's, and wrong bytes.
    pub fn transfer(&mut self, direction: Direction) -> io::Result<u64> {
        self.stream.write_all(&direction.order(ORDER))?;
        self.stream.flush()?;
        let mut left = ORDER;
        match direction {
            Direction::Down => {
                while left > 0 {
                    let count = self.stream.read(&mut self.piece)?;
                    if count == 0 || count as u64 > left || self.piece[..count] != [b'x'; PIECE][..count] {
                        return Err(io::Error::other("the server did not send what it was asked for"));
                    }
                    left -= count as u64;
                }
            }
            Direction::Up => {
                while left > 0 {
                    self.stream.write_all(&self.piece)?;
                    left -= self.piece.len() as u64;
                }
                self.stream.flush()?;
                let mut answer = [0];
                self.stream.read_exact(&mut answer)?;
                if answer != *b"!" {
                    return Err(io::Error::other("the server did not take what it was sent"));
                }
            }
        }
        Ok(ORDER)
    }
}
