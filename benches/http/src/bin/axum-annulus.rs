//! axum on annulus, on one loop: by `annulus::http::serve`, or by hyper alone over either view of a socket.

use std::io;
use std::net::TcpListener;

use annulus::hyper::LocalExecutor;
use annulus::{Driver, Runtime};
use annulus_http_bench::{Common, TowerService, router};
use clap::{Parser, ValueEnum};
use hyper_util::server::conn::auto;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[arg(long, default_value = "uring")]
    driver: Kind,
    /// How hyper sees a socket, with `--plain-hyper`.
    #[arg(long, default_value = "poll")]
    view: View,
    /// hyper-util's `auto::Builder`, a task each, as `axum-tokio --serve auto` has it; without `http::serve`.
    #[arg(long)]
    plain_hyper: bool,
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
    let listener = arguments.common.listen()?;
    let driver = if arguments.driver == Kind::Uring { Driver::Uring } else { Driver::Readiness };
    let runtime = Runtime::builder().driver(driver).build()?;
    runtime.run(async move {
        if arguments.plain_hyper {
            by_hyper(listener, arguments.view).await
        } else {
            let listener = annulus::net::TcpListener::from_std(listener)?;
            annulus::http::serve(listener, router()).await
        }
    })?
}

async fn by_hyper(listener: TcpListener, view: View) -> io::Result<()> {
    let listener = annulus::net::TcpListener::from_std(listener)?;
    let router = router();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let router = router.clone();
        drop(annulus::spawn(async move {
            match view {
                View::Poll => each(stream.into_poll(), router).await,
                View::Buffered => each(stream.into_buffered(), router).await,
            }
        }));
    }
}

async fn each(stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + 'static, router: axum::Router) {
    let builder = auto::Builder::new(LocalExecutor);
    let _ = builder.serve_connection(stream, TowerService(router)).await;
}
