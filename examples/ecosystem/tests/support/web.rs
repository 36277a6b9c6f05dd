//! Counterparts that speak HTTP: Python's server, OpenSSL's, and curl; and a certificate for 127.0.0.1.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::{Process, output};
use super::{found, free_port, until};

/// Python's server, doing what tests/python/upstream.py says.
pub(crate) struct Upstream {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Upstream {
    pub(crate) fn start(name: &str) -> Option<Upstream> {
        Upstream::at(name, 0, None)
    }

    /// At port 0 it is one that is free.
    pub(crate) fn at(name: &str, port: u16, certified: Option<&Certified>) -> Option<Upstream> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/upstream.py");
        let mut command = Command::new(found::program("python3")?);
        command.arg(script).args([name, &port.to_string()]);
        command.args(certified.iter().flat_map(|certified| [&certified.certificate, &certified.key]));
        let mut process = Process::start(&mut command);
        let port = process.line("ready ", "its port", |port| port.parse().ok());
        Some(Upstream { process, port })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What it was asked, without looks at its health.
    pub(crate) fn seen(&self) -> String {
        curl(&[&format!("http://{}/seen", self.address())]).expect("curl is there").0
    }
}

/// A certificate for 127.0.0.1 alone that nobody else vouches for, and its key.
pub(crate) struct Certified {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    _folder: TempDir,
}

impl Certified {
    pub(crate) fn make() -> Option<Certified> {
        let openssl = found::program("openssl")?;
        let folder = TempDir::with_prefix("annulus-web-").expect("there is room for a folder");
        let place = |name: &str| folder.path().join(name);
        let wanted = "[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=more\n[name]\nCN=here\n[more]\n\
                      subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n";
        std::fs::write(place("wanted"), wanted).expect("there is room for a file");
        let (certificate, key) = (place("certificate.pem"), place("key.pem"));
        let mut command = Command::new(openssl);
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-config"]);
        output(command.arg(place("wanted")).arg("-keyout").arg(&key).arg("-out").arg(&certificate));
        Some(Certified { certificate, key, _folder: folder })
    }
}

/// OpenSSL's server, which serves the files of a folder.
pub(crate) fn s_server(certified: &Certified, folder: &Path) -> (Process, u16) {
    let openssl = found::program("openssl").expect("it has made the certificate");
    let port = free_port();
    let mut command = Command::new(openssl);
    command.args(["s_server", "-WWW", "-quiet", "-accept", &format!("127.0.0.1:{port}")]);
    command.arg("-cert").arg(&certified.certificate).arg("-key").arg(&certified.key).current_dir(folder);
    let process = Process::start(&mut command);
    until("OpenSSL's server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    (process, port)
}

/// What curl prints: the body, and behind it the status, the protocol and curl's own code. None if there is no curl.
pub(crate) fn curl(arguments: &[&str]) -> Option<(String, String)> {
    let curl = found::program("curl")?;
    let done = Command::new(curl)
        .args(["-s", "--max-time", "60", "-w", "\n%{http_code} %{http_version} %{exitcode}"])
        .args(arguments)
        .output()
        .expect("curl runs");
    let said = String::from_utf8(done.stdout).expect("it is text");
    let (body, code) = said.rsplit_once('\n').expect("the code is behind the body");
    Some((body.to_owned(), code.to_owned()))
}
