//! The world: its time, its hosts, and what happens when.
//!
//! Whatever happens has its moment, and among those of one moment its place; what is to happen next is therefore
//! known, and a seed that gives the same numbers gives the same events.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::disk::{Disk, OpenFile};
use super::net::{self, Link, Moment, Network, SocketId};
use super::process::{Opened, Process, ProcessId};
use super::trace::{self, Trace};
use super::{Answer, Nanos};
use crate::clock::{Time, WorldClock};
use crate::dice::Dice;
use crate::driver::Completion;
use crate::driver::slots::Token;
use crate::driver::{Faults, Settings};

pub(super) const MICRO: Nanos = 1_000;

/// Whose events in the trace are the network's.
const NETWORK: u16 = u16::MAX;

/// What a busy loop's visit to its driver takes, so that time passes for one that never sleeps.
const VISIT: Nanos = MICRO;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(pub(crate) u16);

pub(crate) struct World {
    time: Time,
    pub(super) dice: Dice,
    pub(super) trace: Trace,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) processes: Vec<Process>,
    /// What is to happen, by its moment and its place in it.
    events: BTreeMap<(Nanos, u64), Event>,
    events_made: u64,
    /// Whose each socket is.
    pub(super) owners: BTreeMap<SocketId, (ProcessId, i32)>,
    /// Of processes that are started from now on.
    faults: Faults,
}

pub(super) struct Host {
    pub(super) in_network: net::HostId,
    pub(super) disk: Disk,
    clock: Rc<WorldClock>,
}

pub(super) enum Event {
    /// The kernel turns to an operation.
    Start(ProcessId, Token),
    Cancel(ProcessId, Token),
    Answer(ProcessId, Token),
    /// An answer that came already comes once more.
    Repeat(ProcessId, Token, Completion),
    Close(ProcessId, i32),
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World {
            time: Time::default(),
            dice: Dice::new(seed),
            trace: Trace::default(),
            network: Network::new(),
            hosts: Vec::new(),
            processes: Vec::new(),
            events: BTreeMap::new(),
            events_made: 0,
            owners: BTreeMap::new(),
            faults: Faults::quiet(),
        }
    }

    // Hosts and processes.

    pub(crate) fn add_host(&mut self, name: &str, addresses: Vec<std::net::IpAddr>) -> HostId {
        let host = Host {
            in_network: self.network.add_host(name, addresses),
            disk: Disk::new(self.wall()),
            clock: Rc::new(WorldClock::new(&self.time)),
        };
        self.hosts.push(host);
        HostId(self.hosts.len() as u16 - 1)
    }

    pub(crate) fn start(&mut self, host: HostId, settings: &Settings) -> ProcessId {
        self.processes.push(Process::new(host, settings, self.faults.clone()));
        ProcessId(self.processes.len() as u16 - 1)
    }

    /// The end of a process: the system closes what it has open.
    pub(crate) fn exit(&mut self, process: ProcessId) {
        let opened = self.process(process).take_files();
        self.process(process).is_alive = false;
        for opened in opened {
            self.release(process, opened);
        }
    }

    /// The processes of a host are gone; the system closes what they had open.
    pub(crate) fn kill(&mut self, host: HostId) {
        self.note(ProcessId(host.0), "kill", ("", 0), -1, 0);
        for process in self.living(host) {
            self.exit(process);
            self.stop_all(process);
        }
    }

    fn living(&self, host: HostId) -> Vec<ProcessId> {
        let processes = self.processes.iter().zip(0..);
        let living = processes.filter(|(process, _)| process.host == host && process.is_alive);
        living.map(|(_, number)| ProcessId(number)).collect()
    }

    /// What a process that is gone had in flight is answered: nothing will become of it.
    fn stop_all(&mut self, id: ProcessId) {
        let tokens: Vec<_> = self.process(id).running.keys().copied().collect();
        for token in tokens {
            self.finish(id, Token(token), Completion::cancelled(), 0);
        }
        self.process(id).closing = 0;
    }

    /// The host loses its current: its processes are gone, and of its disk what was not synced.
    pub(crate) fn crash(&mut self, host: HostId) {
        self.note(ProcessId(host.0), "crash", ("", 0), -1, 0);
        for process in self.living(host) {
            self.process(process).is_alive = false;
            self.process(process).take_files().for_each(drop);
            self.stop_all(process);
        }
        let Host { in_network, disk, .. } = &mut self.hosts[usize::from(host.0)];
        disk.crash(&mut self.dice);
        let host = *in_network;
        self.with_network(|network, moment| {
            network.kill_host(moment, host);
            network.set_up(moment, host, false);
        });
        self.owners.retain(|_, (process, _)| self.processes[usize::from(process.0)].is_alive);
    }

    /// The host has its current again.
    pub(crate) fn power_on(&mut self, host: HostId) {
        let host = self.hosts[usize::from(host.0)].in_network;
        self.with_network(|network, moment| network.set_up(moment, host, true));
    }

    /// An open file, and the disk that it is on. EINVAL if it is a socket.
    pub(super) fn file(&mut self, process: ProcessId, number: i32) -> Answer<(&mut OpenFile, &mut Disk)> {
        let process = &mut self.processes[usize::from(process.0)];
        let disk = &mut self.hosts[usize::from(process.host.0)].disk;
        match process.opened(number)? {
            Opened::File(file) => Ok((file, disk)),
            Opened::Socket(_) => Err(libc::EINVAL),
        }
    }

    pub(super) fn process(&mut self, process: ProcessId) -> &mut Process {
        &mut self.processes[usize::from(process.0)]
    }

    pub(super) fn process_ref(&self, process: ProcessId) -> &Process {
        &self.processes[usize::from(process.0)]
    }

    pub(super) fn host_of(&mut self, process: ProcessId) -> &mut Host {
        let host = self.process_ref(process).host;
        &mut self.hosts[usize::from(host.0)]
    }

    pub(crate) fn clock_of(&self, process: ProcessId) -> Rc<WorldClock> {
        Rc::clone(self.clock_at(self.process_ref(process).host))
    }

    pub(crate) fn clock_at(&self, host: HostId) -> &Rc<WorldClock> {
        &self.hosts[usize::from(host.0)].clock
    }

    pub(crate) fn disk_of(&mut self, host: HostId) -> &mut Disk {
        &mut self.hosts[usize::from(host.0)].disk
    }

    /// The link that leads from one host to another.
    pub(crate) fn link(&mut self, from: HostId, to: HostId) -> &mut Link {
        let (from, to) =
            (self.hosts[usize::from(from.0)].in_network, self.hosts[usize::from(to.0)].in_network);
        self.network.link(from, to)
    }

    /// What may go wrong in processes that are there, and in those to come.
    pub(crate) fn set_faults(&mut self, faults: &Faults) {
        self.faults = faults.clone();
        self.processes.iter_mut().for_each(|process| process.faults = faults.clone());
    }

    pub(crate) fn set_faults_of(&mut self, process: ProcessId, faults: &Faults) {
        self.process(process).faults = faults.clone();
    }

    pub(crate) fn dice(&mut self) -> &mut Dice {
        &mut self.dice
    }

    pub(crate) fn trace(&self) -> &Trace {
        &self.trace
    }

    pub(super) fn note(
        &mut self,
        process: ProcessId,
        what: &'static str,
        (name, token): (&'static str, u64),
        number: i32,
        answer: i64,
    ) {
        let (when, number) = (self.now(), i64::from(number));
        self.trace.note(trace::Event { when, process: process.0, what, name, token, number, answer });
    }

    // Time.

    pub(crate) fn now(&self) -> Nanos {
        self.time.now()
    }

    /// Nanoseconds since 1970, by a clock that is right.
    pub(super) fn wall(&self) -> u64 {
        946_684_800_000_000_000 + self.now()
    }

    /// When something happens next by itself.
    pub(crate) fn next_event(&self) -> Option<Nanos> {
        let here = self.events.first_key_value().map(|((when, _), _)| *when);
        let there = self.network.next_event();
        here.into_iter().chain(there).min().map(|when| when.max(self.now()))
    }

    /// Lets time pass until `when`, and what is due until then happen.
    pub(crate) fn move_to(&mut self, when: Nanos) {
        while let Some(next) = self.next_event().filter(|next| *next <= when) {
            self.time.move_to(next);
            self.happen();
        }
        self.time.move_to(when);
    }

    /// A moment passes.
    pub(crate) fn pass(&mut self) {
        self.move_to(self.now() + VISIT);
    }

    /// What is due now happens.
    fn happen(&mut self) {
        self.with_network(|network, moment| network.advance(moment));
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= self.time.now()) {
            let event = entry.remove();
            self.run(event);
        }
    }

    pub(super) fn after(&mut self, span: Nanos, event: Event) {
        self.events_made += 1;
        self.events.insert((self.now().saturating_add(span), self.events_made), event);
    }

    fn run(&mut self, event: Event) {
        match event {
            Event::Start(process, token) => self.attempt(process, token),
            Event::Cancel(process, token) => self.stop(process, token),
            Event::Answer(process, token) => self.deliver(process, token),
            Event::Repeat(process, token, answer) => self.process(process).answer(token, answer),
            Event::Close(process, number) => self.close_number(process, number),
        }
    }

    /// Has the network do something, and wakes who waits for what came of it.
    pub(super) fn with_network<T>(&mut self, ask: impl FnOnce(&mut Network, &mut Moment<'_>) -> T) -> T {
        let mut woken = Vec::new();
        let (now, trace) = (self.time.now(), &mut self.trace);
        let mut note = |note: net::Note| {
            let (number, answer) = (note.socket.0 as i64, note.bytes as i64);
            trace.note(trace::Event {
                when: now,
                process: NETWORK,
                what: "network",
                name: note.what,
                token: 0,
                number,
                answer,
            });
        };
        let mut moment = Moment { now, dice: &mut self.dice, woken: &mut woken, note: &mut note };
        let answer = ask(&mut self.network, &mut moment);
        for socket in woken {
            if let Some((process, number)) = self.owners.get(&socket).copied() {
                self.wake(process, number);
            }
        }
        answer
    }

    /// Nothing leads to it any more.
    pub(super) fn release(&mut self, process: ProcessId, opened: Opened) {
        match opened {
            Opened::File(file) => self.host_of(process).disk.close(file),
            Opened::Socket(socket) => {
                self.owners.remove(&socket);
                // Closing a socket that is there does not fail.
                let _ = self.with_network(|network, moment| network.close(moment, socket));
            }
        }
    }

    /// How many descriptors the processes of a host have open.
    pub(crate) fn descriptors_of(&self, host: HostId) -> usize {
        self.processes.iter().filter(|process| process.host == host).map(Process::files).sum()
    }
}
