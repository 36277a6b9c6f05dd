//! Errors of disks that the fault layer puts over the real drivers: told by each call, also in the middle of a transfer.
//! tests/faulty.sh runs them, in a build with `--cfg annulus_faults`.
#![cfg(annulus_faults)]

mod support;

use std::io;

use annulus::Builder;
use annulus::fs::{self, OpenOptions};
use annulus::io::Incomplete;
use support::child;
use support::data::{assert_same, bytes};
use support::guarded::{self, Guarded};
use support::on_real_drivers;

on_real_drivers! {
    because "the fault layer lies over the real drivers":
        an_injected_error_is_told_by_each_call_and_the_buffer_comes_back,
        an_injected_error_in_the_middle_tells_what_was_written,
        what_is_replaced_at_once_survives_injected_errors;
}

/// Runs the body as a child over which these faults lie.
fn under(faults: &str, body: impl FnOnce()) {
    let test = child::name();
    match child::again(&test, |command| drop(command.env("ANNULUS_FAULTS", faults))) {
        None => body(),
        Some(output) => {
            let text = format!("{}{}", child::text(&output.stdout), child::text(&output.stderr));
            assert!(output.status.success(), "{test} under {faults}: {text}");
        }
    }
}

fn seed() -> u64 {
    support::data::asked_seed().unwrap_or(1)
}

/// What the system said, and after how many bytes.
fn told(error: &io::Error) -> (Option<i32>, usize) {
    match Incomplete::of(error) {
        Some(part) => (part.error().raw_os_error(), part.done()),
        None => (error.raw_os_error(), 0),
    }
}

fn read_write() -> OpenOptions {
    OpenOptions::new().read(true).write(true).create(true).clone()
}

fn an_injected_error_is_told_by_each_call_and_the_buffer_comes_back(builder: Builder) {
    under("disk_error=1", || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let text = bytes(1, 5000);
        std::fs::write(&path, &text).unwrap();
        let runtime = builder.build().unwrap();
        runtime
            .run(async {
                let file = read_write().open(&path).await.unwrap();
                let buffer = || Guarded::of(&text);
                let failed = |(result, back): (io::Result<usize>, Guarded)| {
                    assert_eq!(told(&result.unwrap_err()), (Some(libc::EIO), 0));
                    assert_same(back.bytes(), &text);
                };
                failed(file.write(buffer()).await);
                failed(file.write_at(buffer(), 10).await);
                failed(file.read(buffer()).await);
                assert_eq!(told(&file.write_all_at(buffer(), 0).await.0.unwrap_err()), (Some(libc::EIO), 0));
                assert_eq!(told(&file.read_exact(buffer()).await.0.unwrap_err()), (Some(libc::EIO), 0));
                assert_eq!(told(&file.writev(vec![buffer()]).await.0.unwrap_err()), (Some(libc::EIO), 0));
                assert_eq!(told(&file.readv(vec![buffer()]).await.0.unwrap_err()), (Some(libc::EIO), 0));
                assert_eq!(told(&file.sync_all().await.unwrap_err()), (Some(libc::EIO), 0));
                assert_eq!(told(&file.sync_data().await.unwrap_err()), (Some(libc::EIO), 0));
            })
            .unwrap();
        assert_same(&std::fs::read(&path).unwrap(), &text);
        assert_eq!((guarded::mapped(), runtime.metrics().in_flight), (0, 0));
    });
}

fn an_injected_error_in_the_middle_tells_what_was_written(builder: Builder) {
    under(&format!("short=1,late=0.5,disk_error=0.05,disk_full=0.05,seed={}", seed()), || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let text = bytes(1, 60_000);
        builder
            .build()
            .unwrap()
            .run(async {
                let mut in_the_middle = 0;
                for round in 0..60 {
                    let file = read_write().truncate(true).open(&path).await.unwrap();
                    let (result, back) = match round % 2 {
                        0 => file.write_all(Guarded::of(&text)).await,
                        _ => file.write_all_at(Guarded::of(&text), 0).await,
                    };
                    assert_same(&back.all()[..text.len()], &text);
                    let done = match result {
                        Ok(()) => text.len(),
                        Err(error) => {
                            let (errno, done) = told(&error);
                            assert!([Some(libc::EIO), Some(libc::ENOSPC)].contains(&errno), "{error}");
                            done
                        }
                    };
                    assert_same(&std::fs::read(&path).unwrap(), &text[..done]);
                    in_the_middle += usize::from(done > 0 && done < text.len());
                }
                assert!(in_the_middle > 10, "{in_the_middle}");
            })
            .unwrap();
    });
}

fn what_is_replaced_at_once_survives_injected_errors(builder: Builder) {
    under(&format!("short=1,disk_error=0.02,disk_full=0.02,seed={}", seed()), || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let version = |number: usize| vec![number as u8; 20_000];
        std::fs::write(&path, version(0)).unwrap();
        builder
            .build()
            .unwrap()
            .run(async {
                let (mut there, mut failed) = (0, 0);
                for number in 1..60 {
                    let (result, back) = fs::write_atomic(&path, version(number)).await;
                    assert_eq!(back, version(number));
                    let found = std::fs::read(&path).unwrap();
                    match result {
                        Ok(()) => there = number,
                        // The last step may be what failed.
                        Err(_) if found == version(number) => there = number,
                        Err(_) => failed += 1,
                    }
                    assert!(found == version(there), "torn, or not what was told");
                    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing beside");
                }
                assert!((1..59).contains(&failed), "{failed}");
            })
            .unwrap();
    });
}
