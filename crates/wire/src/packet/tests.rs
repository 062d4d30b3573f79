//! Frames built here by hand, decoded.
use atalaya_model::Time;

use super::*;
use crate::LinkType;

#[test]
fn an_unknown_link_is_said_to_be_one() {
    let frame = Frame {
        time: Time(0),
        link: LinkType(999),
        interface: 0,
        length: 4,
        data: &[0; 4],
        vlan: None,
    };
    let mut decoder = Decoder::default();
    let result = decoder.decode(&frame, &mut |_| panic!("no packet"));
    assert_eq!(result, Err(Undecoded::UnknownLink));
    assert_eq!(decoder.counts().unknown_link, 1);
    assert_eq!(decoder.fragments.waiting(), (0, 0, 0));
}
