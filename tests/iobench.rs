//! The file benchmark of the examples, as a program of its own: what it writes is there, what is wrong it finds, what it is
//! asked in vain it refuses.

mod support;

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Output};

use support::example::example;
use tempfile::TempDir;

const DRIVERS: [&str; 2] = ["uring", "readiness"];

fn iobench(directory: &TempDir, driver: &str, arguments: &str) -> Output {
    Command::new(example("iobench"))
        .args(["--driver", driver, "--filename"])
        .arg(directory.path().join("blocks"))
        .args(arguments.split(' '))
        .output()
        .unwrap()
}

fn ran(directory: &TempDir, driver: &str, arguments: &str) -> String {
    let output = iobench(directory, driver, arguments);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{arguments}: {out}{err}");
    out
}

/// On a disk: memory has no O_DIRECT.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The drivers that there are.
fn drivers() -> impl Iterator<Item = &'static str> {
    DRIVERS.into_iter().filter(|driver| {
        let there = annulus::Runtime::builder().driver(driver.parse().unwrap()).build();
        if let Err(error) = &there {
            println!("skipped: {driver}: {error}");
        }
        there.is_ok()
    })
}

fn flip_a_bit(file: &Path, at: u64) {
    let byte = std::fs::read(file).unwrap()[at as usize];
    let mut file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&[byte ^ 4]).unwrap();
}

#[test]
fn a_byte_that_was_flipped_is_found() {
    for driver in drivers() {
        let directory = directory();
        let out = ran(&directory, driver, "--rw randwrite --size 1m --iodepth 8 --verify");
        assert!(out.contains("read back: 256 blocks") && out.contains("verify: 0 wrong blocks"), "{out}");
        let read = "--rw randread --size 1m --iodepth 8 --verify";
        assert!(ran(&directory, driver, read).contains("verify: 0 wrong blocks"));
        flip_a_bit(&directory.path().join("blocks"), 5 * 4096 + 1234);
        let output = iobench(&directory, driver, read);
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && out.contains("verify: 1 wrong blocks"), "{out}");
        assert!(out.contains(&format!("blocks at {}", 5 * 4096)), "{out}");
    }
}

#[test]
fn every_kind_of_work_does_each_block_once() {
    for driver in drivers() {
        let directory = directory();
        for rw in ["read", "write", "rw", "randread", "randwrite", "randrw"] {
            let more = format!(
                "--rw {rw} --size 512k --bs 8k --iodepth 4 --numjobs 2 --nrfiles 2 --output-format json"
            );
            let json: serde_json::Value = serde_json::from_str(&ran(&directory, driver, &more)).unwrap();
            assert_eq!(json["driver"], driver);
            let blocks = |side: &str| json["jobs"][side]["total_ios"].as_u64().unwrap_or(0);
            assert_eq!(blocks("read") + blocks("write"), 256, "{rw}");
            assert_eq!(blocks("read") > 0, !rw.ends_with("write"), "{rw}");
            assert_eq!(blocks("write") > 0, !rw.ends_with("read"), "{rw}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 4);
    }
}

#[test]
fn it_reads_past_the_page_cache_and_draws_what_came_of_it() {
    for driver in drivers() {
        let directory = directory();
        let picture = directory.path().join("plot.svg");
        let more = format!(
            "--rw randread --size 1m --direct 1 --iodepth 16 --runtime 0.5 --plot {}",
            picture.display()
        );
        let output = iobench(&directory, driver, &more);
        let err = String::from_utf8(output.stderr).unwrap();
        if err.contains("Invalid argument") {
            println!("skipped: this file system has no O_DIRECT");
            continue;
        }
        assert!(output.status.success(), "{err}");
        assert!(String::from_utf8(output.stdout).unwrap().starts_with("direct, blocks of 4.00 KiB"));
        let picture = std::fs::read_to_string(picture).unwrap();
        assert!(picture.contains("<svg") && picture.contains("latency") && picture.contains("IOPS"));
    }
}

#[test]
fn a_rate_is_kept() {
    let directory = directory();
    let more = "--rw randread --size 1m --runtime 0.5 --rate_iops 100 --output-format json";
    let json: serde_json::Value = serde_json::from_str(&ran(&directory, "auto", more)).unwrap();
    let blocks = json["jobs"]["read"]["total_ios"].as_u64().unwrap();
    assert!((1..=52).contains(&blocks), "{blocks}");
}

#[test]
fn drivers_are_compared_with_each_other() {
    let both: Vec<_> = drivers().collect();
    if both.len() < 2 {
        return println!("skipped: there is one driver");
    }
    let directory = directory();
    let picture = directory.path().join("plot.svg");
    let more = format!("--rw randrw --size 1m --runtime 0.3 --plot {}", picture.display());
    let out = ran(&directory, "uring,readiness", &more);
    assert!(out.contains("driver uring") && out.contains("driver readiness"), "{out}");
    for side in ["read ", "write"] {
        assert!(out.contains(&format!("{side} readiness by uring: ")), "{out}");
    }
    let picture = std::fs::read_to_string(picture).unwrap();
    assert!(picture.contains("read, uring") && picture.contains("write, readiness"));
    let json = ran(&directory, "uring,readiness", "--size 1m --output-format json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json[0]["driver"], &json[1]["driver"]), (&"uring".into(), &"readiness".into()));
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let directory = directory();
    for (arguments, reason) in [
        ("--bs 0", "at least one byte"),
        ("--bs 3x", "no unit"),
        ("--bs 2m --size 1m", "no block fits"),
        ("--iodepth 0", "under way"),
        ("--rate_iops 0", "nothing would ever be done"),
        ("--verify --bs 8", "16 bytes"),
        ("--rwmixread 101", "0..=100"),
        ("--hipri", "--direct 1"),
    ] {
        let output = iobench(&directory, "auto", arguments);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && err.contains(reason), "{arguments}: {err}");
    }
}
