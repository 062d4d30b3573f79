//! `atalaya service`, and the watch as a service manager sees it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use crate::home::{ATALAYA, Home, calm, finish, installed, skip};

#[test]
fn systemd_takes_the_unit() {
    if !installed("systemd-analyze") {
        return skip("systemd-analyze is not installed");
    }
    for (folder, config) in [
        ("bin", None),
        ("my 100% $tools; v1", Some("a $b %h \"c\" 'd' \\e.toml")),
        ("ünï", Some("plain.toml")),
    ] {
        let home = Home::new();
        fs::create_dir(home.path(folder)).unwrap();
        let program = home.path(folder).join("atalaya");
        fs::copy(ATALAYA, &program).unwrap();
        let mut command = home.command(&program);
        command.args(["service", "install", "--print"]);
        command.args(config.into_iter().flat_map(|config| ["--config", config]));
        let printed = finish(command);
        assert_eq!((printed.code, printed.err.as_str()), (0, ""), "{printed:?}");
        home.write("atalaya.service", &printed.out);
        let mut command = home.command("systemd-analyze");
        let verified = finish({
            command.args(["verify", "--man=no", "./atalaya.service"]);
            command
        });
        if verified.err.contains("Failed to initialize manager") {
            return skip("systemd-analyze does not work here");
        }
        let ours: Vec<_> = verified
            .err
            .lines()
            .filter(|line| line.contains("atalaya"))
            .collect();
        assert!(
            ours.is_empty() && verified.code == 0,
            "{verified:?}\n{}",
            printed.out
        );
    }
}

#[test]
fn the_service_manager_hears_of_every_step() {
    let home = Home::new();
    let manager = UnixDatagram::bind(home.path("notify")).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let config = home.write("calm.toml", &calm(""));
    let mut command = home.command(ATALAYA);
    command
        .args(["watch", "--no-store", "--quiet", "--config", &config])
        .env("NOTIFY_SOCKET", home.path("notify"))
        .env("WATCHDOG_USEC", "2000000")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = Ending(command.spawn().unwrap());
    let hear = || {
        let mut buffer = [0; 4096];
        let length = manager.recv(&mut buffer).expect("the watch says something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut heard: Vec<String> = Vec::new();
    let done = |heard: &[String]| {
        let said = |line: &str| heard.iter().filter(|heard| heard.starts_with(line)).count();
        said("READY=1") > 0 && said("WATCHDOG=1") > 2 && said("STATUS=") > 2
    };
    while !done(&heard) {
        heard.push(hear());
        assert!(heard.len() < 1_000, "{heard:?}");
    }
    assert_eq!(
        heard.iter().filter(|line| *line == "READY=1").count(),
        1,
        "{heard:?}"
    );
    let status = heard.iter().rfind(|line| line.starts_with("STATUS=")).unwrap();
    assert!(
        status.starts_with("STATUS=tier ") && !status.contains('\n'),
        "{status}"
    );
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &child.0.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    while heard.last().is_none_or(|line| line != "STOPPING=1") {
        heard.push(hear());
    }
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

/// A child that ends with the test, however that ends.
struct Ending(std::process::Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It has usually ended, and been waited for, already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn a_service_that_is_not_there_is_no_mistake() {
    if fs::exists("/etc/systemd/system/atalaya.service").unwrap_or(true) {
        return skip("atalaya is installed as a service here");
    }
    let home = Home::new();
    let status = home.run(&["service", "status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.out.contains("not installed"), "{}", status.out);
    let removed = home.run(&["service", "uninstall"]);
    assert_eq!(
        (removed.code, removed.out.as_str()),
        (0, "not installed\n"),
        "{removed:?}"
    );
}
