//! The small curl, against OpenSSL's server and Python's.

mod support;

use support::process::Process;
use support::program;
use support::web::{Certified, Upstream, s_server};

const CLIENT: &str = env!("CARGO_BIN_EXE_https_client");

fn start(driver: &str, arguments: &[&str]) -> Process {
    program::start(CLIENT, driver, arguments, &[])
}

on_real_drivers! {
    fn what_openssl_and_python_serve_is_got_in_parallel(driver: &str) {
        let Some(certified) = Certified::make() else { return };
        let Some(python) = Upstream::at("python", 0, Some(&certified)) else { return };
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("file"), vec![b'x'; 300_000]).unwrap();
        let (_openssl, port) = s_server(&certified, folder.path());
        let root = certified.certificate.to_str().unwrap();
        let file = format!("https://127.0.0.1:{port}/file");
        let (who, large) = (format!("https://{}/", python.address()), format!("https://{}/large", python.address()));
        let lines = program::run(CLIENT, driver, &["--cacert", root, &file, &who, &large], &[]);
        let said = |head: &str, url: &str| {
            let found = lines.iter().any(|line| line.starts_with(head) && line.ends_with(url));
            assert!(found, "{head}...{url} is not in {lines:#?}");
        };
        // OpenSSL's speaks HTTP/1.0, and its body ends with the connection.
        said("200 HTTP/1.0 300000 bytes ", &file);
        said("200 HTTP/1.1 6 bytes ", &who);
        said(&format!("200 HTTP/1.1 {} bytes ", 128 << 20), &large);
    }

    fn whom_nobody_vouches_for_and_whom_it_is_not_is_said(driver: &str) {
        let (Some(certified), Some(other)) = (Certified::make(), Certified::make()) else { return };
        let Some(python) = Upstream::at("python", 0, Some(&certified)) else { return };
        let (root, strange) = (certified.certificate.to_str().unwrap(), other.certificate.to_str().unwrap());
        let by_address = format!("https://{}/", python.address());
        let by_name = format!("https://localhost:{}/", python.port);
        for (arguments, why) in [
            (vec![&*by_address], "invalid peer certificate"),
            (vec!["--cacert", strange, &by_address], "invalid peer certificate"),
            (vec!["--cacert", root, &by_name], "it is for another name"),
            (vec!["http://127.0.0.1:1/"], "nobody listens there"),
            (vec!["--max-time", "0.2", "--cacert", root, &format!("https://{}/hang", python.address())], "--max-time"),
        ] {
            let (status, lines) = start(driver, &arguments).ended();
            assert_eq!(status.code(), Some(1), "{lines:#?}");
            assert!(lines.iter().any(|line| line.contains(why)), "{why} is not in {lines:#?}");
        }
    }
}
