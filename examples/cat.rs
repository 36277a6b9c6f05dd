//! Writes files to standard output, one after the other.
//!
//! ```sh
//! cargo run --release --example cat -- Cargo.toml README.md | wc
//! cargo run --release --example cat -- nothing; echo $?        # says why, ends with 1
//! cargo run --release --example cat -- Cargo.lock | head -n 1  # a reader that has enough is no error
//! ```

use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::process::ExitCode;

use annulus::fs::File;

fn main() -> ExitCode {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    if paths.is_empty() {
        eprintln!("cat: say which files: cat FILE...");
        return ExitCode::from(2);
    }
    let run = annulus::run(async {
        let output = io::stdout().as_fd().try_clone_to_owned()?;
        let mut output = File::from_std(output);
        let mut code = ExitCode::SUCCESS;
        for path in &paths {
            match write_out(path, &mut output).await {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
                Err(error) => {
                    eprintln!("cat: {}: {error}", path.to_string_lossy());
                    code = ExitCode::FAILURE;
                }
            }
        }
        io::Result::Ok(code)
    });
    run.map_err(io::Error::from).and_then(|outcome| outcome).unwrap_or_else(|error| {
        eprintln!("cat: {error}");
        ExitCode::FAILURE
    })
}

async fn write_out(path: &std::ffi::OsStr, output: &mut File) -> io::Result<()> {
    let mut file = File::open(path).await?;
    annulus::io::copy(&mut file, output).await.map(drop)
}
