//! What is sent beside the bytes of a message: descriptors, credentials, and what the network says of a datagram.
//!
//! The kernel's form is an array of headers with data behind them, cmsg(3). Here it becomes a value and is made of one;
//! a descriptor that came has an owner at once.
#![allow(unsafe_code)]

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;

use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::SystemTime;

/// What goes with a message besides its bytes, in both directions. See cmsg(3), unix(7), ip(7), ipv6(7), udp(7).
///
/// To send, it is put together by the `with_` methods. What is received has what the sender attached and what the socket
/// was told to report: packet information, the traffic class, timestamps, segment sizes. A message of a kind that is not
/// known here is kept as it is: see [`others`](Self::others).
///
/// Descriptors that were received belong to this value: what is not taken out is closed with it. They are always
/// close-on-exec.
///
/// # Examples
/// ```
/// use annulus::net::Ancillary;
///
/// let empty = Ancillary::new();
/// assert!(empty.is_empty());
/// let segments = Ancillary::new().with_segment_size(1200).with_traffic_class(2);
/// assert_eq!(segments.segment_size(), Some(1200));
/// ```
#[derive(Debug, Default)]
pub struct Ancillary {
    descriptors: Vec<OwnedFd>,
    facts: Facts,
    others: Vec<OtherControl>,
}

/// What is plain data of it, and has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) credentials: Option<Credentials>,
    pub(crate) packet_info: Option<PacketInfo>,
    pub(crate) traffic_class: Option<u8>,
    pub(crate) hop_limit: Option<u8>,
    pub(crate) segment_size: Option<u16>,
    pub(crate) timestamp: Option<SystemTime>,
}

/// Who sent a message, as the kernel checked it: SCM_CREDENTIALS of unix(7).
///
/// # Examples
/// As [`UnixDatagram::set_pass_credentials`](crate::net::UnixDatagram).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The process.
    pub pid: i32,
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Which way a datagram came, or is to go: IP_PKTINFO of ip(7), IPV6_PKTINFO of ipv6(7).
///
/// # Examples
/// As [`Ancillary::with_packet_info`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketInfo {
    /// Received: the address that the datagram was sent to. Sending: the address that it is to come from; an
    /// unspecified one leaves that to the system.
    pub address: IpAddr,
    /// The index of the interface that it came in by, or is to go out by. Sending: 0 leaves that to the system.
    pub interface: u32,
}

/// A control message of a kind that has no name here.
///
/// # Examples
/// As [`Ancillary::with_other`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherControl {
    /// The protocol's level: `cmsg_level`.
    pub level: i32,
    /// The kind, within that level: `cmsg_type`.
    pub kind: i32,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Ancillary {
    /// Nothing.
    pub fn new() -> Ancillary {
        Ancillary::default()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.descriptors.is_empty() && self.others.is_empty() && self.facts == Facts::default()
    }

    /// To send: descriptors for the receiver, of a Unix socket, which gets duplicates. These here are closed when the
    /// message is sent; to keep one, [`OwnedFd::try_clone`] it before. Linux passes 253 at most with one message.
    ///
    /// # Examples
    /// As [`UnixStream::send_message`](crate::net::UnixStream).
    pub fn with_descriptors(mut self, descriptors: impl IntoIterator<Item = OwnedFd>) -> Ancillary {
        self.descriptors.extend(descriptors);
        self
    }

    /// To send: who the sender is, of a Unix socket. The kernel checks it; other numbers than one's own need
    /// capabilities.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::{Ancillary, Credentials};
    ///
    /// let (pid, uid, gid) = (std::process::id() as i32, 1000, 1000);
    /// let ancillary = Ancillary::new().with_credentials(Credentials { pid, uid, gid });
    /// assert_eq!(ancillary.credentials().unwrap().pid, pid);
    /// ```
    pub fn with_credentials(mut self, credentials: Credentials) -> Ancillary {
        self.facts.credentials = Some(credentials);
        self
    }

    /// To send: the address that the datagram is to come from, and the interface that it is to go out by.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::{Ancillary, PacketInfo};
    ///
    /// // From this address, by whichever interface.
    /// let info = PacketInfo { address: "127.0.0.1".parse().unwrap(), interface: 0 };
    /// let ancillary = Ancillary::new().with_packet_info(info).with_hop_limit(3);
    /// assert_eq!(ancillary.packet_info(), Some(info));
    /// assert_eq!(ancillary.hop_limit(), Some(3));
    /// ```
    pub fn with_packet_info(mut self, info: PacketInfo) -> Ancillary {
        self.facts.packet_info = Some(info);
        self
    }

    /// To send: the traffic class of the datagram, which was the type of service: six bits of DSCP, two of ECN.
    pub fn with_traffic_class(mut self, class: u8) -> Ancillary {
        self.facts.traffic_class = Some(class);
        self
    }

    /// To send: how many hops the datagram may go.
    ///
    /// # Examples
    /// As [`with_packet_info`](Self::with_packet_info).
    pub fn with_hop_limit(mut self, hops: u8) -> Ancillary {
        self.facts.hop_limit = Some(hops);
        self
    }

    /// To send: the bytes are several datagrams, each of so many bytes, but for the last, which may be shorter:
    /// UDP_SEGMENT of udp(7).
    pub fn with_segment_size(mut self, bytes: u16) -> Ancillary {
        self.facts.segment_size = Some(bytes);
        self
    }

    /// To send: a control message of any kind, in the kernel's own form, but for descriptors, which are sent by
    /// [`with_descriptors`](Self::with_descriptors) only.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::Ancillary;
    ///
    /// // IP_TTL of ip(7), as bytes.
    /// let ancillary = Ancillary::new().with_other(libc::IPPROTO_IP, libc::IP_TTL, 9_i32.to_ne_bytes());
    /// assert_eq!(ancillary.others()[0].bytes, 9_i32.to_ne_bytes());
    /// ```
    pub fn with_other(mut self, level: i32, kind: i32, bytes: impl Into<Vec<u8>>) -> Ancillary {
        self.others.push(OtherControl { level, kind, bytes: bytes.into() });
        self
    }

    /// Descriptors that came with the message.
    ///
    /// # Examples
    /// As [`take_descriptors`](Self::take_descriptors).
    pub fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    /// Takes the descriptors out; they are the caller's to close.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::Ancillary;
    ///
    /// let file = std::fs::File::open("Cargo.toml")?;
    /// let mut ancillary = Ancillary::new().with_descriptors([file.into()]);
    /// assert_eq!(ancillary.descriptors().len(), 1);
    /// let file = std::fs::File::from(ancillary.take_descriptors().remove(0));
    /// assert!(ancillary.is_empty() && file.metadata()?.len() > 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.descriptors)
    }

    /// Who sent it, if the socket was told to ask: `set_pass_credentials`.
    ///
    /// # Examples
    /// As [`with_credentials`](Self::with_credentials).
    pub fn credentials(&self) -> Option<Credentials> {
        self.facts.credentials
    }

    /// Where it was sent to, and which interface it came by, if the socket was told to ask: `set_receive_packet_info`.
    ///
    /// # Examples
    /// As [`with_packet_info`](Self::with_packet_info).
    pub fn packet_info(&self) -> Option<PacketInfo> {
        self.facts.packet_info
    }

    /// Its traffic class, if the socket was told to ask: `set_receive_traffic_class`.
    ///
    /// # Examples
    /// As [`congestion`](Self::congestion).
    pub fn traffic_class(&self) -> Option<u8> {
        self.facts.traffic_class
    }

    /// The two bits of explicit congestion notification in the traffic class: 0 not capable, 1 ECT(1), 2 ECT(0), 3
    /// congestion was met. RFC 3168.
    ///
    /// # Examples
    /// ```
    /// use annulus::net::Ancillary;
    ///
    /// // The two lowest bits are of congestion: 3 was said by a router.
    /// let ancillary = Ancillary::new().with_traffic_class(0x48 | 3);
    /// assert_eq!(ancillary.traffic_class(), Some(0x4b));
    /// assert_eq!(ancillary.congestion(), Some(3));
    /// assert_eq!(ancillary.timestamp(), None);
    /// ```
    pub fn congestion(&self) -> Option<u8> {
        self.facts.traffic_class.map(|class| class & 3)
    }

    /// How many hops were left, if the socket was told to ask: `set_receive_hop_limit`.
    ///
    /// # Examples
    /// As [`with_packet_info`](Self::with_packet_info).
    pub fn hop_limit(&self) -> Option<u8> {
        self.facts.hop_limit
    }

    /// The kernel has joined datagrams, each of so many bytes, but for the last, which may be shorter. None: it is one.
    pub fn segment_size(&self) -> Option<u16> {
        self.facts.segment_size
    }

    /// When the system got it, by its own clock, if the socket was told to ask: `set_receive_timestamps`.
    ///
    /// # Examples
    /// As [`congestion`](Self::congestion).
    pub fn timestamp(&self) -> Option<SystemTime> {
        self.facts.timestamp
    }

    /// Control messages of kinds that have no name here, as they came.
    ///
    /// # Examples
    /// As [`with_other`](Self::with_other).
    pub fn others(&self) -> &[OtherControl] {
        &self.others
    }

    /// Why it cannot be sent as it is, as an `errno`.
    pub(crate) fn refusal(&self) -> Option<i32> {
        let carries_descriptors =
            |other: &OtherControl| (other.level, other.kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        if self.others.iter().any(carries_descriptors) {
            // Numbers that nobody vouches for.
            return Some(libc::EINVAL);
        }
        (!self.is_known_here()).then_some(libc::EOPNOTSUPP)
    }

    /// What a simulated kernel knows of.
    #[cfg(feature = "sim")]
    pub(crate) fn facts(&self) -> Facts {
        self.facts
    }

    #[cfg(feature = "sim")]
    pub(crate) fn of(facts: Facts) -> Ancillary {
        Ancillary { facts, ..Ancillary::default() }
    }
}

/// Control messages in the kernel's form: bytes, aligned as the headers need it.
#[derive(Default)]
pub(crate) struct Control {
    words: Vec<u64>,
    /// How many bytes are in use.
    length: usize,
}

impl Control {
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many bytes there is memory for.
    pub(crate) fn capacity(&self) -> usize {
        self.words.capacity() * size_of::<u64>()
    }

    pub(crate) fn pointer(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// Room for what is to be received.
    pub(crate) fn make_room(&mut self, bytes: usize) {
        self.words.resize(bytes.div_ceil(8), 0);
        self.length = bytes;
    }

    /// How many bytes of the room the kernel has written to.
    pub(crate) fn cut(&mut self, bytes: usize) {
        self.length = self.length.min(bytes);
    }

    /// Adds a message.
    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let begin = self.length;
        // SAFETY: these two compute lengths and touch nothing.
        let (length, space) =
            unsafe { (libc::CMSG_LEN(data.len() as u32), libc::CMSG_SPACE(data.len() as u32)) };
        self.length += space as usize;
        self.words.resize(self.length.div_ceil(8), 0);
        // SAFETY: the words have room for the header and its data behind `begin`, which is a sum of spaces and so
        // aligned for a header.
        unsafe {
            let header = self.pointer().add(begin).cast::<libc::cmsghdr>();
            (*header).cmsg_len = length as _;
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            std::ptr::copy_nonoverlapping(data.as_ptr(), libc::CMSG_DATA(header), data.len());
        }
    }

    /// Writes what is to be sent. `is_v4`: to which family of addresses it goes, where that is known.
    pub(crate) fn write(&mut self, ancillary: &Ancillary, is_v4: Option<bool>) {
        self.words.clear();
        self.length = 0;
        if !ancillary.descriptors.is_empty() {
            let numbers = ancillary.descriptors.iter().flat_map(|one| one.as_raw_fd().to_ne_bytes());
            self.push(libc::SOL_SOCKET, libc::SCM_RIGHTS, &numbers.collect::<Vec<_>>());
        }
        self.write_of_the_system(ancillary, is_v4);
        for OtherControl { level, kind, bytes } in &ancillary.others {
            self.push(*level, *kind, bytes);
        }
    }

    /// Takes the messages apart. Descriptors in it are owned by the value from here on.
    ///
    /// # Safety
    /// The kernel, or `write`, has written it, and it was not read before: the descriptors in it are nobody's yet.
    pub(crate) unsafe fn read(&mut self) -> Ancillary {
        let mut ancillary = Ancillary::default();
        let mut place = 0;
        while place + size_of::<libc::cmsghdr>() <= self.length {
            // SAFETY: a header lies there, wholly within the words, and its data within what is left, by the checks.
            let (header, data, space) = unsafe {
                let header = self.pointer().add(place).cast::<libc::cmsghdr>();
                let before = libc::CMSG_LEN(0) as usize;
                #[allow(clippy::unnecessary_cast, reason = "its width differs from one system to the next")]
                let whole = ((*header).cmsg_len as usize).min(self.length - place);
                if whole < before {
                    break;
                }
                let length = whole - before;
                let data = std::slice::from_raw_parts(libc::CMSG_DATA(header).cast_const(), length);
                (*header, data, libc::CMSG_SPACE(length as u32) as usize)
            };
            ancillary.take(header.cmsg_level, header.cmsg_type, data);
            place += space;
        }
        ancillary
    }
}

fn number(data: &[u8]) -> Option<i32> {
    Some(match data {
        [one] => i32::from(*one),
        _ => i32::from_ne_bytes(data.get(..4)?.try_into().ok()?),
    })
}

impl Ancillary {
    /// A message that came.
    fn take(&mut self, level: i32, kind: i32, data: &[u8]) {
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            let numbers = data.chunks_exact(size_of::<RawFd>()).filter_map(number);
            self.descriptors.extend(numbers.map(owned));
        } else if self.take_of_the_system(level, kind, data).is_none() {
            self.others.push(OtherControl { level, kind, bytes: data.to_vec() });
        }
    }
}

/// A descriptor that has just been received.
fn owned(number: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just given it to this process, and nobody else knows of it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    // Where the call cannot ask for it.
    #[cfg(target_vendor = "apple")]
    // SAFETY: sets a flag of a descriptor that is open.
    unsafe {
        libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC);
    }
    descriptor
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Control {
    fn write_of_the_system(&mut self, _: &Ancillary, _: Option<bool>) {}

    #[cfg(feature = "sim")]
    pub(crate) fn write_timestamp(&mut self, _: SystemTime) {}
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Ancillary {
    fn take_of_the_system(&mut self, _: i32, _: i32, _: &[u8]) -> Option<()> {
        None
    }

    /// Whether it can be sent on this system: descriptors can, and what is given in the kernel's own form.
    fn is_known_here(&self) -> bool {
        Facts { timestamp: None, ..self.facts } == Facts::default()
    }
}

#[cfg(test)]
mod tests;
