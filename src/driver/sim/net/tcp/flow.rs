//! What a connection has sent that the peer does not have yet: segments, in order.
//!
//! Each knows when it would be there, but only the first has an entry in the calendar: so order is kept whatever
//! the way does, and a lost segment holds up all that follow, as they would wait at the peer for it.

use std::collections::VecDeque;

use crate::driver::sim::net::SocketId;
use crate::driver::sim::net::calendar::{Calendar, Entry, Event};

/// Longer pieces are cut: as much as one packet of a segmenting card has.
pub(super) const SEGMENT_MAX: usize = 16 << 10;
/// The first time-out of a segment; each further one is twice as long.
const TIMEOUT_NS: u64 = 200_000_000;
const TIMEOUT_MAX_NS: u64 = 120_000_000_000;
/// The first time-out of a greeting: nothing is known of the way yet.
pub(super) const GREETING_TIMEOUT_NS: u64 = 1_000_000_000;
/// `tcp_retries2`: then the connection is given up, after 924 seconds.
pub(super) const RETRIES: u32 = 15;
/// `tcp_synack_retries`: 63 seconds.
pub(super) const GREETING_RETRIES: u32 = 5;

pub(super) enum Content {
    /// The second or the third part of the greeting.
    Greeting,
    Bytes(Vec<u8>),
    /// Nothing comes after this (FIN).
    End,
    /// Forget the connection (RST).
    Reset,
}

pub(super) struct Segment {
    pub(super) arrival: u64,
    pub(super) content: Content,
}

#[derive(Default)]
pub(super) struct Flow {
    segments: VecDeque<Segment>,
    /// How many are in the segments, or delivered but not acknowledged.
    bytes: usize,
    unheard: usize,
    /// The peer has all, but its acknowledgement was lost.
    is_unheard: bool,
    /// How often in a row the first segment was lost.
    losses: u32,
    /// When the first of them was noticed.
    lost_since: Option<u64>,
    /// For how long segments may be lost, if the program has said so (TCP_USER_TIMEOUT).
    pub(super) patience_ns: Option<u64>,
    /// When the first segment is there.
    entry: Option<Entry>,
    /// The peer has no room for more: it says when it has.
    is_stalled: bool,
    last_arrival: u64,
    is_ended: bool,
}

impl Flow {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn entry(&self) -> Option<Entry> {
        self.entry
    }

    pub(super) fn losses(&self) -> u32 {
        self.losses
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.is_stalled
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// The peer has everything, and has said so.
    pub(super) fn is_done(&self) -> bool {
        self.segments.is_empty() && !self.is_unheard
    }

    pub(super) fn first(&mut self) -> Option<&mut Segment> {
        self.segments.front_mut()
    }

    /// Sends a segment, which would be there at `arrival` and is there after those before it.
    pub(super) fn send(&mut self, calendar: &mut Calendar, id: SocketId, arrival: u64, content: Content) {
        self.last_arrival = self.last_arrival.max(arrival);
        self.is_ended |= matches!(content, Content::End);
        if let Content::Bytes(bytes) = &content {
            self.bytes += bytes.len();
        }
        self.segments.push_back(Segment { arrival: self.last_arrival, content });
        if self.segments.len() == 1 {
            self.enter(calendar, id, self.last_arrival);
        }
    }

    /// The calendar has come to the entry.
    pub(super) fn entry_is_due(&mut self) {
        self.entry = None;
    }

    pub(super) fn enter(&mut self, calendar: &mut Calendar, id: SocketId, at: u64) {
        calendar.strike(self.entry.take());
        self.is_stalled = false;
        self.entry = Some(calendar.enter(at, Event::Delivery(id)));
    }

    /// The peer has so many bytes of the first segment, or the whole of it.
    pub(super) fn delivered(&mut self, taken: usize) {
        let whole = match self.segments.front_mut().map(|first| &mut first.content) {
            Some(Content::Bytes(bytes)) if taken < bytes.len() => {
                bytes.drain(..taken);
                false
            }
            _ => true,
        };
        if whole {
            self.segments.pop_front();
        }
        self.unheard += taken;
        self.is_unheard = true;
    }

    /// The peer said what it has.
    pub(super) fn acknowledged(&mut self) {
        self.bytes -= std::mem::take(&mut self.unheard);
        self.is_unheard = false;
        self.losses = 0;
        self.lost_since = None;
    }

    /// The peer has no room.
    pub(super) fn stall(&mut self, calendar: &mut Calendar) {
        calendar.strike(self.entry.take());
        self.is_stalled = true;
    }

    /// Enters when the next segment is there, or when an acknowledgement that was lost is asked for again.
    pub(super) fn proceed(&mut self, calendar: &mut Calendar, id: SocketId, now: u64) {
        if let Some(first) = self.segments.front() {
            let arrival = first.arrival.max(now);
            self.enter(calendar, id, arrival);
        } else if self.is_unheard {
            self.retry(calendar, id, now);
        }
    }

    /// The first segment did not come: sends it again after a time.
    pub(super) fn retry(&mut self, calendar: &mut Calendar, id: SocketId, now: u64) {
        let is_greeting = matches!(self.segments.front(), Some(Segment { content: Content::Greeting, .. }));
        let first_ns = if is_greeting { GREETING_TIMEOUT_NS } else { TIMEOUT_NS };
        let timeout_ns = (first_ns << self.losses.min(16)).min(TIMEOUT_MAX_NS);
        self.losses += 1;
        let since = *self.lost_since.get_or_insert(now);
        let end = self.patience_ns.map_or(u64::MAX, |patience_ns| since.saturating_add(patience_ns));
        self.enter(calendar, id, now.saturating_add(timeout_ns).min(end.max(now)));
    }

    /// Whether segments were lost for longer than the program bears.
    pub(super) fn is_out_of_patience(&self, now: u64) -> bool {
        self.lost_since
            .zip(self.patience_ns)
            .is_some_and(|(since, patience_ns)| now >= since.saturating_add(patience_ns))
    }

    /// Nothing is sent again any more: what is still missing will never come, and what follows it is of no use.
    /// Only a reset needs no order.
    pub(super) fn give_up_all_but_reset(&mut self) {
        self.segments.retain(|segment| matches!(segment.content, Content::Reset));
        self.bytes = 0;
        self.unheard = 0;
        self.is_unheard = false;
    }

    pub(super) fn clear(&mut self, calendar: &mut Calendar) {
        calendar.strike(self.entry.take());
        *self = Flow { is_ended: self.is_ended, patience_ns: self.patience_ns, ..Flow::default() };
    }
}
