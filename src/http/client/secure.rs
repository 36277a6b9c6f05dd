//! TLS as a client has it: made with the first request that wants it, and offering what the client speaks.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

use super::builder::Spoken;
use crate::runtime::spawn_blocking;
use crate::tls::TlsConnector;

#[derive(Default)]
pub(super) struct Tls {
    given: Option<TlsConnector>,
    made: OnceCell<TlsConnector>,
}

impl Tls {
    pub(super) fn of(connector: TlsConnector) -> Tls {
        Tls { given: Some(connector), made: OnceCell::new() }
    }

    pub(super) async fn connector(&self, spoken: Spoken) -> io::Result<&TlsConnector> {
        if self.made.get().is_none() {
            let given = match &self.given {
                Some(connector) => connector.clone(),
                // Files are read for it.
                None => spawn_blocking(TlsConnector::new).await??,
            };
            let mut config = (**given.config()).clone();
            if config.alpn_protocols.is_empty() {
                let offered: &[&[u8]] = match spoken {
                    Spoken::Either => &[b"h2", b"http/1.1"],
                    Spoken::First => &[b"http/1.1"],
                    Spoken::Second => &[b"h2"],
                };
                config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
            }
            // The client's own limit bounds the handshake.
            let _ = self.made.set(TlsConnector::from(Arc::new(config)).handshake_limit(None));
        }
        Ok(self.made.get().expect("it was made above"))
    }
}
