//! `atalaya processes`: from a look, from a running watcher, from the store.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::home::{ATALAYA, Home, calm};

/// A connection of this test with itself, and the port that answers.
struct Talk {
    port: u16,
    _listener: TcpListener,
    accepted: TcpStream,
    stream: TcpStream,
}

impl Talk {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        // Until it is accepted, no process holds that end.
        let mut accepted = listener.accept().unwrap().0;
        stream.write_all(b"0123456789").unwrap();
        accepted.read_exact(&mut [0; 10]).unwrap();
        Self {
            port: address.port(),
            _listener: listener,
            accepted,
            stream,
        }
    }
}

/// A watcher with a store and a socket in the home, ended by its input's end or at the latest when dropped.
struct Watcher(Child);

impl Watcher {
    fn start(home: &Home) -> Self {
        let config = calm("").replace("[store]\nenabled = false\n", "");
        let config = config.replace("[control]\nenabled = false\n", "");
        let config = home.write("watch.toml", &config);
        let mut command = home.command(ATALAYA);
        command
            .args(["watch", "--quiet", "--interval", "100ms", "--config", &config])
            .args(["--store", "a.db", "--socket", "a.sock", "--tier", "poll"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) {
        let pid = self.0.id().to_string();
        let kill = std::process::Command::new("kill").args(["-INT", &pid]).status();
        assert!(kill.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

const HERE: [&str; 4] = ["--store", "a.db", "--socket", "a.sock"];

/// The row of this test's own process.
fn own(home: &Home, flags: &[&str]) -> Option<Value> {
    let words = [&["processes", "--output", "json", "--limit", "0"], flags].concat();
    let ran = home.run(&words);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{words:?}");
    let pid = u64::from(std::process::id());
    ran.json().into_iter().find(|row| row["process"]["pid"] == pid)
}

/// Waits until this test's own row is as wanted.
fn until(home: &Home, what: &str, flags: &[&str], wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let row = own(home, flags);
        if let Some(row) = row.as_ref().filter(|row| wanted(row)) {
            return row.clone();
        }
        assert!(Instant::now() < end, "waited in vain: {what}: {row:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_look_finds_this_test_in_every_shape() {
    let home = Home::new();
    let talk = Talk::new();
    let filter = format!("port:{}", talk.port);
    let socket = ["--socket", "nobody.sock", "--filter", &filter];
    let row = own(&home, &socket).expect("this test uses the network");
    let usage = &row["atalaya"]["usage"];
    assert_eq!(usage["source"], "look");
    assert_eq!(
        usage["connections"],
        serde_json::json!({"open": 2, "closed": 0, "failed": 0})
    );
    assert_eq!(
        usage["bytes"],
        serde_json::json!({"sent": 10, "received": 10}),
        "{usage}"
    );
    assert_eq!(usage["listeners"][0]["port"], talk.port);

    let pid = std::process::id().to_string();
    let text = home.run(&[&["processes", "--lang", "en"], &socket[..]].concat());
    assert_eq!((text.code, text.err.as_str()), (0, ""));
    assert!(
        text.out
            .starts_with("1 process uses the network (filtered), by one look\n"),
        "{}",
        text.out
    );
    assert!(
        text.out.contains(&pid) && text.out.contains("2/2"),
        "{}",
        text.out
    );
    assert!(!text.out.contains('\u{1b}'), "no colour in a pipe");
    let tree = home.run(&[&["processes", "--tree", "--verbose"], &socket[..]].concat());
    assert!(tree.out.contains("└─ "), "{}", tree.out);
    let csv = home.run(&[&["processes", "--output", "csv"], &socket[..]].concat());
    assert_eq!(csv.out.lines().count(), 2, "{}", csv.out);
    assert!(csv.out.starts_with("pid,process_start,"), "{}", csv.out);
    // This test is a big file: its hash may come too late for a look.
    let hashed = own(&home, &[&["--hashes"], &socket[..]].concat()).unwrap();
    let hash = hashed["process"]["hash"]["sha256"].as_str();
    assert!(hash.is_none_or(|hash| hash.len() == 64), "{hashed}");
    drop(talk.stream);
}

#[test]
fn processes_without_network_come_only_when_asked_for() {
    let home = Home::new();
    let mut sleeper = home.command("sleep").arg("600").spawn().unwrap();
    let filter = format!("pid:{}", sleeper.id());
    let socket = ["processes", "--socket", "nobody.sock", "--filter", &filter];
    let without = home.run(&socket);
    let all = home.run(&[&socket[..], &["--all"]].concat());
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    let said = "No process uses the network (filtered), by one look\n";
    assert!(without.out.starts_with(said), "{}", without.out);
    assert!(!without.out.contains("sleep"), "{}", without.out);
    assert!(
        all.out.starts_with("1 process (filtered), by one look\n"),
        "{}",
        all.out
    );
    assert!(all.out.contains("sleep"), "{}", all.out);
}

#[test]
fn a_watcher_tells_what_lives_and_the_store_what_is_over() {
    let home = Home::new();
    let talk = Talk::new();
    let watcher = Watcher::start(&home);
    let filter = format!("port:{}", talk.port);
    let here = [&HERE[..], &["--filter", &filter]].concat();
    let end = Instant::now() + Duration::from_secs(60);
    while !home.path("a.sock").exists() {
        assert!(Instant::now() < end, "the watcher opens no socket");
        std::thread::sleep(Duration::from_millis(20));
    }
    let row = until(&home, "the watcher sees both ends", &here, |row| {
        row["atalaya"]["usage"]["connections"]["open"] == 2
    });
    assert_eq!(row["atalaya"]["usage"]["source"], "watcher");
    assert!(row["atalaya"]["usage"].get("boot_id").is_none());
    // They end, and stay in what is counted.
    let Talk {
        _listener: listener,
        accepted,
        stream,
        ..
    } = talk;
    drop((stream, accepted));
    let row = until(&home, "the store has their end", &here, |row| {
        let counts = &row["atalaya"]["usage"]["connections"];
        counts["open"] == 0 && counts["closed"].as_u64() >= Some(2)
    });
    assert!(
        row["atalaya"]["usage"]["bytes"]["sent"].as_u64() >= Some(10),
        "{row:#?}"
    );
    assert_eq!(row["atalaya"]["usage"]["listening"], 1, "it listens still");
    drop(listener);
    let all = home.run(&[&["processes", "--all", "--limit", "1"], &HERE[..]].concat());
    assert!(all.out.contains("more; `--limit` shows them"), "{}", all.out);
    watcher.end();

    // Nobody watches: the past is in the store, the present is looked at.
    let past = own(&home, &[&here[..], &["--since", "1h"]].concat()).expect("the store knows this test");
    assert_eq!(past["atalaya"]["usage"]["source"], "store");
    let counts = &past["atalaya"]["usage"]["connections"];
    assert!(counts["closed"].as_u64() >= Some(2), "{past:#?}");
    assert!(past["atalaya"]["usage"]["boot_id"].is_string());
    assert!(
        own(&home, &[&here[..], &["--past"]].concat()).is_none(),
        "this test has not ended"
    );
    assert!(own(&home, &[&here[..], &["--until", "2020-01-01"]].concat()).is_none());
    assert!(own(&home, &here).is_none(), "now it uses no network");
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let home = Home::new();
    home.write("text.db", &"this is no database\n".repeat(100));
    for (words, code, hint) in [
        (&["--tree", "--output", "csv"][..], 2, "--tree is for text"),
        (&["--since", "soon"], 2, "how long ago"),
        (&["--since", "1h", "--until", "2h"], 2, "is not before"),
        (&["--filter", "no.such.field:1"], 2, "hint: "),
        (&["--sort", "size"], 2, "connections, bytes"),
        (&["--past", "--store", "none.db"], 3, "does not exist"),
        (&["--since", "1h", "--store", "text.db"], 3, "not a database"),
    ] {
        let ran = home.run(&[&["processes"], words].concat());
        assert_eq!(ran.code, code, "{words:?}: {ran:?}");
        assert!(ran.err.contains(hint), "{words:?}: no {hint:?} in {}", ran.err);
        assert_eq!(ran.out, "", "{words:?}");
    }
}
