//! HTTP by hyper, on this loop: [`serve`] for axum, tonic, and whatever is a service of tower's, and [`Client`] (feature `http-serve`).

mod answering;
mod board;
mod body;
mod client;
mod connection;
mod connections;
mod handle;
mod limits;
mod parting;
mod serve;
mod service;
mod serving;
mod transport;
mod watch;

pub use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version, header,
};
pub use ::hyper::body::Incoming;
pub use body::{Text, text};
pub use client::{Client, ClientBuilder, ClientCounts, Error, ResponseBody, ResponseFuture, Stage};
pub use connections::{Connections, IntoConnections};
pub use handle::{ServeCounts, ServeHandle};
pub use serve::{Peer, Serve, serve, serve_with};
pub use service::{HyperService, ServiceFn, service_fn};
pub use serving::Serving;
