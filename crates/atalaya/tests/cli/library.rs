//! The example of the library, run.

use std::net::{TcpListener, TcpStream};

use crate::home::{Home, calm};

#[path = "../../examples/monitor.rs"]
#[expect(dead_code, reason = "an example has a `main` of its own")]
mod monitor;

#[test]
fn the_example_looks_and_watches() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let _stream = TcpStream::connect(address).unwrap();
    let config = calm(&format!(
        "[detect.suspicious_port]\nports = [{}]\n",
        address.port()
    ));
    let config = home.write("high.toml", &config);
    let mut out = Vec::new();
    monitor::run(&atalaya::Monitor::with_config(config), 3, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for words in [
        "by tier ",
        "dns_rate (high): ",
        "[high] suspicious_port: ",
        " connections, ",
        "event 3: ",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    assert!(!text.contains("event 4: "), "{text}");
}

#[test]
fn a_wrong_configuration_is_an_error_of_the_library() {
    let home = Home::new();
    let config = home.write("bad.toml", "[wach]\n");
    let error = atalaya::Monitor::with_config(config).plan().unwrap_err();
    assert!(error.to_string().contains("did you mean `watch`?"), "{error}");
}
