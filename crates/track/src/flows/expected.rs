//! Conversations that another one announced: FTP's for data, IRC's for files.
//!
//! Bounded: of more than [`MOST`] places that are waited for, the oldest is forgotten, and each after [`PATIENCE`]. An
//! announcement only names what comes: that is read like any other, and what is found in it wins, so that nobody hides a
//! conversation by announcing it.

use std::collections::VecDeque;
use std::net::IpAddr;

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Endpoint, Span, Time};
use foldhash::HashMap;

/// Most places that are waited for.
const MOST: usize = 1_024;
/// How long somebody is waited for there.
const PATIENCE: Span = Span::from_seconds(300);

/// The places that were announced.
#[derive(Debug, Default)]
pub(super) struct Expected {
    places: HashMap<Endpoint, (Application, Time)>,
    /// Every place in the table with its end, and some that were taken or announced again since.
    order: VecDeque<(Endpoint, Time)>,
}

impl Expected {
    /// Learns where a conversation is to come, if that is what was said between `source` and `destination`.
    pub(super) fn learn(&mut self, other: &Other, source: IpAddr, destination: IpAddr, time: Time) {
        let Some(port) = other.get("data_port").and_then(|port| port.parse().ok()) else {
            return;
        };
        let was_refused = other.get("code").is_some_and(|code| !code.starts_with('2'));
        // Whoever waits for it.
        let (application, own) = match (other.application, other.get("command")) {
            _ if was_refused => return,
            (Application::Ftp, Some("PORT" | "EPRT")) => (Application::FtpData, Some(source)),
            (Application::Ftp, Some("PASV" | "EPSV")) => (Application::FtpData, Some(destination)),
            (Application::Irc, _) => (Application::IrcData, None),
            _ => return,
        };
        let said = other.get("data_address").and_then(|address| address.parse().ok());
        // Behind a translation of addresses the one that is said may not be the one that is seen.
        for ip in [said, own.filter(|own| said != Some(*own))].into_iter().flatten() {
            self.insert(Endpoint::new(ip, port), application, time.after(PATIENCE));
        }
    }

    fn insert(&mut self, place: Endpoint, application: Application, until: Time) {
        self.places.insert(place, (application, until));
        self.order.push_back((place, until));
        while self.order.len() > MOST
            && let Some((oldest, until)) = self.order.pop_front()
        {
            // Some servers announce the same place again and again.
            if self.places.get(&oldest).is_some_and(|(_, last)| *last == until) {
                self.places.remove(&oldest);
            }
        }
    }

    /// Nobody is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What was announced to come to this place by now; the next to come there is not announced any more.
    pub(super) fn take(&mut self, place: Endpoint, now: Time) -> Option<Application> {
        let (application, until) = self.places.remove(&place)?;
        if self.places.is_empty() {
            self.order.clear();
        }
        (now <= until).then_some(application)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(command: &str, code: &str, address: Option<&str>, port: &str) -> Other {
        let mut other = Other::new(Application::Ftp);
        let attributes = [
            ("command", Some(command)),
            ("data_address", address),
            ("data_port", Some(port)),
            ("code", Some(code)),
        ];
        for (name, value) in attributes {
            if let Some(value) = value {
                other.attributes.push((name.into(), value.into()));
            }
        }
        other
    }

    const NOW: Time = Time(1_000_000);

    fn ips() -> [IpAddr; 2] {
        ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap())
    }

    fn place(ip: &str, port: u16) -> Endpoint {
        Endpoint::new(ip.parse().unwrap(), port)
    }

    #[test]
    fn announced_conversations_are_named_once_and_in_time() {
        let [client, server] = ips();
        let mut expected = Expected::default();
        expected.learn(
            &announcement("PASV", "227", Some("10.0.0.1"), "50000"),
            client,
            server,
            NOW,
        );
        expected.learn(&announcement("EPRT", "200", None, "50001"), client, server, NOW);
        expected.learn(&announcement("PORT", "500", None, "50002"), client, server, NOW);
        let later = NOW.after(PATIENCE);
        assert_eq!(expected.take(place("192.0.2.1", 50_000), NOW), None);
        for ip in ["192.0.2.2", "10.0.0.1"] {
            assert_eq!(
                expected.take(place(ip, 50_000), later),
                Some(Application::FtpData)
            );
            assert_eq!(expected.take(place(ip, 50_000), later), None);
        }
        assert_eq!(
            expected.take(place("192.0.2.1", 50_001), later.after(Span(1))),
            None
        );
        assert!(expected.is_empty() && expected.order.is_empty());
    }

    #[test]
    fn a_place_may_be_announced_again_and_again() {
        let [client, server] = ips();
        let mut expected = Expected::default();
        // The address that is said is another one, and nobody ever comes to it.
        let it = announcement("PASV", "227", Some("10.0.0.1"), "50000");
        for second in 0..3 * MOST as i64 {
            let now = Time::from_seconds(second);
            expected.learn(&it, client, server, now);
            let taken = expected.take(place("192.0.2.2", 50_000), now);
            assert_eq!(taken, Some(Application::FtpData), "{second}");
        }
        assert!(expected.places.len() <= MOST && expected.order.len() <= MOST);
    }

    #[test]
    fn only_so_many_are_waited_for() {
        let [client, server] = ips();
        let mut expected = Expected::default();
        for port in 1..=u16::MAX {
            let it = announcement("EPSV", "229", None, &port.to_string());
            expected.learn(&it, client, server, NOW);
        }
        assert!(expected.places.len() <= MOST && expected.order.len() <= MOST);
        assert_eq!(expected.take(place("192.0.2.2", 1), NOW), None);
        let last = place("192.0.2.2", u16::MAX);
        assert_eq!(expected.take(last, NOW), Some(Application::FtpData));
    }
}
