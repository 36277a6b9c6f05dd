//! What can be set on a socket. Most is only kept; reuse, linger and the sizes decide something.

use std::collections::BTreeMap;

use crate::driver::{NameOption, NumberOption};

/// What the kernel says of a fresh TCP socket's sizes; it makes room for more as it goes.
const TCP_SEND_SIZE: usize = 16 << 10;
const TCP_RECEIVE_SIZE: usize = 128 << 10;
/// `net.core.wmem_default` and `rmem_default`.
pub(super) const USUAL_SIZE: usize = 208 << 10;
/// `net.core.wmem_max` and `rmem_max`: more cannot be asked for.
const SIZE_MAX: usize = 208 << 10;
const SEND_SIZE_LEAST: usize = 4608;
const RECEIVE_SIZE_LEAST: usize = 2304;

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) no_delay: bool,
    pub(crate) keep_alive: bool,
    pub(crate) reuse_address: bool,
    pub(crate) reuse_port: bool,
    pub(crate) broadcast: bool,
    /// An IPv6 socket that has nothing to do with IPv4.
    pub(crate) only_v6: bool,
    /// How many seconds a close may wait. Zero: it is a reset. Any other number is only kept.
    pub(crate) linger_seconds: Option<u32>,
    pub(crate) time_to_live: u32,
    /// What is kept, and given back as the kernel does.
    pub(super) numbers: BTreeMap<NumberOption, i32>,
    pub(super) names: BTreeMap<NameOption, Vec<u8>>,
    pub(crate) traffic_class: u8,
    /// Into datagrams of so many bytes a send is split; 0: it is not.
    pub(crate) segment_size: u16,
    /// Datagrams that were split are joined again.
    pub(crate) receive_joined: bool,
    pub(crate) receive_packet_info: bool,
    pub(crate) receive_traffic_class: bool,
    pub(crate) receive_hop_limit: bool,
    pub(crate) receive_timestamps: bool,
    send_size: Option<usize>,
    receive_size: Option<usize>,
    is_tcp: bool,
}

impl Options {
    pub(super) fn new(is_tcp: bool) -> Options {
        Options {
            no_delay: false,
            keep_alive: false,
            reuse_address: false,
            reuse_port: false,
            broadcast: false,
            only_v6: false,
            linger_seconds: None,
            time_to_live: 64,
            numbers: BTreeMap::new(),
            names: BTreeMap::new(),
            traffic_class: 0,
            segment_size: 0,
            receive_joined: false,
            receive_packet_info: false,
            receive_traffic_class: false,
            receive_hop_limit: false,
            receive_timestamps: false,
            send_size: None,
            receive_size: None,
            is_tcp,
        }
    }

    /// Twice what was asked for, as Linux does: half is for its own needs.
    pub(crate) fn set_send_size(&mut self, size: usize) {
        self.send_size = Some((size.min(SIZE_MAX) * 2).max(SEND_SIZE_LEAST));
    }

    pub(crate) fn set_receive_size(&mut self, size: usize) {
        self.receive_size = Some((size.min(SIZE_MAX) * 2).max(RECEIVE_SIZE_LEAST));
    }

    pub(crate) fn send_size(&self) -> usize {
        self.send_size.unwrap_or(if self.is_tcp { TCP_SEND_SIZE } else { USUAL_SIZE })
    }

    pub(crate) fn receive_size(&self) -> usize {
        self.receive_size.unwrap_or(if self.is_tcp { TCP_RECEIVE_SIZE } else { USUAL_SIZE })
    }

    /// How many bytes a connection may have under way.
    pub(super) fn stream_send_max(&self) -> usize {
        self.send_size.map_or(USUAL_SIZE, |size| size / 2)
    }

    /// How many bytes may wait to be read from a connection.
    pub(super) fn stream_receive_max(&self) -> usize {
        self.receive_size.map_or(USUAL_SIZE, |size| size / 2)
    }
}
