//! Bulk transfer by tokio-rustls over tokio's TcpStream, on its current-thread runtime.

use std::io;
use std::path::PathBuf;

use annulus_http_bench::{Common, server, transfer};
use clap::Parser;
use tokio_rustls::TlsAcceptor;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Where the certificate and its key are.
    #[arg(long)]
    credentials: PathBuf,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let acceptor = TlsAcceptor::from(server(&arguments.credentials)?);
    let listener = arguments.common.listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let acceptor = acceptor.clone();
            tokio::spawn(async move { transfer(acceptor.accept(stream).await?).await });
        }
    })
}
