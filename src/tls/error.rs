//! What went wrong between two who wanted to speak TLS, with the likely cause and what to do.

use std::error::Error;
use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError};

/// A handshake that failed: found inside of the [`io::Error`](std::io::Error), by `get_ref` and `downcast_ref`.
///
/// # Examples
/// As [`AcceptorBuilder::client_certificates_required`](super::AcceptorBuilder::client_certificates_required).
#[derive(Debug)]
pub struct HandshakeError {
    error: rustls::Error,
    hint: &'static str,
}

impl HandshakeError {
    /// What rustls says.
    ///
    /// # Examples
    /// As [`AcceptorBuilder::client_certificates_required`](super::AcceptorBuilder::client_certificates_required).
    pub fn rustls(&self) -> &rustls::Error {
        &self.error
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the TLS handshake failed: {}", self.error)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, ": {}", self.hint) }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// An error of a handshake, with what is likely to help.
pub(super) fn explained(error: io::Error) -> io::Error {
    let kind = error.kind();
    if kind == io::ErrorKind::UnexpectedEof {
        let text = "the other side closed the connection during the TLS handshake: it may not speak TLS, or refuse without a word";
        return io::Error::new(kind, text);
    }
    match error.downcast::<rustls::Error>() {
        Ok(error) => io::Error::new(kind, HandshakeError { hint: hint(&error), error }),
        Err(error) => error,
    }
}

fn hint(error: &rustls::Error) -> &'static str {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage, NoCertificatesPresented};
    match error {
        InvalidCertificate(error) => of_a_certificate(error),
        InvalidMessage(_) => {
            "what came is not TLS: the other side may speak plain HTTP, or something else, at this port"
        }
        NoCertificatesPresented => "the client is to show a certificate and has none",
        rustls::Error::NoApplicationProtocol => {
            "no protocol is offered by both sides: see alpn of the acceptor and the connector"
        }
        rustls::Error::PeerIncompatible(_) => "the two sides have no version or cipher in common",
        AlertReceived(alert) => of_an_alert(alert),
        _ => "",
    }
}

fn of_a_certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted has signed it: add the root of who did (roots of the builder), or have the other side send its whole chain"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name: connect by a name that it has"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "it is to be renewed, or this machine's clock is wrong"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "this machine's clock may be wrong"
        }
        CertificateError::BadSignature => "it was changed, or a root of the same name has another key by now",
        _ => "",
    }
}

fn of_an_alert(alert: &AlertDescription) -> &'static str {
    match alert {
        AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError => {
            "the other side does not trust our certificate: it is to know our root, and we are to send the whole chain"
        }
        AlertDescription::CertificateExpired => "the other side says that our certificate has expired",
        AlertDescription::CertificateRequired => {
            "the other side wants a certificate of us: certificate of the connector's builder gives it one"
        }
        AlertDescription::NoApplicationProtocol => {
            "no protocol is offered by both sides: see alpn of the acceptor and the connector"
        }
        AlertDescription::UnrecognisedName => "the other side does not serve that name",
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            "the two sides have no version or cipher in common"
        }
        _ => "",
    }
}
