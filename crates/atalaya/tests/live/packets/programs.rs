//! Real programs: who, whom by name, by which handshake, what was answered, and how much.

use serde_json::Value;

use super::{Watched, number, of_action, text};
use crate::program::Program;
use crate::watch::ATALAYA;
use crate::world::World;
use crate::{skip, until};

const NAME: &str = "www.example.org";

/// Starts what the other host serves: HTTPS, HTTP, DNS, SSH.
fn serve(here: &World, there: &World) -> Vec<Program> {
    there.shell(&format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={NAME} -days 2 \
           -keyout key.pem -out certificate.pem 2>/dev/null
         head -c 300000 /dev/zero >large
         ssh-keygen -q -t ed25519 -N '' -f host_key
         mkdir -p /run/sshd
         printf 'Port 22\\nHostKey %s/host_key\\nAuthorizedKeysFile %s/authorized\\nStrictModes no\\n\
         UsePAM no\\nPidFile none\\n' \"$PWD\" \"$PWD\" >sshd_config"
    ));
    here.shell("ssh-keygen -q -t ed25519 -N '' -f client_key");
    std::fs::copy(here.path("client_key.pub"), there.path("authorized")).unwrap();
    let commands: [&[&str]; 4] = [
        &[
            "openssl",
            "s_server",
            "-accept",
            "443",
            "-cert",
            "certificate.pem",
            "-key",
            "key.pem",
            "-WWW",
            "-quiet",
        ],
        &["python3", "-m", "http.server", "80"],
        &[
            "dnsmasq",
            "--keep-in-foreground",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
            "--pid-file",
            "--listen-address=198.51.100.2",
            "--bind-interfaces",
            "--conf-file=/dev/null",
            "--address=/www.example.org/198.51.100.2",
        ],
        &["/usr/sbin/sshd", "-D", "-f", "sshd_config"],
    ];
    let programs = commands.map(|words| {
        let mut command = there.command(words[0]);
        command.args(&words[1..]);
        there.start(command)
    });
    until("the servers listen", || {
        let sockets = there.shell("ss -tulnH");
        [":443 ", ":80 ", ":53 ", ":22 "]
            .iter()
            .all(|port| sockets.contains(port))
    });
    here.shell("rm -f /etc/resolv.conf; echo nameserver 198.51.100.2 >/etc/resolv.conf");
    programs.into()
}

fn check(tier: &str) {
    let Some((here, there)) = World::new().zip(World::new()) else {
        return;
    };
    for program in ["curl", "dig", "dnsmasq", "ssh", "sshd", "openssl"] {
        let places = ["/usr/bin", "/usr/sbin"].map(|place| std::path::Path::new(place).join(program));
        if !places.iter().any(|place| place.exists()) {
            return skip(&format!("{program} is not installed"));
        }
    }
    here.join(&there);
    let _servers = serve(&here, &there);
    let watched = Watched::start(&here, tier, &["eth0"], "connection,protocol,gap");
    let mut capture = here.command(ATALAYA);
    capture.args([
        "capture",
        "--interface",
        "eth0",
        "--write",
        "wire.pcap",
        "--format",
        "pcap",
    ]);
    let mut capture = here.start(capture);
    until("the capture has begun", || here.path("wire.pcap").exists());
    here.shell(&format!("curl -sko /dev/null https://{NAME}/large"));
    here.shell(&format!("curl -so /dev/null http://{NAME}/large"));
    here.shell(&format!("dig +short {NAME} @198.51.100.2 | grep -q 198.51.100.2"));
    here.shell(
        "ssh -q -i client_key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@198.51.100.2 true",
    );
    for port in [443, 80, 53, 22] {
        watched.wait_for(port, 1);
    }
    capture.signal("TERM");
    assert_eq!(capture.wait().code(), Some(0), "{}", capture.said());
    let (records, said) = watched.end();
    assert!(
        said.contains("lost: nothing") || !said.contains("packet ring"),
        "{said}"
    );

    let closed = of_action(&records, "connection_closed");
    let one = |port: u64| {
        let own: Vec<&Value> = closed
            .iter()
            .filter(|record| number(record, "/destination/port") == Some(port))
            .collect();
        assert!(!own.is_empty(), "nothing to port {port}: {closed:#?}");
        own
    };
    let name_of = |port: u64| if port == 22 { "ssh" } else { "curl" };
    for port in [443, 80, 22] {
        let own = one(port);
        assert_eq!(own.len(), 1, "{own:#?}");
        let record = own[0];
        // A process that is gone before a look comes is nobody's guess.
        if tier == "ebpf" {
            assert_eq!(text(record, "/process/name"), name_of(port), "{record:#}");
            assert_eq!(text(record, "/attribution/certainty"), "exact", "{record:#}");
        }
        assert_eq!(text(record, "/zeek/connection/state"), "SF", "{record:#}");
        assert_eq!(text(record, "/observer/ingress/interface/name"), "eth0");
    }
    for (port, name) in [(443, NAME), (80, NAME)] {
        let record = one(port)[0];
        assert_eq!(text(record, "/destination/domain"), name, "{record:#}");
        let source = text(record, "/connection/name_source");
        assert!(["dns", "resolver", "tls", "http"].contains(&source), "{source}");
    }
    let said = of_action(&records, "protocol_spoken");
    let of = |protocol: &str| -> Vec<&Value> {
        said.iter()
            .filter(|record| text(record, "/network/protocol") == protocol)
            .collect()
    };
    let hello = of("tls");
    assert_eq!(hello.len(), 1, "{hello:#?}");
    assert_eq!(text(hello[0], "/tls/client/server_name"), NAME);
    let request = of("http");
    assert_eq!(text(request[0], "/url/domain"), NAME, "{request:#?}");
    let ssh = of("ssh");
    assert_eq!(ssh.len(), 1, "{ssh:#?}");
    let answers = of("dns");
    let asked = |who: &str| {
        let answer = |record: &&&Value| {
            text(record, "/process/name") == who
                && record.pointer("/dns/resolved_ip/0").and_then(Value::as_str) == Some("198.51.100.2")
        };
        answers.iter().filter(answer).count()
    };
    if tier == "ebpf" {
        let who = [hello[0], request[0], ssh[0]].map(|record| text(record, "/process/name"));
        assert_eq!(who, ["curl", "curl", "ssh"]);
        assert_eq!(asked("curl"), 2, "{answers:#?}");
        assert_eq!(asked("dig"), 1, "{answers:#?}");
    }
    assert!(answers.len() >= 3, "{answers:#?}");

    // The same from the capture of the same packets: fingerprints, and payload as packets have it.
    let mut replay = here.command(ATALAYA);
    replay.args(["replay", "wire.pcap", "--output", "json"]);
    let output = replay.output().unwrap();
    let replayed: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let again = of_action(&replayed, "protocol_spoken");
    let again = again
        .iter()
        .find(|record| text(record, "/network/protocol") == "tls");
    let again = again.expect("the hello is in the capture");
    assert!(text(hello[0], "/tls/client/ja4").starts_with("t13d"));
    assert_eq!(hello[0]["tls"], again["tls"]);
    let flows = of_action(&replayed, "connection_closed");
    for port in [443, 80, 22] {
        let (kernel, packets) = (
            one(port)[0],
            flows
                .iter()
                .find(|record| number(record, "/destination/port") == Some(port)),
        );
        let packets = packets.expect("the conversation is in the capture");
        for side in ["/source/bytes", "/destination/bytes"] {
            assert!(number(kernel, side).is_some_and(|bytes| bytes > 0), "{kernel:#}");
            let [kernel, packets] = [kernel, packets].map(|record| number(record, side).unwrap_or(0));
            // The counters that tier `poll` reads may hold the peer's FIN for a byte.
            let surplus = u64::from(tier == "poll");
            assert!(
                (packets..=packets + surplus).contains(&kernel),
                "{side} of port {port}: {kernel} by the kernel, {packets} by packets"
            );
        }
    }
}

#[test]
fn who_whom_how_and_how_much_by_tier_ebpf() {
    check("ebpf");
}

#[test]
fn who_whom_how_and_how_much_by_tier_poll() {
    check("poll");
}
