//! The numbers of a snapshot.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use atalaya_model::{Connection, Listener, Process, ProcessKey, Scope, SocketState, Text, Transport};

use super::{listener_state, state_name};

/// What there is, counted. A loopback conversation counts twice, once for each of its sockets, as `netstat` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All sockets: connections and listeners.
    pub total: u64,
    /// Listeners among them.
    pub listeners: u64,
    /// Connections in state ESTABLISHED.
    pub established: u64,
    /// Sockets by transport.
    pub by_protocol: BTreeMap<&'static str, u64>,
    /// Sockets by state; datagram sockets without a peer are `UNCONN`.
    pub by_state: BTreeMap<&'static str, u64>,
    /// The programs with the most connections, at most [`Statistics::TOP`]; `None` names no process.
    pub by_process: Vec<ProcessCount>,
    /// TCP ports that somebody listens on, lowest first.
    pub listening_ports: BTreeSet<u16>,
    /// UDP ports of sockets without a peer, lowest first.
    pub udp_ports: BTreeSet<u16>,
    /// How many different external addresses there are.
    pub external_ips: u64,
    /// Those with the most connections, at most [`Statistics::TOP`].
    pub top_external_ips: Vec<(IpAddr, u64)>,
}

/// How many connections the processes of one name have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessCount {
    /// Name of the processes, `None` where no process is known.
    pub name: Option<Text>,
    /// How many processes of that name have connections.
    pub processes: u64,
    /// How many connections they have.
    pub connections: u64,
}

impl Statistics {
    /// Rows of each ranking.
    pub const TOP: usize = 20;

    /// Walks everything once. Memory grows with the number of different processes and addresses only.
    pub fn count<'a>(
        connections: impl Iterator<Item = &'a Connection>,
        listeners: impl Iterator<Item = &'a Listener>,
    ) -> Self {
        let mut statistics = Self::default();
        let mut processes: HashMap<Option<ProcessKey>, (Option<&'a Process>, u64)> = HashMap::new();
        let mut addresses: HashMap<IpAddr, u64> = HashMap::new();
        let mut states = [0_u64; SocketState::ALL.len() + 1];
        let mut datagrams: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut last: Option<(Transport, u64)> = None;
        for connection in connections {
            statistics.total += 1;
            let is_established = connection.state == SocketState::Established;
            statistics.established += u64::from(is_established);
            if connection.transport == Transport::Tcp {
                states[connection.state as usize] += 1;
            } else {
                *datagrams
                    .entry(state_name(connection.transport, connection.state))
                    .or_default() += 1;
            }
            match &mut last {
                Some((transport, count)) if *transport == connection.transport => *count += 1,
                _ => statistics.count_protocol(last.replace((connection.transport, 1))),
            }
            let process = connection.process.as_deref();
            processes
                .entry(process.map(|process| process.key))
                .or_insert((process, 0))
                .1 += 1;
            if connection.scope == Scope::External {
                *addresses.entry(connection.remote().ip).or_default() += 1;
            }
        }
        statistics.count_protocol(last);
        for state in SocketState::ALL {
            let count = states[state as usize];
            if count > 0 {
                statistics.by_state.insert(state.name(), count);
            }
        }
        for (state, count) in datagrams {
            *statistics.by_state.entry(state).or_default() += count;
        }
        for listener in listeners {
            statistics.count_listener(listener);
        }
        statistics.external_ips = addresses.len() as u64;
        statistics.top_external_ips = top(addresses.into_iter().collect());
        statistics.by_process = rank(processes.into_values());
        statistics
    }

    fn count_protocol(&mut self, run: Option<(Transport, u64)>) {
        if let Some((transport, count)) = run {
            *self.by_protocol.entry(transport.name()).or_default() += count;
        }
    }

    fn count_listener(&mut self, listener: &Listener) {
        self.total += 1;
        self.listeners += 1;
        *self.by_protocol.entry(listener.transport.name()).or_default() += 1;
        *self.by_state.entry(listener_state(listener)).or_default() += 1;
        match listener.transport {
            Transport::Udp | Transport::UdpLite => self.udp_ports.insert(listener.local.port),
            _ => self.listening_ports.insert(listener.local.port),
        };
    }
}

fn rank<'a>(processes: impl Iterator<Item = (Option<&'a Process>, u64)>) -> Vec<ProcessCount> {
    let mut by_name: HashMap<Option<&Text>, (u64, u64)> = HashMap::new();
    for (process, connections) in processes {
        let (count, total) = by_name.entry(process.map(|process| &process.name)).or_default();
        *count += u64::from(process.is_some());
        *total += connections;
    }
    let mut ranking: Vec<_> = by_name
        .into_iter()
        .map(|(name, (processes, connections))| ProcessCount {
            name: name.cloned(),
            processes,
            connections,
        })
        .collect();
    ranking
        .sort_unstable_by(|a, b| (Reverse(a.connections), &a.name).cmp(&(Reverse(b.connections), &b.name)));
    ranking.truncate(Statistics::TOP);
    ranking
}

fn top(mut counts: Vec<(IpAddr, u64)>) -> Vec<(IpAddr, u64)> {
    counts.sort_unstable_by_key(|(ip, count)| (Reverse(*count), *ip));
    counts.truncate(Statistics::TOP);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::samples;

    #[test]
    fn every_socket_is_counted_once() {
        let host = samples::host();
        let statistics = host.snapshot().statistics();
        assert_eq!(statistics.total, 9);
        assert_eq!(statistics.listeners, 3);
        assert_eq!(statistics.established, 4);
        assert_eq!(statistics.by_protocol.values().sum::<u64>(), statistics.total);
        assert_eq!(statistics.by_state.values().sum::<u64>(), statistics.total);
        assert_eq!(statistics.by_protocol["udp"], 2);
        assert_eq!(statistics.by_state["LISTEN"], 2);
        assert_eq!(statistics.by_state["UNCONN"], 1);
        assert_eq!(statistics.listening_ports, [22, 31_337].into());
        assert_eq!(statistics.udp_ports, [68].into());
    }

    #[test]
    fn rankings_have_the_most_first_and_name_the_nameless() {
        let host = samples::host();
        let statistics = host.snapshot().statistics();
        let ranking: Vec<_> = statistics
            .by_process
            .iter()
            .map(|row| (row.name.as_deref(), row.processes, row.connections))
            .collect();
        assert_eq!(
            ranking,
            [
                (Some("nginx"), 2, 3),
                (None, 0, 1),
                (Some("bad\u{1b}[31m\nname"), 1, 1),
                (Some("nc"), 1, 1)
            ]
        );
        assert_eq!(statistics.external_ips, 3);
        assert_eq!(statistics.top_external_ips[0].1, 2);
    }

    #[test]
    fn rankings_are_bounded() {
        let connections: Vec<_> = (0..200_u8)
            .map(|n| {
                let mut connection = samples::connection("192.0.2.1:1000", "198.51.100.1:443");
                connection.destination.ip = [198, 51, 100, n].into();
                connection
            })
            .collect();
        let statistics = Statistics::count(connections.iter(), [].iter());
        assert_eq!(statistics.external_ips, 200);
        assert_eq!(statistics.top_external_ips.len(), Statistics::TOP);
        assert_eq!(statistics.top_external_ips[0], ([198, 51, 100, 0].into(), 1));
    }
}
