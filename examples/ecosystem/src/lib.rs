//! What the programs in `bin/` share: how a library that is given a stream gets one, and what it wants beside it.

pub mod grpc;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod web;
