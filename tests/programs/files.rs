//! The files of a program, and the model of what they hold.

use std::io;

use annulus::fs::{File, OpenOptions};
use annulus::io::Incomplete;
use annulus::sim::Host;
use annulus::task::JoinHandle;
use annulus::time::{sleep, timeout};

use crate::plan::{Fate, FileStep, Program};
use crate::streams::meet;

/// What each byte of a file may be, and how long the file may be.
#[derive(Default)]
struct Model {
    bytes: Vec<Vec<u8>>,
    least: usize,
    most: usize,
}

impl Model {
    fn grow(&mut self, length: usize) {
        if self.bytes.len() < length {
            self.bytes.resize(length, vec![0]);
        }
    }

    /// Written for certain.
    fn wrote(&mut self, offset: usize, length: usize, value: u8) {
        if length == 0 {
            return;
        }
        let end = offset + length;
        self.grow(end);
        self.bytes[offset..end].iter_mut().for_each(|byte| *byte = vec![value]);
        self.least = self.least.max(end);
        self.most = self.most.max(end);
    }

    /// Perhaps written, all or some of it.
    fn may_have_written(&mut self, offset: usize, length: usize, value: u8) {
        let end = offset + length;
        self.grow(end);
        self.bytes[offset..end].iter_mut().for_each(|byte| byte.push(value));
        self.most = self.most.max(if length == 0 { 0 } else { end });
    }

    fn set_length(&mut self, length: usize) {
        (self.least, self.most) = (length, length);
        self.bytes.truncate(length);
        self.grow(length);
    }

    fn may_have_set_length(&mut self, length: usize) {
        (self.least, self.most) = (self.least.min(length), self.most.max(length));
        // What is cut off and grown again is zero.
        let first = length.min(self.bytes.len());
        self.bytes[first..].iter_mut().for_each(|byte| byte.push(0));
        self.grow(length);
    }

    fn got(&self, offset: usize, bytes: &[u8], wanted: usize, may_be_short: bool) {
        let end = offset + bytes.len();
        assert!(bytes.is_empty() || end <= self.most, "read beyond the end: {end} of at most {}", self.most);
        if !may_be_short {
            let least = self.least.saturating_sub(offset).min(wanted);
            assert!(bytes.len() >= least, "{} bytes of at least {least}", bytes.len());
        }
        for (place, byte) in bytes.iter().enumerate() {
            let may = &self.bytes[offset + place];
            assert!(may.contains(byte), "byte {} of the file is {byte}, but may be {may:?}", offset + place);
        }
    }
}

fn done(error: &io::Error) -> usize {
    Incomplete::of(error).map_or(0, Incomplete::done)
}

pub(crate) fn start(program: &Program, host: &Host) -> Vec<JoinHandle<()>> {
    let may_be_short = program.faults.short > 0.0;
    let run = |(number, steps): (usize, &Vec<FileStep>)| host.spawn(run(number, steps.clone(), may_be_short));
    program.files.iter().enumerate().map(run).collect()
}

async fn open(number: usize) -> File {
    // It may be refused for want of descriptors or of room; it was not made then, or is empty.
    for _ in 0..1000 {
        let path = format!("/file {number}");
        if let Ok(file) = OpenOptions::new().read(true).write(true).create(true).open(path).await {
            return file;
        }
    }
    panic!("opening was refused a thousand times");
}

async fn run(number: usize, steps: Vec<FileStep>, may_be_short: bool) {
    let file = open(number).await;
    let mut model = Model::default();
    for (step, value) in steps.into_iter().zip(1u8..) {
        match step {
            FileStep::Write { offset, length, fate } => {
                let outcome = meet!(fate, file.write_at(vec![value; length], offset as u64));
                match outcome {
                    Some((Ok(count), _)) => model.wrote(offset, count, value),
                    Some((Err(_), _)) => {}
                    None => model.may_have_written(offset, length, value),
                }
            }
            FileStep::WriteAll { offset, length, fate } => {
                let outcome = meet!(fate, file.write_all_at(vec![value; length], offset as u64));
                match outcome {
                    Some((Ok(()), _)) => model.wrote(offset, length, value),
                    Some((Err(error), _)) => model.wrote(offset, done(&error), value),
                    None => model.may_have_written(offset, length, value),
                }
            }
            FileStep::Read { offset, length, fate } => {
                let outcome = meet!(fate, file.read_at(Vec::with_capacity(length), offset as u64));
                if let Some((Ok(count), bytes)) = outcome {
                    assert_eq!(count, bytes.len());
                    // A read does not wait for a write that was dropped; the model allows for both.
                    model.got(offset, &bytes, bytes.capacity().min(length), may_be_short);
                }
            }
            FileStep::SetLength(length) => match file.set_len(length as u64).await {
                Ok(()) => model.set_length(length),
                Err(_) => model.may_have_set_length(length),
            },
            FileStep::Sync => drop(file.sync_all().await),
            FileStep::Settle => drop(file.settle_writes().await),
        }
    }
    let _ = file.close().await;
}
