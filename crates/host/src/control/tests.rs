//! Real sockets in a temporary folder.

use std::io::Write as _;

use atalaya_model::Span;

use super::*;

const LONG: Span = Span::from_seconds(60);

/// A served socket, and both ends of one connection to it.
fn pair() -> (tempfile::TempDir, ControlListener, ControlStream, ControlStream) {
    let folder = tempfile::tempdir().unwrap();
    let listener = ControlListener::bind(folder.path().join("run/control.sock")).unwrap();
    assert!(listener.accept().unwrap().is_none());
    listener.wait(Span(1_000));
    let client = connect(listener.path()).unwrap();
    listener.wait(LONG);
    let server = listener.accept().unwrap().unwrap();
    (folder, listener, client, server)
}

#[test]
fn frames_go_both_ways_and_the_peer_is_known() {
    let (_folder, listener, mut client, mut server) = pair();
    let mode = std::fs::metadata(listener.path()).unwrap().mode();
    assert_eq!(mode & 0o777, MODE);
    let own = Peer {
        user_id: rustix::process::geteuid().as_raw(),
        group_id: rustix::process::getegid().as_raw(),
        pid: std::process::id(),
    };
    assert_eq!((server.peer(), client.peer()), (own, own));
    let long: Vec<u8> = (0..200_000u32).map(|n| n as u8).collect();
    let writer = std::thread::Builder::new()
        .spawn({
            let long = long.clone();
            move || {
                client.write_frame(b"", LONG).unwrap();
                client.write_frame(&long, LONG).unwrap();
                client
            }
        })
        .unwrap();
    assert_eq!(server.read_frame(1 << 20, LONG).unwrap().unwrap(), b"");
    assert_eq!(server.read_frame(1 << 20, LONG).unwrap().unwrap(), long);
    let mut client = writer.join().unwrap();
    server.write_frame(b"done", LONG).unwrap();
    assert_eq!(client.read_frame(4, LONG).unwrap().unwrap(), b"done");
    drop(client);
    assert_eq!(server.read_frame(4, LONG).unwrap(), None);
}

#[test]
fn hostile_peers_are_refused() {
    let (_folder, listener, mut client, mut server) = pair();
    client.write_frame(b"12345", LONG).unwrap();
    let error = server.read_frame(4, LONG).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);

    let mut raw = UnixStream::connect(listener.path()).unwrap();
    let mut server = listener.accept().unwrap().unwrap();
    raw.write_all(&[0, 0, 0, 9, b'x']).unwrap();
    let error = server.read_frame(16, Span(1_000)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);

    let mut raw = UnixStream::connect(listener.path()).unwrap();
    let mut server = listener.accept().unwrap().unwrap();
    raw.write_all(&[0, 0, 0, 9, b'x']).unwrap();
    drop(raw);
    let error = server.read_frame(16, LONG).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_peer_that_does_not_read_is_not_waited_for() {
    let (_folder, _listener, _client, mut server) = pair();
    let error = server.write_frame(&vec![0; 8 << 20], Span(1_000)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn shutting_down_frees_a_blocked_reader() {
    let (_folder, _listener, client, server) = pair();
    let mut reading = client.try_clone().unwrap();
    let thread = std::thread::Builder::new()
        .spawn(move || reading.read_frame(4, LONG))
        .unwrap();
    client.shut_down();
    assert_eq!(thread.join().unwrap().unwrap(), None);
    drop(server);
}

#[test]
fn a_live_socket_is_respected_and_a_stale_one_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let first = ControlListener::bind(&path).unwrap();
    let error = ControlListener::bind(&path).unwrap_err().to_string();
    assert!(
        error.contains(&format!("process {} (", std::process::id())),
        "{error}"
    );
    drop(first);
    assert!(!path.exists());
    drop(UnixListener::bind(&path).unwrap()); // leaves its file behind
    assert!(path.exists());
    let second = ControlListener::bind(&path).unwrap();
    assert!(connect(&path).is_ok());
    // A file that another put there is not ours to remove.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "mine").unwrap();
    drop(second);
    let error = ControlListener::bind(&path).unwrap_err().to_string();
    assert!(error.contains("no socket"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");
}
