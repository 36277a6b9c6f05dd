//! axum on tokio's current-thread runtime, as its users have it: by `axum::serve`, or by hyper-util's builder.

use std::io;
use std::net::TcpListener;

use annulus_http_bench::{Common, router};
use axum::serve::ListenerExt;
use clap::{Parser, ValueEnum};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    /// What accepts and serves.
    #[arg(long, default_value = "axum")]
    serve: Serve,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Serve {
    /// `axum::serve`.
    Axum,
    /// hyper-util's `auto::Builder`, a task each.
    Auto,
    /// The same with a timer, so that a client that sends its headers too slowly is let go.
    AutoTimer,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let listener = arguments.common.listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        match arguments.serve {
            Serve::Axum => by_axum(listener).await,
            serve => by_hyper(listener, serve == Serve::AutoTimer).await,
        }
    })
}

async fn by_axum(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router()).await
}

async fn by_hyper(listener: TcpListener, timed: bool) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = router();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            if timed {
                builder.http1().timer(TokioTimer::new());
                builder.http2().timer(TokioTimer::new());
            }
            let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}
