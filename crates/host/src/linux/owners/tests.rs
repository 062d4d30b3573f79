use std::net::{TcpListener, UdpSocket};

use super::*;

fn inode(socket: &impl std::os::fd::AsFd) -> u32 {
    rustix::fs::fstat(socket).unwrap().st_ino as u32
}

#[test]
fn ids_are_given_out_in_a_circle() {
    assert!(given_since((10, 20), 20) && given_since((10, 20), 11));
    assert!(!given_since((10, 20), 10) && !given_since((10, 20), 21));
    assert!(given_since((32_000, 300), 32_001) && given_since((32_000, 300), 300));
    assert!(!given_since((32_000, 300), 301) && !given_since((32_000, 300), 32_000));
    assert!(!given_since((7, 7), 7));
}

#[test]
fn sockets_opened_closed_and_replaced_between_looks() {
    let own = std::process::id();
    let mut owners = Owners::new(true, true).unwrap();
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let changes = owners.begin_look(1).unwrap();
    assert!(changes.started.contains(&own) && changes.gone.is_empty());
    let key = owners.key_of(own).unwrap();
    assert_eq!(owners.named(inode(&first)), Some(Named::One(key)));

    owners.begin_look(1).unwrap();
    let second = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_eq!(owners.named(inode(&second)), None);
    owners.named(inode(&first));
    owners.resolve([inode(&second)].into_iter());
    assert_eq!(owners.named(inode(&second)), Some(Named::One(key)));

    // The descriptor of the first is taken by the third: same number, other socket.
    owners.begin_look(1).unwrap();
    let old = inode(&first);
    drop(first);
    let third = UdpSocket::bind("127.0.0.1:0").unwrap();
    owners.named(inode(&second));
    owners.resolve([inode(&third)].into_iter());
    assert_eq!(owners.named(inode(&third)), Some(Named::One(key)));
    assert_ne!(old, inode(&third));

    // A socket that nobody holds is not searched at every look.
    owners.resolve([u32::MAX].into_iter());
    assert!(!owners.is_due(u32::MAX) && owners.is_due(1));
    assert_eq!(owners.evidence(12345), Evidence::NotFound);
}

#[test]
fn without_following_nothing_is_remembered() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut owners = Owners::new(false, false).unwrap();
    owners.begin_look(1).unwrap();
    assert!(owners.named(inode(&socket)).is_some());
    assert_eq!(owners.remembered, 0);
    assert_eq!(owners.evidence(12345), Evidence::NoPermission);
}

#[test]
fn one_pass_finds_what_reading_each_descriptor_finds() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return;
    }
    if let Err(error) = iterate::Descriptors::open() {
        println!("skipped: {error}");
        return;
    }
    let own = std::process::id();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (unix, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let _again = tcp.try_clone().unwrap();
    let look = |from| {
        let mut owners = Owners::new(true, true).unwrap();
        owners.one_pass_from = from;
        owners.begin_look(1).unwrap();
        owners
    };
    let mut passed = look(0);
    let mut read = look(u64::MAX);
    let key = read.key_of(own).unwrap();
    for owners in [&mut passed, &mut read] {
        assert_eq!(owners.named(inode(&tcp)), Some(Named::One(key)));
        assert_eq!(owners.named(inode(&unix)), Some(Named::One(key)));
    }
    // Each way has descriptors of its own open while it looks; other tests run beside this one.
    let sockets = |owners: &Owners| -> Vec<(u32, u32)> {
        let ours = [inode(&tcp), inode(&unix)];
        let all = owners.processes[&own].descriptors.iter();
        all.copied().filter(|(_, inode)| ours.contains(inode)).collect()
    };
    assert_eq!(sockets(&passed).len(), 3);
    assert_eq!(sockets(&passed), sockets(&read));
    assert!(passed.processes[&own].is_remembered && passed.processes[&own].count >= 6);

    // What comes later is followed as ever.
    passed.begin_look(1).unwrap();
    let later = UdpSocket::bind("127.0.0.1:0").unwrap();
    passed.named(inode(&tcp));
    passed.resolve([inode(&later)].into_iter());
    assert_eq!(passed.named(inode(&later)), Some(Named::One(key)));
}
