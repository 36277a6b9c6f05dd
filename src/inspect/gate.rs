//! Who is let in: whose page it is that asks, and whether it has the token.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::query::pairs;

/// Why a request is refused.
pub(super) type Refusal = (StatusCode, String);

/// A header that a page of somebody else cannot send without asking first, which nobody here permits.
const ASKED: &str = "x-annulus";

/// What a client has to show.
pub(super) struct Gate {
    token: Option<String>,
}

impl Gate {
    pub(super) fn new(token: Option<String>) -> Gate {
        Gate { token }
    }

    /// A page whose name was made to mean this machine (DNS rebinding) says that name here.
    pub(super) fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let said = match (hosts.next().map(HeaderValue::to_str), hosts.next()) {
            (Some(Ok(said)), None) => said,
            (None, _) => return Err(refused_host("there is no host in it")),
            _ => return Err(refused_host("it says several hosts, or one that is no text")),
        };
        let named = [Some(said), uri.authority().map(|authority| authority.as_str())];
        match named.into_iter().flatten().find(|host| !is_this_machine(host)) {
            None => Ok(()),
            Some(stranger) => Err(refused_host(&format!("it asks for {stranger:?}"))),
        }
    }

    /// `by_url` is for the page itself, which has nothing else to say it by.
    pub(super) fn check_token(&self, headers: &HeaderMap, by_url: Option<&str>) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let by_header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let by_header = by_header.and_then(|value| value.split_once(' ')).and_then(|(scheme, said)| {
            scheme.eq_ignore_ascii_case("bearer").then_some(said.trim_start_matches(' '))
        });
        let by_url = by_url.and_then(|query| {
            pairs(query).find(|(key, _)| key == "token").map(|(_, value)| value.into_owned())
        });
        let said = by_header.or(by_url.as_deref());
        if said.is_some_and(|said| is_same(said, token)) {
            return Ok(());
        }
        let what = if said.is_some() { "the token is another one" } else { "a token is missing" };
        let text = format!(
            "{what}: open the page as /?token=TOKEN, or send the header `Authorization: Bearer TOKEN`, with the one \
             that the program was given"
        );
        Err((StatusCode::UNAUTHORIZED, text))
    }

    /// What changes something is not to be had by a form of somebody else's page.
    pub(super) fn check_asked(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match headers.get(ASKED).is_some_and(|value| value == "1") {
            true => Ok(()),
            false => {
                let text = "it changes something, and the header `X-Annulus: 1` is missing, which pages of others \
                            cannot send: send it if this is meant";
                Err((StatusCode::FORBIDDEN, text.to_owned()))
            }
        }
    }
}

fn refused_host(why: &str) -> Refusal {
    let text = format!(
        "this request is refused, because {why}: a name may have been made to mean this machine by somebody else's page; \
         ask for an IP address or for localhost"
    );
    (StatusCode::FORBIDDEN, text)
}

/// Whether a host is an address, or localhost: with a port or without.
fn is_this_machine(host: &str) -> bool {
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok();
    if let Some((ip, port)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = port.strip_prefix(':').or(port.is_empty().then_some(""));
        return ip.parse::<Ipv6Addr>().is_ok() && port.is_some_and(is_port);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    is_port(port) && (name.parse::<Ipv4Addr>().is_ok() || name.eq_ignore_ascii_case("localhost"))
}

/// Takes as long wherever they differ.
fn is_same(one: &str, other: &str) -> bool {
    let differing = one.bytes().zip(other.bytes()).fold(0, |seen, (one, other)| seen | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_this_machine_only_by_address_or_as_localhost() {
        for host in
            ["127.0.0.1", "127.0.0.1:7070", "10.1.2.3:80", "[::1]", "[::1]:7", "localhost", "LocalHost:9"]
        {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "example.org:7070",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "[::1].example.org",
            "[::1]x:7",
            "user@localhost",
            "localhost:http",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn tokens_are_the_same_only_whole() {
        assert!(is_same("tea", "tea"));
        for other in ["", "te", "teas", "toa", "tee"] {
            assert!(!is_same(other, "tea"), "{other}");
        }
    }
}
