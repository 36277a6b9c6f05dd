//! The life of an operation in the simulated kernel: it is queued, taken, tried, waits, is done or stopped, and answered.
//!
//! ```text
//! queued --enter--> Starting --call--> Answered --on its way--> in the completion queue
//!                     ^    '--would wait--> Waiting
//!                     '----its descriptor changed--'
//! ```
#![allow(unsafe_code)]

use std::rc::Rc;

use super::Nanos;
use super::kernel::Kernel;
use super::memory::Memory;
use super::process::{Entry, ProcessId, Running, Stage};
use super::world::{Event, MICRO, World};
use crate::buf::Pool;
use crate::driver::completion::{Completion, MORE};
use crate::driver::operation::{Begin, Request};
use crate::driver::slots::Token;
use crate::driver::{Counters, Wait};

const MILLI: Nanos = 1_000_000;

impl World {
    // Submissions.

    pub(crate) fn submit(&mut self, id: ProcessId, token: Token, request: &Request, begin: Begin) {
        self.note(id, "submit", (request.form.name, token.0), request.fd, request.length.into());
        let pattern = self.dice.next() as u8;
        // SAFETY: the operation was just submitted, so it is in flight until it is answered, and the memory goes with
        // the answer.
        let memory = unsafe { Memory::lent_by(request, pattern) };
        let running = Running { request: *request, memory, begin, is_to_stop: false, stage: Stage::Starting };
        let process = self.process(id);
        process.counters.submitted += 1;
        process.running.insert(token.0, running);
        if !process.is_alive {
            return self.finish(id, token, Completion::cancelled(), 0);
        }
        self.queue(id, Entry::Start(token));
    }

    pub(crate) fn lend(&mut self, id: ProcessId, pool: &Rc<Pool>) {
        self.process(id).pool = Some(Rc::clone(pool));
    }

    pub(crate) fn cancel(&mut self, id: ProcessId, token: Token) {
        let process = self.process(id);
        process.counters.cancels += 1;
        if process.is_alive {
            self.queue(id, Entry::Cancel(token));
        }
    }

    pub(crate) fn close(&mut self, id: ProcessId, number: i32) {
        if self.process(id).is_alive {
            self.process(id).closing += 1;
            self.queue(id, Entry::Close(number));
        }
    }

    /// A queue that is full is entered, as often as it takes.
    fn queue(&mut self, id: ProcessId, entry: Entry) {
        while self.process(id).queue.len() >= self.process(id).entries_max {
            self.enter(id);
        }
        self.process(id).queue.push_back(entry);
    }

    pub(crate) fn has_entries(&self, process: ProcessId) -> bool {
        !self.process_ref(process).queue.is_empty()
    }

    /// What waits for the next enter: entries, and answers that the completion queue had no room for.
    pub(crate) fn queued(&self, process: ProcessId) -> usize {
        let process = self.process_ref(process);
        process.queue.len() + process.overflow.len()
    }

    pub(crate) fn closing(&self, process: ProcessId) -> usize {
        self.process_ref(process).closing
    }

    pub(crate) fn counters(&self, process: ProcessId) -> Counters {
        self.process_ref(process).counters
    }

    /// The system takes what is queued, unless it has no room for it now.
    pub(crate) fn enter(&mut self, id: ProcessId) {
        let process = &mut self.processes[usize::from(id.0)];
        process.counters.enters += 1;
        if !process.queue.is_empty() && self.dice.happens(process.faults.enter) {
            process.counters.refusals += 1;
            return;
        }
        while process.answers.len() < process.completions_max {
            let Some(answer) = process.overflow.pop_front() else { break };
            process.answers.push_back(answer);
        }
        for entry in std::mem::take(&mut process.queue) {
            let soon = self.soon();
            match entry {
                Entry::Start(token) => {
                    let span = self.span_until_start(id, token);
                    self.after(span, Event::Start(id, token));
                }
                Entry::Cancel(token) => self.after(soon, Event::Cancel(id, token)),
                Entry::Close(number) => self.after(soon, Event::Close(id, number)),
            }
        }
    }

    /// At once, or nearly.
    fn soon(&mut self) -> Nanos {
        if self.dice.one_in(2) { 0 } else { self.dice.below(3 * MICRO) }
    }

    fn span_until_start(&mut self, id: ProcessId, token: Token) -> Nanos {
        let waits = self.process(id).running.get(&token.0).map(|running| running.request.form.wait);
        match waits {
            // The disk's time.
            Some(Wait::Helper) => 5 * MICRO + self.dice.below(80 * MICRO),
            _ => self.soon(),
        }
    }

    // What becomes of them.

    /// A number is closed that nothing names (I4).
    pub(super) fn close_number(&mut self, id: ProcessId, number: i32) {
        self.note(id, "close", ("", 0), number, 0);
        let process = self.process(id);
        process.closing = process.closing.saturating_sub(1);
        // What is done names it no more, though its answer is on its way: a close, of the number's last user.
        let names =
            |running: &&Running| running.request.fd == number && !matches!(running.stage, Stage::Answered(_));
        let named = process.running.values().find(names);
        let named = named.map(|running| running.request.form.name);
        assert!(
            named.is_none(),
            "the descriptor {number} is closed under a {} that names it (I4)",
            named.unwrap_or("")
        );
        let closed = process.remove(number);
        closed.into_iter().for_each(|opened| self.release(id, opened));
    }

    /// The system does what is asked, or finds that it would have to wait.
    pub(super) fn attempt(&mut self, id: ProcessId, token: Token) {
        let process = &mut self.processes[usize::from(id.0)];
        let Some(mut running) = process.running.remove(&token.0) else { return };
        let Running { request, begin, stage, .. } = running;
        if stage != Stage::Starting {
            process.running.insert(token.0, running);
            return;
        }
        let may_wait = matches!(request.form.wait, Wait::Readable | Wait::Writable);
        let rate = process.faults_at(request.fd).again;
        let answer = match may_wait && begin == Begin::Now && self.dice.happens(rate) {
            // Not ready after all: it is to be asked again.
            true => {
                self.process(id).running.insert(token.0, running);
                return self.finish(id, token, Completion::of(-libc::EAGAIN), 0);
            }
            false => {
                running.assert_untouched();
                self.call(id, &mut running)
            }
        };
        let would_wait = answer.result == -libc::EAGAIN;
        let waits = would_wait && request.form.wait != Wait::Never && !running.is_to_stop;
        let answer = if would_wait && running.is_to_stop { Completion::cancelled() } else { answer };
        let goes_on = request.form.repeats && answer.result > 0 && !running.is_to_stop;
        if goes_on && !self.dice.one_in(8) {
            return self.answer_and_go_on(id, token, running, answer);
        }
        running.stage = if waits { Stage::Waiting } else { Stage::Starting };
        let process = self.process(id);
        process.running.insert(token.0, running);
        match waits {
            true => process.waiting.entry(request.fd).or_default().push_back(token),
            false => {
                let late = self.lateness(id, request.fd);
                self.finish(id, token, answer, late);
            }
        }
    }

    /// A call that is no operation's: it is made now, with the memory of whoever makes it, or says that it would have to wait.
    pub(crate) fn attempt_now(&mut self, id: ProcessId, request: &Request) -> i32 {
        let process = &mut self.processes[usize::from(id.0)];
        if !process.is_alive {
            return -libc::ECANCELED;
        }
        let rate = process.faults_at(request.fd).again;
        let answer = match self.dice.happens(rate) {
            true => -libc::EAGAIN,
            false => {
                // SAFETY: of a call that is being made: the memory is its caller's until it returns.
                let mut memory = unsafe { Memory::lent_by(request, 0) };
                let answer = Kernel::of(self, id, &mut memory).call(request);
                memory.give_back();
                answer
            }
        };
        self.note(id, "call", (request.form.name, 0), request.fd, answer.into());
        answer
    }

    /// Makes the call, into a buffer that the system picks if that is asked for.
    fn call(&mut self, id: ProcessId, running: &mut Running) -> Completion {
        let request = running.request;
        let pool = self.process(id).pool.clone();
        let Some(pool) = pool.filter(|_| request.form.picks) else {
            return Completion::of(Kernel::of(self, id, &mut running.memory).call(&request));
        };
        let rate = self.processes[usize::from(id.0)].faults_at(request.fd).buffers;
        if self.dice.happens(rate) {
            // There is none to pick: all of them are in answers that nobody has seen.
            return Completion::of(-libc::ENOBUFS);
        }
        Completion::into_buffer(pool.receive(|pointer, length| {
            // SAFETY: the pool's, and nobody else's until it says so.
            let mut memory = unsafe { Memory::picked(pointer, length) };
            Kernel::of(self, id, &mut memory).call(&request)
        }))
    }

    /// One answer of several: the others come when there is more.
    fn answer_and_go_on(&mut self, id: ProcessId, token: Token, mut running: Running, answer: Completion) {
        let request = running.request;
        self.note(id, "answer", (request.form.name, token.0), request.fd, answer.result.into());
        running.stage = Stage::Starting;
        running.begin = Begin::WhenReady;
        let process = self.process(id);
        process.running.insert(token.0, running);
        process.answer(token, Completion { flags: answer.flags | MORE, ..answer });
        let soon = self.soon();
        self.after(soon, Event::Start(id, token));
    }

    /// How long an answer is on its way.
    fn lateness(&mut self, id: ProcessId, number: i32) -> Nanos {
        let rate = self.processes[usize::from(id.0)].faults_at(number).late;
        match self.dice.happens(rate) {
            false => self.soon(),
            true if self.dice.one_in(100) => self.dice.below(10 * MILLI),
            true => self.dice.below(MILLI / 2),
        }
    }

    pub(super) fn finish(&mut self, id: ProcessId, token: Token, answer: Completion, late: Nanos) {
        if let Some(running) = self.process(id).running.get_mut(&token.0) {
            running.stage = Stage::Answered(answer);
            match late {
                0 if !self.process(id).is_alive => self.deliver(id, token),
                late => self.after(late, Event::Answer(id, token)),
            }
        }
    }

    pub(super) fn deliver(&mut self, id: ProcessId, token: Token) {
        let Some(running) = self.process(id).running.remove(&token.0) else { return };
        let Stage::Answered(answer) = running.stage else { unreachable!("what is delivered was answered") };
        let (name, number) = (running.request.form.name, running.request.fd);
        self.note(id, "answer", (name, token.0), number, answer.result.into());
        running.assert_untouched();
        running.memory.give_back();
        let repeated = self.process(id).faults.repeated;
        // A buffer is never named twice.
        if self.dice.happens(repeated) && answer.buffer().is_none() {
            let span = self.dice.below(MILLI);
            self.after(span, Event::Repeat(id, token, answer));
        }
        self.process(id).answer(token, answer);
    }

    /// A request to stop arrives.
    pub(super) fn stop(&mut self, id: ProcessId, token: Token) {
        let process = &mut self.processes[usize::from(id.0)];
        let Some(running) = process.running.get_mut(&token.0) else {
            process.counters.cancels_late += 1;
            return;
        };
        running.is_to_stop = true;
        let (name, number, stage) = (running.request.form.name, running.request.fd, running.stage);
        let is_at_work = stage == Stage::Starting && running.request.form.wait == Wait::Helper;
        let stubborn = process.faults_at(number).stubborn;
        let too_late = match stage {
            Stage::Answered(_) => true,
            // A helper is at it, or the answer comes before the request to stop.
            Stage::Starting => self.dice.happens(if is_at_work { stubborn.max(0.5) } else { stubborn }),
            Stage::Waiting => false,
        };
        match too_late {
            true => process.counters.cancels_late += 1,
            false => process.counters.cancels_stopped += 1,
        }
        self.note(id, "cancel", (name, token.0), number, i64::from(!too_late));
        if !too_late {
            let waiting = self.process(id).waiting.get_mut(&number);
            waiting.into_iter().for_each(|waiting| waiting.retain(|other| *other != token));
            let soon = self.soon();
            self.finish(id, token, Completion::cancelled(), soon);
        }
    }

    /// What waits for a descriptor is tried again.
    pub(super) fn wake(&mut self, id: ProcessId, number: i32) {
        let waiting = self.process(id).waiting.get_mut(&number).map(std::mem::take).unwrap_or_default();
        for token in waiting {
            if let Some(running) = self.process(id).running.get_mut(&token.0) {
                running.stage = Stage::Starting;
                running.begin = Begin::WhenReady;
                let soon = self.soon();
                self.after(soon, Event::Start(id, token));
            }
        }
    }

    // Answers.

    pub(crate) fn has_answers(&self, process: ProcessId) -> bool {
        !self.process_ref(process).answers.is_empty()
    }

    pub(crate) fn next_answer(&mut self, process: ProcessId) -> Option<(Token, Completion)> {
        let process = self.process(process);
        let answer = process.answers.pop_front()?;
        process.counters.completed += 1;
        Some(answer)
    }
}

impl Running {
    fn assert_untouched(&self) {
        let name = self.request.form.name;
        assert!(
            self.memory.is_untouched(),
            "memory that a {name} had lent was touched before it was answered: whoever wrote there did not own it (I2)"
        );
    }
}
