//! gRPC by tonic without its transport: what it sends goes over hyper's HTTP/2, over a stream of annulus.

mod channel;
// Made by proto/generate.
#[allow(missing_docs, clippy::all)]
pub mod telemetry;

pub use channel::Channel;

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// How long the client waits, as it says in `grpc-timeout`: digits and a unit. It is for the server to stop then; tonic's own transport
/// would see to it.
pub fn deadline(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number.saturating_mul(3600)),
        "M" => Duration::from_secs(number.saturating_mul(60)),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}
