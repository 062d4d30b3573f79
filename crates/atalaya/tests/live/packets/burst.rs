//! Ten thousand conversations in a moment: each is told once, with its process and its packets.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::{Watched, number, of_action, text};
use crate::program::Program;
use crate::world::World;
use crate::{rounds, run};

/// The generator of the completeness bench, put into a world.
fn install(world: &World) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/completeness/load");
    let files: Vec<_> = std::fs::read_dir(source)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "c"))
        .collect();
    let load = world.path("load");
    let mut words = vec!["-O1", "-o", load.to_str().unwrap()];
    words.extend(files.iter().map(|file| file.to_str().unwrap()));
    run("cc", &words);
}

fn serve(world: &World, what: &str, address: &str, port: &str) -> Program {
    let mut command = world.command("./load");
    command.args(["serve", what, address, port]);
    let server = world.start(command);
    crate::until("the server is ready", || server.text().contains("ready"));
    server
}

/// What the clients say they did: (own port, sent, received), as often as it happened.
fn truth(printed: &str) -> HashMap<(u64, u64, u64), usize> {
    let mut truth = HashMap::new();
    for line in printed.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let local = line["local"][1].as_u64().unwrap();
        let key = (
            local,
            line["sent"].as_u64().unwrap(),
            line["received"].as_u64().unwrap(),
        );
        *truth.entry(key).or_default() += 1;
    }
    truth
}

/// Checks what was told of the client's side against what it did.
#[track_caller]
fn check(records: &[Value], port: u64, truth: &HashMap<(u64, u64, u64), usize>) {
    let count: usize = truth.values().sum();
    let closed = of_action(records, "connection_closed");
    let own: Vec<&Value> = closed
        .iter()
        .filter(|record| {
            number(record, "/destination/port") == Some(port)
                && text(record, "/connection/side") != "destination"
        })
        .collect();
    let named = own
        .iter()
        .filter(|record| text(record, "/process/name") == "load")
        .count();
    let joined = own
        .iter()
        .filter(|record| text(record, "/zeek/connection/state") == "SF")
        .count();
    let alone = own
        .iter()
        .filter(|record| text(record, "/attribution/evidence") == "not_recorded")
        .count();
    let mut told: HashMap<(u64, u64, u64), usize> = HashMap::new();
    for record in &own {
        let [source, sent, received] = ["/source/port", "/source/bytes", "/destination/bytes"]
            .map(|path| number(record, path).unwrap_or(0));
        *told.entry((source, sent, received)).or_default() += 1;
    }
    println!(
        "port {port}: {count} conversations, told {}, with process {named}, with packets {joined}, alone {alone}",
        own.len()
    );
    assert_eq!((own.len(), named, joined, alone), (count, count, count, 0));
    assert!(told == *truth, "ports or bytes differ");
    let opened = of_action(records, "connection_opened");
    let opened = opened.iter().filter(|record| {
        number(record, "/destination/port") == Some(port) && text(record, "/connection/side") != "destination"
    });
    assert_eq!(opened.count(), count);
}

#[test]
fn a_burst_over_a_wire() {
    let Some(here) = World::new() else { return };
    let Some(there) = World::new() else { return };
    here.join(&there);
    install(&here);
    install(&there);
    let _servers =
        [("tcp", "7000"), ("udp", "7001")].map(|(what, port)| serve(&there, what, "198.51.100.2", port));
    let watched = Watched::start(&here, "ebpf", &["eth0"], "connection,gap");
    let count = rounds(10_000, 10_000);
    let stream = truth(&here.shell(&format!("./load tcp small 198.51.100.2 7000 {count} 100 2000")));
    let datagrams = truth(&here.shell(&format!("./load udp fresh 198.51.100.2 7001 {count} 100")));
    watched.wait_for(7000, count);
    watched.wait_for(7001, count);
    let status = watched.status(&here);
    let ring = status["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stage| stage["stage"] == "packet_ring");
    let ring = ring.unwrap_or_else(|| panic!("{status:#}"));
    assert!(ring["received"].as_u64() >= Some(12 * count as u64), "{ring}");
    assert_eq!(ring["dropped"], 0);
    let traffic = &status["traffic"][0];
    assert_eq!(traffic["name"], "eth0", "{status:#}");
    assert!(traffic["packets_per_second"].as_u64() > Some(0), "{traffic}");
    assert!(traffic["share_of_link"].as_f64() > Some(0.0), "{traffic}");
    let bandwidth = |list: &str, name: &str| {
        let rows = watched.status(&here)["bandwidth"][list].clone();
        let mut rows = rows.as_array().cloned().unwrap_or_default().into_iter();
        rows.any(|row| row["name"] == name && row["rate"]["sent_packets"].as_u64() > Some(0))
    };
    crate::until("the load is told to use the network", || {
        bandwidth("processes", "load")
    });
    let joined = &watched.status(&here)["joined"];
    assert_eq!(joined["together"].as_u64(), Some(2 * count as u64), "{joined}");
    assert_eq!(joined["kernel_only"], 0, "{joined}");
    let (records, said) = watched.end();
    assert!(!said.contains("packet ring was full"), "{said}");
    // What the kernel sends by itself, as the search for neighbours, has no socket.
    let together = format!("told by packets and the kernel: {} connections", 2 * count);
    assert!(
        said.contains(&together) && said.contains("by the kernel alone: 0"),
        "{said}"
    );
    check(&records, 7000, &stream);
    check(&records, 7001, &datagrams);
    assert_eq!(of_action(&records, "gap"), Vec::<Value>::new());
}

#[test]
fn a_burst_on_loopback() {
    let Some(here) = World::new() else { return };
    install(&here);
    let _server = serve(&here, "tcp", "127.0.0.1", "7000");
    let watched = Watched::start(&here, "ebpf", &["lo"], "connection,gap");
    let count = rounds(2_000, 2_000);
    let stream = truth(&here.shell(&format!("./load tcp small 127.0.0.1 7000 {count} 100 2000")));
    watched.wait_for(7000, 2 * count);
    let (records, _) = watched.end();
    check(&records, 7000, &stream);
    // The side that answers has the same packets, each counted once.
    let closed = of_action(&records, "connection_closed");
    let mut sides: HashMap<u64, Vec<[Option<u64>; 4]>> = HashMap::new();
    for record in closed
        .iter()
        .filter(|record| number(record, "/destination/port") == Some(7000))
    {
        let counts = [
            "/connection/source_ip_bytes",
            "/connection/destination_ip_bytes",
            "/source/bytes",
            "/destination/bytes",
        ];
        let port = number(record, "/source/port").unwrap();
        sides
            .entry(port)
            .or_default()
            .push(counts.map(|path| number(record, path)));
    }
    assert_eq!(sides.len(), count);
    for (port, sides) in sides {
        assert_eq!(sides.len(), 2, "{port}");
        assert_eq!(sides[0], sides[1], "{port}");
        let [Some(up), Some(down), ..] = sides[0] else {
            panic!("{port}: {sides:?}");
        };
        // A hundred bytes in no more than eight packets, two thousand in no more than eight.
        assert!(
            (140..1_000).contains(&up) && (2_040..2_900).contains(&down),
            "{port}: {up} {down}"
        );
    }
}
