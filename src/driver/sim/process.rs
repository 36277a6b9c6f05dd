//! A process of a simulated host: its queue pair, its descriptors, and how far each of its operations is.
//!
//! A queue pair as the kernel's: submissions wait until they are entered, answers until they are reaped, and both
//! queues have their length.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::disk::OpenFile;
use super::memory::Memory;
use super::net::SocketId;
use super::world::HostId;
use crate::buf::Pool;
use crate::driver::completion::Completion;
use crate::driver::operation::{Begin, Request};
use crate::driver::slots::Token;
use crate::driver::{Counters, Faults, Settings};

/// Numbers of simulated descriptors begin here: far from those of the machine, in case one gets there by mistake.
const FIRST_NUMBER: i32 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProcessId(pub(crate) u16);

pub(super) struct Process {
    pub(super) host: HostId,
    /// False once it is over, by itself or with its host: nothing that it asks for happens any more.
    pub(super) is_alive: bool,
    pub(super) queue: VecDeque<Entry>,
    pub(super) running: BTreeMap<u64, Running>,
    /// Who waits until something changes at a descriptor.
    pub(super) waiting: BTreeMap<i32, VecDeque<Token>>,
    pub(super) answers: VecDeque<(Token, Completion)>,
    /// Answers that the completion queue had no room for.
    pub(super) overflow: VecDeque<(Token, Completion)>,
    pub(super) closing: usize,
    /// What is received into, where that is asked for.
    pub(super) pool: Option<Rc<Pool>>,
    pub(super) entries_max: usize,
    pub(super) completions_max: usize,
    pub(super) counters: Counters,
    pub(super) faults: Faults,
    /// What may go wrong at one descriptor, instead.
    pub(super) faults_at: BTreeMap<i32, Faults>,
    files: BTreeMap<i32, Opened>,
}

/// An entry of the submission queue.
pub(super) enum Entry {
    Start(Token),
    Cancel(Token),
    Close(i32),
}

pub(super) struct Running {
    pub(super) request: Request,
    pub(super) memory: Memory,
    pub(super) begin: Begin,
    /// It was asked to stop too late, while it was at work. It is not to wait any more.
    pub(super) is_to_stop: bool,
    pub(super) stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the submission queue, or on its way.
    Starting,
    /// Tried; it waits for its descriptor.
    Waiting,
    /// Done; the answer is on its way.
    Answered(Completion),
}

/// What a descriptor leads to.
pub(super) enum Opened {
    File(OpenFile),
    Socket(SocketId),
}

impl Process {
    pub(super) fn new(host: HostId, settings: &Settings, faults: Faults) -> Process {
        Process {
            host,
            is_alive: true,
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answers: VecDeque::new(),
            overflow: VecDeque::new(),
            closing: 0,
            pool: None,
            entries_max: settings.entries.clamp(1, 32_768) as usize,
            completions_max: settings.completions.clamp(1, 65_536) as usize,
            counters: Counters::default(),
            faults,
            faults_at: BTreeMap::new(),
            files: BTreeMap::new(),
        }
    }

    /// The lowest number that is free, as everywhere.
    pub(super) fn install(&mut self, opened: Opened) -> i32 {
        let mut number = FIRST_NUMBER;
        for taken in self.files.keys() {
            if *taken != number {
                break;
            }
            number += 1;
        }
        self.files.insert(number, opened);
        number
    }

    pub(super) fn opened(&mut self, number: i32) -> Result<&mut Opened, i32> {
        self.files.get_mut(&number).ok_or(libc::EBADF)
    }

    pub(super) fn remove(&mut self, number: i32) -> Result<Opened, i32> {
        self.faults_at.remove(&number);
        self.files.remove(&number).ok_or(libc::EBADF)
    }

    /// All that is open.
    pub(super) fn take_files(&mut self) -> impl Iterator<Item = Opened> + use<> {
        std::mem::take(&mut self.files).into_values()
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// What may go wrong at a descriptor.
    pub(super) fn faults_at(&self, number: i32) -> &Faults {
        self.faults_at.get(&number).unwrap_or(&self.faults)
    }

    /// A place in the completion queue, or in what it has no room for.
    pub(super) fn answer(&mut self, token: Token, answer: Completion) {
        if self.answers.len() < self.completions_max {
            self.answers.push_back((token, answer));
        } else {
            self.counters.overflows += u64::from(self.overflow.is_empty());
            self.overflow.push_back((token, answer));
        }
    }
}
