//! What is not ordinary: others' traffic, conversations that were there before, interfaces that go, no permission.

use serde_json::Value;

use super::{SOCKET, Watched, number, of_action, text};
use crate::actor::{self, Actor};
use crate::watch::ATALAYA;
use crate::world::World;
use crate::{until, within};

const AGENT: &str = "/usr/local/bin/agent";

fn of_port(records: &[Value], action: &str, port: u64) -> Vec<Value> {
    let mut records = of_action(records, action);
    records.retain(|record| number(record, "/destination/port") == Some(port));
    records
}

#[test]
fn what_is_forwarded_is_told_alone() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    let Some(guest) = World::new() else { return };
    here.join(&there);
    here.wire("guest0", &guest);
    here.shell(
        "ip addr add 10.9.0.1/24 dev guest0; ip link set guest0 up; echo 1 >/proc/sys/net/ipv4/ip_forward",
    );
    guest.shell(
        "ip addr add 10.9.0.2/24 dev guest0; ip link set guest0 up; ip route add default via 10.9.0.1",
    );
    there.shell("ip route add 10.9.0.0/24 via 198.51.100.1");
    let mut server = there.command("python3");
    server.args(["-m", "http.server", "8000"]);
    let _server = there.start(server);
    until("the server listens", || {
        there.shell("ss -tlnH").contains(":8000 ")
    });
    let watched = Watched::start(&here, "ebpf", &["guest0"], "connection,protocol");
    guest.shell("curl -so /dev/null http://198.51.100.2:8000/");
    within(30, "it is told", || {
        !of_port(&watched.records(), "connection_opened", 8000).is_empty()
    });
    let (records, _) = watched.end();
    let closed = of_port(&records, "connection_closed", 8000);
    assert_eq!(closed.len(), 1, "{closed:#?}");
    assert_eq!(text(&closed[0], "/source/ip"), "10.9.0.2");
    assert_eq!(closed[0].get("process"), None);
    assert_eq!(
        text(&closed[0], "/attribution/evidence"),
        "not_recorded",
        "{:#}",
        closed[0]
    );
    assert_eq!(text(&closed[0], "/zeek/connection/state"), "SF");
    let spoken = of_port(&records, "protocol_spoken", 8000);
    assert_eq!(spoken.len(), 1, "{spoken:#?}");
    assert_eq!(spoken[0].get("process"), None);
}

#[test]
fn what_was_there_before_and_what_pauses_is_one_record() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    for world in [&here, &there] {
        actor::install(world, AGENT, 1);
    }
    let mut server = Actor::start(&there, AGENT);
    server.act("listen 0.0.0.0 9000");
    let mut agent = Actor::start(&here, AGENT);
    agent.act("tcp 198.51.100.2 9000 1");
    let watched = Watched::start(&here, "ebpf", &["eth0"], "connection");
    agent.act("say hello");
    agent.act("close");
    watched.wait_for(9000, 1);
    let (records, _) = watched.end();
    let closed = of_port(&records, "connection_closed", 9000);
    assert_eq!(closed.len(), 1, "{closed:#?}");
    assert_eq!(text(&closed[0], "/process/name"), "agent");
    assert_eq!(closed[0]["connection"]["started_before"], true);
    assert!(
        !text(&closed[0], "/zeek/connection/history").is_empty(),
        "{:#}",
        closed[0]
    );
    assert_eq!(of_port(&records, "connection_opened", 9000).len(), 1);
}

#[test]
fn an_interface_that_goes_is_told_and_the_watch_goes_on() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    let watched = Watched::start(&here, "ebpf", &["eth0"], "connection");
    here.shell("ip link del eth0");
    until("it is told", || watched.program.said().contains("eth0 is gone"));
    assert!(watched.status(&here)["processes"].as_u64() > Some(0));
    // Another one of this name is read again.
    here.join(&there);
    until("the new one is read", || {
        watched
            .program
            .said()
            .contains("reads packets of eth0 from now on")
    });
    watched.end();
}

fn refused(world: &World, words: &[&str]) -> (Option<i32>, String) {
    let mut command = world.command(words[0]);
    command.args(&words[1..]);
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn an_unknown_interface_and_no_permission_are_refused() {
    let Some(here) = World::new() else { return };
    let watch = ["watch", "--no-store", "--packets"];
    let capture = [
        "capture",
        "--duration",
        "1s",
        "--write",
        "/dev/null",
        "--interface",
    ];
    for verb in [&watch[..], &capture] {
        let (code, said) = refused(&here, &[&[ATALAYA], verb, &["nothere0"]].concat());
        assert_eq!(code, Some(3), "{said}");
        assert!(
            said.contains("there is no such interface") && said.contains("those that are there: lo"),
            "{said}"
        );
        let bare = [
            "setpriv",
            "--bounding-set=-net_raw",
            "--inh-caps=-net_raw",
            ATALAYA,
        ];
        let (code, said) = refused(&here, &[&bare, verb, &["lo"]].concat());
        assert_eq!(code, Some(3), "{said}");
        let refusal = if verb[0] == "watch" {
            "cannot read packets"
        } else {
            "cannot capture"
        };
        assert!(said.contains("CAP_NET_RAW") && said.contains(refusal), "{said}");
    }
}

#[test]
fn a_capture_goes_on_when_its_interface_is_gone() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    let mut command = here.command(ATALAYA);
    command.args([
        "capture",
        "--interface",
        "eth0",
        "--write",
        "/dev/null",
        "--no-processes",
    ]);
    command.args([
        "--duration",
        "30s",
        "--count",
        "1",
        "--filter",
        "destination.port:9",
    ]);
    let mut capture = here.start(command);
    until("it captures", || capture.said().contains("capturing on eth0"));
    here.shell("ip link del eth0");
    until("it is told", || capture.said().contains("`eth0` is gone"));
    here.join(&there);
    until("it ends with a packet of the new one", || {
        here.shell("bash -c 'echo hello >/dev/udp/198.51.100.2/9'");
        capture.ended()
    });
    assert!(capture.said().contains("1 packets written"), "{}", capture.said());
}

#[test]
fn off_opens_no_ring() {
    let Some(here) = World::new() else { return };
    let mut command = here.command(ATALAYA);
    command.args(["watch", "--no-store", "--socket", SOCKET]);
    let watch = here.start(command);
    until("it watches", || here.outside(SOCKET).exists());
    let rings = |world: &World| {
        let table = world.shell("cat /proc/net/packet");
        table.lines().count() - 1
    };
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(rings(&here), 0);
    drop(watch);
    let _watched = Watched::start(&here, "ebpf", &["lo"], "connection");
    assert_eq!(rings(&here), 1);
}
