//! What `capture` and the flight recorder write is read back with the processes that were seen.

use std::path::PathBuf;

use serde_json::Value;

use super::{Watched, of_action, text};
use crate::watch::ATALAYA;
use crate::world::World;
use crate::{skip, until};

/// Replays a capture.
fn replay(world: &World, capture: &str) -> Vec<Value> {
    let mut command = world.command(ATALAYA);
    command.args(["replay", "--quiet", "--output", "json", capture]);
    let output = command.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Whose the conversation to port 80 was, as a replay tells it.
#[track_caller]
fn curl_of(records: &[Value], direction: &str) {
    let closed = of_action(records, "connection_closed");
    let record = closed
        .iter()
        .find(|record| record["destination"]["port"] == 80)
        .unwrap_or_else(|| panic!("{records:#?}"));
    assert_eq!(text(record, "/process/name"), "curl", "{record:#}");
    assert!(
        text(record, "/process/executable").ends_with("/curl"),
        "{record:#}"
    );
    assert_eq!(record["user"]["id"], 0, "{record:#}");
    assert_eq!(
        text(record, "/attribution/evidence"),
        "capture_file",
        "{record:#}"
    );
    assert_eq!(text(record, "/network/direction"), direction, "{record:#}");
    let said = of_action(records, "protocol_spoken");
    let request = said.iter().find(|record| record["http"].is_object()).unwrap();
    assert_eq!(text(request, "/process/name"), "curl", "{request:#}");
}

fn worlds() -> Option<(World, World)> {
    let (here, there) = World::new().zip(World::new())?;
    if !std::path::Path::new("/usr/bin/curl").exists() {
        skip("curl is not installed");
        return None;
    }
    here.join(&there);
    Some((here, there))
}

fn serve(world: &World) -> crate::program::Program {
    let mut server = world.command("python3");
    server.args(["-m", "http.server", "80"]);
    let server = world.start(server);
    until("the server listens", || world.shell("ss -tlnH").contains(":80 "));
    server
}

#[test]
fn a_capture_is_replayed_with_the_processes_that_were_seen() {
    let Some((here, there)) = worlds() else {
        return;
    };
    let _servers = [serve(&here), serve(&there)];
    for (interface, address, direction) in
        [("eth0", "198.51.100.2", "outbound"), ("lo", "127.0.0.1", "local")]
    {
        let file = format!("{interface}.pcapng");
        let mut capture = here.command(ATALAYA);
        capture.args(["capture", "--interface", interface, "--write", &file]);
        let mut capture = here.start(capture);
        until("the capture has begun", || {
            capture.said().contains("capturing on")
        });
        std::thread::sleep(std::time::Duration::from_secs(1));
        here.shell(&format!("curl -so /dev/null http://{address}/"));
        std::thread::sleep(std::time::Duration::from_secs(1));
        capture.signal("TERM");
        assert_eq!(capture.wait().code(), Some(0), "{}", capture.said());
        curl_of(&replay(&here, &file), direction);
    }
}

#[test]
fn the_flight_recorder_s_packets_have_their_processes() {
    let Some((here, there)) = worlds() else {
        return;
    };
    let _server = serve(&there);
    let folder = here.path("flight");
    let settings = format!(
        "[packets.recorder]\nenabled = true\nseverity = \"high\"\nfolder = \"{}\"\n\
         [detect.suspicious_port]\nports = [80]\n",
        folder.display()
    );
    let watched = Watched::start_with(&here, "auto", &["eth0"], "connection,protocol", &settings);
    here.shell("curl -so /dev/null http://198.51.100.2/");
    watched.wait_for(80, 1);
    // The end does not wait for the ten seconds.
    watched.end();
    let frozen: Vec<PathBuf> = std::fs::read_dir(here.outside(folder.to_str().unwrap()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "pcapng"))
        .collect();
    assert_eq!(frozen.len(), 1, "{frozen:?}");
    let name = frozen[0].file_name().unwrap().to_str().unwrap();
    curl_of(&replay(&here, folder.join(name).to_str().unwrap()), "outbound");
}
