//! Which names processes were given addresses for, so that their connections can be called by name.

use std::collections::VecDeque;
use std::net::IpAddr;

use atalaya_model::protocol::Dns;
use atalaya_model::protocol::dns::Data;
use atalaya_model::{Connection, NameSource, ProcessKey, Resolution, Span, Text, Time};
use foldhash::HashMap;

/// Most pairs of process and address remembered; the oldest go first.
const MOST: usize = 65_536;

/// The last name by which each process asked for an address.
#[derive(Debug, Default)]
pub(crate) struct Names {
    names: HashMap<(ProcessKey, IpAddr), (Text, NameSource)>,
    order: VecDeque<(ProcessKey, IpAddr)>,
    answers: Answers,
}

/// What DNS answers on the wire said: addresses, and for which names they were given last.
#[derive(Debug, Default)]
struct Answers {
    /// By who asked, `None` for anybody.
    names: HashMap<(Option<IpAddr>, IpAddr), (Text, Time)>,
    order: VecDeque<(Option<IpAddr>, IpAddr)>,
}

/// An answer is believed at least so long, however short its own time: programs keep addresses longer than told.
const BELIEVED: Span = Span::from_seconds(3_600);

impl Names {
    pub(crate) fn note(&mut self, resolution: Resolution) {
        for ip in resolution.addresses {
            let key = (resolution.process, ip);
            let known = self
                .names
                .insert(key, (resolution.name.clone(), resolution.source));
            if known.is_none() {
                self.order.push_back(key);
            }
        }
        while self.names.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }

    /// Notes what a DNS answer that `client` got says of addresses; nothing is learnt of loopback and unspecified ones.
    pub(crate) fn learn(&mut self, client: IpAddr, dns: &Dns, time: Time) {
        let (Some(response), Some(question)) = (&dns.response, dns.questions.first()) else {
            return;
        };
        let mut name: Option<Text> = None;
        for answer in &response.answers {
            let Data::Address(ip) = answer.data else {
                continue;
            };
            if ip.is_loopback() || ip.is_unspecified() || question.name.is_empty() {
                continue;
            }
            let name = name.get_or_insert_with(|| (*question.name).into());
            let until = time
                .after(Span::from_seconds(answer.ttl.into()))
                .max(time.after(BELIEVED));
            self.answers.insert((Some(client), ip), name.clone(), until);
            self.answers.insert((None, ip), name.clone(), until);
        }
    }

    /// The name for which a DNS answer gave this address: to this client, else to anybody.
    pub(crate) fn seen(&self, client: IpAddr, ip: IpAddr, time: Time) -> Option<(Text, NameSource)> {
        if self.answers.names.is_empty() {
            return None;
        }
        let find = |client| self.answers.names.get(&(client, ip));
        let (name, until) = find(Some(client)).or_else(|| find(None))?;
        (*until >= time).then(|| (name.clone(), NameSource::Dns))
    }

    /// Calls a connection by the name that its process asked for.
    pub(crate) fn name(&self, connection: &mut Connection, remote: IpAddr) {
        let process = connection.process.as_ref();
        if let Some((name, source)) = process.and_then(|process| self.find(process.key, remote)) {
            connection.name = Some(name);
            connection.name_source = Some(source);
        }
    }

    fn find(&self, process: ProcessKey, ip: IpAddr) -> Option<(Text, NameSource)> {
        if self.names.is_empty() {
            return None;
        }
        self.names.get(&(process, ip)).cloned()
    }
}

impl Answers {
    fn insert(&mut self, key: (Option<IpAddr>, IpAddr), name: Text, until: Time) {
        if self.names.insert(key, (name, until)).is_none() {
            self.order.push_back(key);
        }
        if self.names.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_model::Time;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start: 1 }
    }

    fn asked(pid: u32, name: &str, addresses: Vec<IpAddr>) -> Resolution {
        Resolution {
            time: Time(0),
            process: key(pid),
            name: name.into(),
            addresses,
            source: NameSource::Resolver,
        }
    }

    #[test]
    fn the_last_name_counts_and_only_for_who_asked() {
        let mut names = Names::default();
        let ip = IpAddr::from([192, 0, 2, 1]);
        names.note(asked(1, "a.example", vec![ip]));
        names.note(asked(1, "b.example", vec![ip]));
        assert_eq!(
            names.find(key(1), ip).map(|(name, _)| name),
            Some("b.example".into())
        );
        assert_eq!(names.find(key(2), ip), None);
        assert_eq!(names.find(key(1), IpAddr::from([192, 0, 2, 2])), None);
    }

    #[test]
    fn old_names_are_forgotten() {
        let mut names = Names::default();
        let ip = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..MOST as u32 + 5 {
            names.note(asked(1, "many.example", vec![ip(number)]));
        }
        assert_eq!((names.names.len(), names.order.len()), (MOST, MOST));
        assert_eq!(names.find(key(1), ip(4)), None);
        assert!(names.find(key(1), ip(5)).is_some());
    }
}
