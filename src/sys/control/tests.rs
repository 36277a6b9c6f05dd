//! What control messages are made of, and made into.
#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn through(ancillary: &Ancillary, is_v4: Option<bool>) -> Ancillary {
    let mut control = Control::default();
    control.write(ancillary, is_v4);
    // SAFETY: just written; no descriptors are in it.
    unsafe { control.read() }
}

#[test]
fn what_is_written_is_read() {
    let other = Ancillary::new().with_other(77, 5, *b"other").with_other(78, 6, *b"");
    assert_eq!(through(&other, None).others(), other.others());
    assert!(through(&Ancillary::new(), None).is_empty());
}

#[test]
fn messages_that_are_cut_off_are_no_messages() {
    for length in 0..64 {
        let mut control = Control::default();
        control.write(&Ancillary::new().with_other(77, 5, *b"otherwise").with_other(7, 8, *b"x"), None);
        control.cut(length);
        // SAFETY: as above.
        let read = unsafe { control.read() };
        assert!(read.others().iter().all(|other| b"otherwise".starts_with(&other.bytes) || other.level == 7));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn everything_with_a_name_goes_through() {
    let v4 = PacketInfo { address: Ipv4Addr::new(127, 0, 0, 9).into(), interface: 3 };
    let sent = Ancillary::new().with_segment_size(1200).with_traffic_class(0b1010).with_hop_limit(7);
    let read = through(&sent, Some(false));
    assert_eq!(
        (read.segment_size(), read.traffic_class(), read.hop_limit()),
        (Some(1200), Some(10), Some(7))
    );
    assert_eq!(read.congestion(), Some(2));
    let v6 = PacketInfo { address: Ipv6Addr::LOCALHOST.into(), interface: 4 };
    assert_eq!(through(&Ancillary::new().with_packet_info(v6), None).packet_info(), Some(v6));
    assert_eq!(through(&Ancillary::new().with_packet_info(v4), None).packet_info(), Some(v4));
    let who = Credentials { pid: 1, uid: 2, gid: 3 };
    assert_eq!(through(&Ancillary::new().with_credentials(who), None).credentials(), Some(who));
}
