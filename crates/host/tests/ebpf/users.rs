//! A socket belongs to the process that uses it.

use atalaya_model::connection::Side;
use atalaya_model::{Owners, Transport};

use crate::script::Script;
use crate::watch::{Watch, bytes, user};

#[test]
fn accepted_sockets_are_their_workers() {
    let Some(mut watch) = Watch::start() else { return };
    // The first worker talks, the second only closes what its parent accepted.
    let mut script = Script::start(
        r"
listener = socket.create_server(('127.0.0.1', 0))
for name in ('first', 'second'):
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    say(**{name + '_client': address(client)})
    child = os.fork()
    if child == 0:
        if name == 'first':
            server.sendall(b'hello')
        else:
            time.sleep(0.1)
        server.close()
        os._exit(0)
    # The parent's descriptor is closed without the kernel taking notice: it is not the last.
    server.close()
    client.recv(9)
    client.close()
    os.waitpid(child, 0)
    say(**{name: child})
say(server=address(listener))
",
    );
    script.listen();
    let server = script.address("server");
    for (name, sent) in [("first", 5), ("second", 0)] {
        let client = script.address(&format!("{name}_client"));
        let event = watch.closed(Transport::Tcp, server, client);
        assert_eq!(event.side, Some(Side::Destination));
        assert_eq!(
            (user(&event), bytes(&event).0),
            (Some(script.number(name)), sent),
            "{name}"
        );
        let event = watch.closed(Transport::Tcp, client, server);
        assert_eq!(user(&event), Some(script.number("pid")));
    }
}

#[test]
fn a_socket_handed_over_is_its_new_users() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.sendall(b'12345')
server.recv(9)
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    client.close()
    _, files, _, _ = socket.recv_fds(theirs, 1, 1)
    handed = socket.socket(fileno=files[0])
    handed.sendall(b'678')
    server.recv(9)
    theirs.send(b'.')
    theirs.recv(1)
    handed.close()
    os._exit(0)
socket.send_fds(ours, [b'.'], [client.fileno()])
ours.recv(1)
say(child=child, client=address(client), server=address(server))
wait()
client.close()
ours.send(b'.')
os.waitpid(child, 0)
",
    );
    script.listen();
    let (client, server) = (script.address("client"), script.address("server"));
    let child = script.number("child");
    watch.until("the new user", |told| {
        told.at_port(client.port())
            .any(|event| user(event) == Some(child) && bytes(event) == (8, 0))
    });
    script.go_on();
    let event = watch.closed(Transport::Tcp, client, server);
    assert_eq!((bytes(&event), user(&event)), ((8, 0), Some(child)));
}

#[test]
fn one_that_many_use_is_shared() {
    let Some(mut watch) = Watch::start() else { return };
    let mut script = Script::start(
        r"
listener = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
ours, theirs = socket.socketpair()
child = os.fork()
if child == 0:
    ours.close()
    while theirs.recv(1):
        client.sendall(b'b')
        theirs.send(b'.')
    os._exit(0)
theirs.close()
for _ in range(6):
    client.sendall(b'a')
    ours.send(b'.')
    ours.recv(1)
say(child=child, client=address(client), server=address(server))
wait()
",
    );
    script.listen();
    let client = script.address("client");
    let mut pids = [script.number("child"), script.number("pid")];
    pids.sort_unstable();
    watch.until("both users", |told| {
        told.at_port(client.port())
            .any(|event| match &event.socket.owners {
                Owners::Many(keys) => {
                    let mut named: Vec<u32> = keys.iter().map(|key| key.pid).collect();
                    named.sort_unstable();
                    named == pids
                }
                _ => false,
            })
    });
}
