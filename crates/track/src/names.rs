//! Which names processes were given addresses for, so that their connections can be called by name.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use atalaya_model::protocol::Dns;
use atalaya_model::protocol::dns::Data;
use atalaya_model::{Connection, NameSource, ProcessKey, Resolution, Span, Text, Time};
use foldhash::HashMap;

/// Most pairs of process and address remembered, most addresses of answers, and most pairs of another client and
/// address; the oldest go first.
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
    /// Of each address: who asked last.
    last: HashMap<IpAddr, Answer>,
    order: VecDeque<IpAddr>,
    /// Of each other client and address: what that client was told.
    others: HashMap<(IpAddr, IpAddr), Answer>,
    others_order: VecDeque<(IpAddr, IpAddr)>,
}

#[derive(Debug)]
struct Answer {
    client: IpAddr,
    name: Text,
    until: Time,
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
        for answer in &response.answers {
            let Data::Address(ip) = answer.data else {
                continue;
            };
            if ip.is_loopback() || ip.is_unspecified() || question.name.is_empty() {
                continue;
            }
            let until = time
                .after(Span::from_seconds(answer.ttl.into()))
                .max(time.after(BELIEVED));
            self.answers.insert(client, ip, &question.name, until);
        }
    }

    /// The name for which a DNS answer gave this address: to this client, else to anybody.
    pub(crate) fn seen(&self, client: IpAddr, ip: IpAddr, time: Time) -> Option<(Text, NameSource)> {
        if self.answers.last.is_empty() {
            return None;
        }
        let last = self.answers.last.get(&ip)?;
        let own = (last.client != client)
            .then(|| self.answers.others.get(&(client, ip)))
            .flatten();
        let answer = own.unwrap_or(last);
        (answer.until >= time).then(|| (answer.name.clone(), NameSource::Dns))
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
    fn insert(&mut self, client: IpAddr, ip: IpAddr, name: &str, until: Time) {
        match self.last.entry(ip) {
            Entry::Occupied(known) => {
                let last = known.into_mut();
                if last.client == client {
                    last.until = until;
                    if *last.name != *name {
                        last.name = name.into();
                    }
                    return;
                }
                let own = Answer {
                    client,
                    name: name.into(),
                    until,
                };
                let other = std::mem::replace(last, own);
                self.keep(ip, other);
            }
            Entry::Vacant(new) => {
                new.insert(Answer {
                    client,
                    name: name.into(),
                    until,
                });
                self.order.push_back(ip);
            }
        }
        if self.last.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.last.remove(&oldest);
        }
    }

    /// Keeps what a client was told who is not the last any more.
    fn keep(&mut self, ip: IpAddr, answer: Answer) {
        let key = (answer.client, ip);
        if self.others.insert(key, answer).is_none() {
            self.others_order.push_back(key);
        }
        if self.others.len() > MOST
            && let Some(oldest) = self.others_order.pop_front()
        {
            self.others.remove(&oldest);
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
    #[test]
    fn answers_are_told_to_who_got_them_first() {
        let mut answers = Names::default();
        let [ip, one, other, third] = [1, 2, 3, 4].map(|last| IpAddr::from([192, 0, 2, last]));
        for (client, name) in [
            (one, "a.example"),
            (other, "b.example"),
            (one, "c.example"),
            (other, "d.example"),
        ] {
            answers.answers.insert(client, ip, name, Time(9));
        }
        let seen = |client, time| answers.seen(client, ip, time).map(|(name, _)| name.to_string());
        assert_eq!(seen(one, Time(9)).as_deref(), Some("c.example"));
        assert_eq!(seen(other, Time(9)).as_deref(), Some("d.example"));
        assert_eq!(seen(third, Time(9)).as_deref(), Some("d.example"));
        assert_eq!(seen(one, Time(10)), None);
    }

    #[test]
    fn old_answers_and_clients_are_forgotten() {
        let mut names = Names::default();
        let ip = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..MOST as u32 + 5 {
            names.answers.insert(ip(number), ip(7), "one.example", Time(9));
            names.answers.insert(ip(7), ip(number), "many.example", Time(9));
        }
        let answers = &names.answers;
        assert_eq!((answers.last.len(), answers.order.len()), (MOST, MOST));
        assert_eq!((answers.others.len(), answers.others_order.len()), (MOST, MOST));
        let seen = |client| {
            names
                .seen(ip(client), ip(7), Time(9))
                .map(|(name, _)| name.to_string())
        };
        assert_eq!(seen(MOST as u32 + 3).as_deref(), Some("one.example"));
    }
}
