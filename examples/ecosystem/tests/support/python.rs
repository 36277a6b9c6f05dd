//! Python's gRPC, in the environment of its own that `install` makes, and what it makes of the package's protocol.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::found;
use super::process::{Process, output};

pub(crate) struct Python {
    program: PathBuf,
    /// What the protocol's compiler made.
    made: TempDir,
}

impl Python {
    /// None if there is none, which is said.
    pub(crate) fn with_grpc() -> Option<Python> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join("target/python/bin/python");
        let works = Command::new(&program).args(["-c", "import grpc, grpc_tools.protoc"]).output();
        if !works.is_ok_and(|done| done.status.success()) {
            return found::missing("grpcio and grpcio-tools for Python");
        }
        let made = TempDir::with_prefix("annulus-grpc-").expect("there is room for a folder");
        let place = made.path().display();
        output(
            Command::new(&program)
                .args(["-m", "grpc_tools.protoc", "-I", "proto", "proto/telemetry.proto"])
                .args([format!("--python_out={place}"), format!("--grpc_python_out={place}")])
                .current_dir(root),
        );
        Some(Python { program, made })
    }

    /// One of the scripts beside the tests.
    pub(crate) fn start(&self, script: &str, arguments: &[&str]) -> Process {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
        let mut command = Command::new(&self.program);
        Process::start(command.arg("-u").arg(script).args(arguments).env("PYTHONPATH", self.made.path()))
    }
}
