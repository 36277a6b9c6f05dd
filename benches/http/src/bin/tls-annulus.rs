//! Bulk transfer by `annulus::tls` over either view of a socket.

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;

use annulus::tls::TlsAcceptor;
use annulus::{Driver, Runtime};
use annulus_http_bench::{Common, server, transfer};
use clap::{Parser, ValueEnum};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// Where the certificate and its key are.
    #[arg(long)]
    credentials: PathBuf,
    #[arg(long, default_value = "uring")]
    driver: Kind,
    /// What TLS is over.
    #[arg(long, default_value = "poll")]
    view: View,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    Uring,
    Readiness,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum View {
    /// Borrowed buffers, by readiness.
    Poll,
    /// Leases, copied once.
    Buffered,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let acceptor = TlsAcceptor::from(server(&arguments.credentials)?);
    let listener = arguments.common.listen()?;
    let driver = if arguments.driver == Kind::Uring { Driver::Uring } else { Driver::Readiness };
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.run(serve(listener, acceptor, arguments.view))?
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, view: View) -> io::Result<()> {
    let listener = annulus::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        drop(annulus::spawn(async move {
            match view {
                View::Poll => transfer(acceptor.accept(stream.into_poll()).await?).await,
                View::Buffered => transfer(acceptor.accept(stream.into_buffered()).await?).await,
            }
        }));
    }
}
