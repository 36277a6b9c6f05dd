//! The reverse proxy between curl and Python's server: turns, health, retries, what goes through and what does not.

mod support;

use std::collections::BTreeSet;

use support::process::Process;
use support::web::{Upstream, curl};
use support::{program, until};

const PROXY: &str = env!("CARGO_BIN_EXE_reverse_proxy");

struct Proxy {
    process: Process,
    url: String,
}

impl Proxy {
    /// In front of these, when it has looked at each once.
    fn start(driver: &str, upstreams: &[&str], up: usize) -> Proxy {
        let mut arguments = vec!["--listen", "127.0.0.1:0", "--timeout-ms", "700"];
        arguments.extend(upstreams);
        let mut process = program::start(PROXY, driver, &arguments, &[]);
        let url = process.line("listening on ", "", |address| Some(format!("http://{address}")));
        (0..up).for_each(|_| drop(process.says("up ", "")));
        Proxy { process, url }
    }

    /// The body, the status and the protocol of what curl gets.
    fn get(&self, path: &str, more: &[&str]) -> (String, String) {
        let url = format!("{}{path}", self.url);
        let mut arguments = more.to_vec();
        arguments.push(&url);
        curl(&arguments).expect("it was there before")
    }

    fn who(&self) -> String {
        let (body, code) = self.get("/who", &[]);
        assert!(code.starts_with("200"), "{code}: {body}");
        body
    }
}

/// Two upstreams, if there are Python and curl.
fn two() -> Option<(Upstream, Upstream)> {
    support::found::program("curl")?;
    Some((Upstream::start("a")?, Upstream::start("b")?))
}

on_real_drivers! {
    fn upstreams_take_turns_whatever_protocol_is_spoken(driver: &str) {
        let Some((a, b)) = two() else { return };
        let proxy = Proxy::start(driver, &[&a.address(), &b.address()], 2);
        for (option, version) in [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")] {
            let got: Vec<_> = (0..4).map(|_| proxy.get("/who", &[option])).collect();
            assert!(got.iter().all(|(_, code)| *code == format!("200 {version} 0")), "{got:?}");
            assert_eq!((&got[0].0, &got[1].0), (&got[2].0, &got[3].0));
            assert_eq!(got.iter().map(|got| &*got.0).collect::<BTreeSet<_>>().len(), 2);
        }
    }

    fn headers_of_one_connection_go_no_further_and_who_asks_is_told(driver: &str) {
        let Some((a, _)) = two() else { return };
        let proxy = Proxy::start(driver, &[&a.address()], 1);
        let sent = ["TE: trailers", "Proxy-Authorization: no", "X-Forwarded-For: 192.0.2.1", "X-Kept: yes", "Host: site.test"];
        // HTTP/2 does not permit these at all.
        let of_one_connection = ["Connection: x-secret, keep-alive", "X-Secret: 1", "Keep-Alive: 5"];
        for (option, more) in [("--http1.1", &of_one_connection[..]), ("--http2-prior-knowledge", &[])] {
            let mut arguments = vec![option];
            arguments.extend(sent.iter().chain(more).flat_map(|header| ["-H", header]));
            let (body, code) = proxy.get("/headers", &arguments);
            assert!(code.starts_with("200"), "{code}");
            for gone in ["x-secret", "keep-alive", "\"te\"", "proxy-authorization"] {
                assert!(!body.contains(gone), "{gone} in {body}");
            }
            for there in [
                "[\"x-forwarded-for\", \"192.0.2.1, 127.0.0.1\"]",
                "[\"x-kept\", \"yes\"]",
                "[\"host\", \"site.test\"]",
                "[\"x-forwarded-host\", \"site.test\"]",
                "[\"x-forwarded-proto\", \"http\"]",
                "[\"via\", \"1.1 annulus\"]",
            ] {
                assert!(body.contains(there), "{there} is not in {body}");
            }
        }
        let (head, _) = proxy.get("/who", &["-i"]);
        assert!(!head.contains("x-of-one-connection"), "{head}");
    }

    fn one_that_dies_costs_no_request_and_one_that_is_back_is_asked_again(driver: &str) {
        let Some((a, mut b)) = two() else { return };
        let mut proxy = Proxy::start(driver, &[&a.address(), &b.address()], 2);
        let (port, address) = (b.port, b.address());
        b.process.kill();
        for _ in 0..6 {
            assert_eq!(proxy.who(), "a");
        }
        proxy.process.says("down ", &address);
        let _b = Upstream::at("b", port, None).unwrap();
        proxy.process.says("up ", &address);
        assert_eq!([proxy.who(), proxy.who()].into_iter().collect::<BTreeSet<_>>().len(), 2);
    }

    fn one_that_hangs_is_a_504_and_soon_it_is_put_aside(driver: &str) {
        let Some((a, b)) = two() else { return };
        let mut proxy = Proxy::start(driver, &[&a.address(), &b.address()], 2);
        for _ in 0..6 {
            let (body, code) = proxy.get("/hang", &[]);
            assert!(code.starts_with("504 1.1"), "{code}: {body}");
            assert!(body.contains("in time"), "{body}");
        }
        // Both have hung three times.
        proxy.process.says("down ", "request_timeout");
        proxy.process.says("down ", "request_timeout");
        let (body, code) = proxy.get("/who", &["-i"]);
        assert!(code.starts_with("503 1.1") && body.contains("retry-after: 1"), "{code}: {body}");
        // They were only busy.
        proxy.process.says("up ", "");
        proxy.process.says("up ", "");
        proxy.who();
    }

    fn what_may_be_repeated_goes_to_another_one_and_nothing_else_does(driver: &str) {
        let Some((a, b)) = two() else { return };
        let proxy = Proxy::start(driver, &[&a.address(), &b.address()], 2);
        let got: Vec<_> = (0..2).map(|_| proxy.get("/close-a", &[])).collect();
        assert!(got.iter().all(|(body, code)| body == "b" && code.starts_with("200")), "{got:?}");
        let posted: Vec<_> = (0..2).map(|_| proxy.get("/close-a", &["-d", "x"]).1[..3].to_owned()).collect();
        assert!(posted.contains(&"502".to_owned()) && posted.contains(&"200".to_owned()), "{posted:?}");
        assert_eq!(a.seen().matches("POST /close-a").count(), 1, "{}", a.seen());
        assert_eq!(b.seen().matches("POST /close-a").count(), 1, "{}", b.seen());
    }

    fn one_that_dies_in_the_middle_is_seen_to_and_the_proxy_goes_on(driver: &str) {
        let Some((a, _)) = two() else { return };
        let proxy = Proxy::start(driver, &[&a.address()], 1);
        // Who learns of the death before the head has been written drops it, so there are two answers, in curl's words:
        // a partial file or an empty reply, a stream that was reset with a head or without one.
        for (option, seen) in [
            ("--http1.1", ["200 1.1 18", "000 0 52"]),
            ("--http2-prior-knowledge", ["200 2 92", "000 0 92"]),
        ] {
            let (body, code) = proxy.get("/half", &[option]);
            assert!(seen.contains(&&*code) && "half".starts_with(&*body), "{option}: {code}: {body}");
        }
        assert_eq!(proxy.who(), "a");
    }

    fn nobody_to_ask_is_a_503(driver: &str) {
        if support::found::program("curl").is_none() { return }
        let mut proxy = Proxy::start(driver, &["127.0.0.1:1"], 0);
        proxy.process.says("down ", "nobody listens there");
        assert!(proxy.get("/", &[]).1.starts_with("503"));
    }

    fn large_bodies_go_through_both_ways_and_are_not_gathered(driver: &str) {
        let Some((a, _)) = two() else { return };
        let proxy = Proxy::start(driver, &[&a.address()], 1);
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(128 << 20).unwrap();
        let upload = format!("@{}", file.path().display());
        for more in [vec![], vec!["-H", "transfer-encoding: chunked"], vec!["--http2-prior-knowledge"]] {
            let mut post = vec!["--data-binary", &*upload];
            post.extend(&more);
            let (sum, code) = proxy.get("/sum", &post);
            assert!(code.starts_with("200"), "{code}");
            assert_eq!(sum, "254bcc3fc4f27172636df4bf32de9f107f620d559b20d760197e452b97453917", "{more:?}");
        }
        let (_, code) = proxy.get("/large", &["-o", "/dev/null"]);
        assert_eq!(code, "200 1.1 0");
        let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 64 << 10, "{peak} KiB for bodies of 128 MiB");
    }

    fn it_ends_in_order(driver: &str) {
        let Some((a, _)) = two() else { return };
        let mut proxy = Proxy::start(driver, &[&a.address()], 1);
        proxy.who();
        proxy.process.signal("INT");
        until("its end", || proxy.process.has_ended().then_some(()));
    }
}
