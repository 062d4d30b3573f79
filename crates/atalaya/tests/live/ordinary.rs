//! What an honest host does: nothing of it may be told above low.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::actor::{self, Actor};
use crate::configuration::configuration;
use crate::watch::Watch;
use crate::world::World;
use crate::{skip, until};

/// Answers every question for an A record with 198.51.100.2.
const NAME_SERVER: &str = "
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(('198.51.100.2', 53))
print('ready', flush=True)
while True:
    query, peer = server.recvfrom(2048)
    end = query.index(0, 12) + 5
    kind = query[end - 3]
    head = query[:2] + b'\\x81\\x80\\0\\1' + (b'\\0\\1' if kind == 1 else b'\\0\\0') + b'\\0\\0\\0\\0'
    answer = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4' + bytes([198, 51, 100, 2]) if kind == 1 else b''
    server.sendto(head + query[12:end] + answer, peer)
";

/// Where the packaged program lives.
const DAEMON: &str = "/usr/sbin/courierd";

/// Builds a Debian package of the actor with digests, as packages have them, and installs it.
fn install_package(world: &World, version: u32) {
    let root = world.path(&format!("package-{version}"));
    fs::create_dir_all(root.join("DEBIAN")).unwrap();
    fs::create_dir_all(root.join("usr/sbin")).unwrap();
    fs::copy(actor::binary(version), root.join("usr/sbin/courierd")).unwrap();
    let control = format!(
        "Package: courierd\nVersion: {version}\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\n\
         Description: talks to a server\n"
    );
    fs::write(root.join("DEBIAN/control"), control).unwrap();
    for path in [
        root.clone(),
        root.join("DEBIAN"),
        root.join("usr"),
        root.join("usr/sbin"),
        root.join("usr/sbin/courierd"),
    ] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.shell(&format!(
        "cd {root} && md5sum usr/sbin/courierd >DEBIAN/md5sums
         dpkg-deb --build --root-owner-group {root} {root}.deb >/dev/null
         dpkg --install {root}.deb >/dev/null 2>&1",
        root = root.display()
    ));
}

/// Starts what the other host serves: HTTPS, DNS and something that greets like SSH.
fn serve(there: &World) -> Vec<crate::program::Program> {
    there.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=www.example.org -days 2 \
           -keyout key.pem -out certificate.pem 2>/dev/null",
    );
    let mut web = there.command("openssl");
    web.args([
        "s_server",
        "-accept",
        "443",
        "-cert",
        "certificate.pem",
        "-key",
        "key.pem",
        "-www",
        "-quiet",
    ]);
    let mut names = there.command("python3");
    names.args(["-c", NAME_SERVER]);
    let mut shell = there.command("python3");
    shell.args([
        "-c",
        "import socket, time\n\
         server = socket.create_server(('198.51.100.2', 22))\n\
         print('ready', flush=True)\n\
         kept = []\n\
         while True:\n    peer, _ = server.accept(); peer.sendall(b'SSH-2.0-example\\r\\n'); kept.append(peer)",
    ]);
    let mut programs: Vec<_> = [web, names, shell].map(|command| there.start(command)).into();
    actor::install(there, DAEMON, 9);
    let mut mail = Actor::start(there, DAEMON);
    mail.act("listen 0.0.0.0 993");
    programs.push(mail.program);
    until("the servers listen", || {
        let sockets = there.shell("ss -tulnH");
        [":443 ", ":53 ", ":22 "]
            .iter()
            .all(|port| sockets.contains(port))
    });
    programs
}

#[test]
fn nothing_above_low() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    if !std::path::Path::new("/usr/bin/dpkg-deb").exists() {
        return skip("no dpkg here");
    }
    here.join(&there);
    let _servers = serve(&there);
    here.shell("rm -f /etc/resolv.conf; echo nameserver 198.51.100.2 >/etc/resolv.conf");
    install_package(&here, 1);
    let mut daemon = Actor::start(&here, DAEMON);
    daemon.act("tcp 198.51.100.2 993 1");
    let mut watch = Watch::start(&here, &configuration(), &["--store", "atalaya.db"]);
    watch.learnt();

    // HTTPS, DNS, SSH.
    for _ in 0..3 {
        here.shell("curl --silent --insecure https://198.51.100.2/ >/dev/null");
        here.shell("getent ahostsv4 www.example.org | grep -q 198.51.100.2");
    }
    let mut session = here.command("curl");
    session.args(["--silent", "--no-buffer", "telnet://198.51.100.2:22"]);
    let session = here.start(session);
    until("the other side greets", || session.text().contains("SSH-2.0"));
    watch.settle();

    // The package is upgraded under the running program, which goes on, and is then restarted.
    install_package(&here, 2);
    daemon.act("tcp 198.51.100.2 993 2");
    watch.expect("deleted_executable");
    daemon.program.signal("KILL");
    daemon.program.wait();
    let mut daemon = Actor::start(&here, DAEMON);
    daemon.act("tcp 198.51.100.2 993 1");
    watch.settle();
    watch.settle();

    let alerts = watch.alerts();
    let above: Vec<_> = alerts
        .iter()
        .filter(|told| !matches!(told.severity.as_str(), "info" | "low"))
        .collect();
    assert!(above.is_empty(), "{above:#?}");
    let updated: Vec<_> = alerts
        .iter()
        .filter(|told| told.rule == "deleted_executable")
        .collect();
    assert_eq!(updated.len(), 1, "{updated:#?}");
    assert_eq!(
        updated[0].severity, "info",
        "an upgrade by the package manager is no attack"
    );
    assert!(
        alerts
            .iter()
            .all(|told| told.rule != "changed_executable" || told.severity == "info"),
        "{alerts:#?}"
    );
    assert_eq!(watch.end(), Some(0));
}
