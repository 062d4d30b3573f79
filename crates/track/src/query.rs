//! Questions about what lives now.

use std::collections::HashMap;
use std::sync::Arc;

use atalaya_model::fields::Record;
use atalaya_model::live::{InterfaceTraffic, Joined, MAX_ROWS, Page, Response, Rows};
use atalaya_model::state::State;
use atalaya_model::{Bandwidth, Connection, Listener, Process, ProcessKey, ProcessUse, Time, Usage};

use crate::sockets::Phase;
use crate::tracker::Tracker;

impl State for Tracker {
    fn watching_since(&self) -> Time {
        self.options.now
    }

    fn process(&self, key: ProcessKey) -> Option<&Arc<Process>> {
        self.processes.get(key)
    }

    fn connections_of(&self, key: ProcessKey) -> Box<dyn Iterator<Item = &Arc<Connection>> + '_> {
        let slots = self.processes.connections(key).iter();
        Box::new(slots.filter_map(|slot| Some(&self.sockets.get(*slot)?.connection)))
    }

    fn connection_count(&self, key: ProcessKey) -> usize {
        self.processes.connections(key).len()
    }

    fn connected_processes(&self) -> Box<dyn Iterator<Item = ProcessKey> + '_> {
        Box::new(self.processes.connected())
    }

    fn listeners(&self) -> Box<dyn Iterator<Item = &Arc<Listener>> + '_> {
        Box::new(self.listeners.iter())
    }
}

impl Tracker {
    /// Every open connection, in no order.
    pub fn connections(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.sockets
            .iter()
            .filter(|row| row.phase == Phase::Open)
            .map(|row| &row.connection)
    }

    /// Every connection in the kernel's table: the open ones, and closed ones that wait (TIME_WAIT), with `ended` set.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<Connection>> {
        self.sockets
            .iter()
            .filter(|row| matches!(row.phase, Phase::Open | Phase::Lingering))
            .map(|row| &row.connection)
    }

    /// Every listener, in no order.
    pub fn listeners(&self) -> impl Iterator<Item = &Arc<Listener>> {
        self.listeners.iter()
    }

    /// Every process that lives, in no order.
    pub fn processes(&self) -> impl Iterator<Item = &Arc<Process>> {
        self.processes.iter().filter(|process| process.ended.is_none())
    }

    /// Open connections.
    pub fn connection_count(&self) -> usize {
        self.sockets.open()
    }

    /// Listeners.
    pub fn listener_count(&self) -> usize {
        self.listeners.len()
    }

    /// Processes that live.
    pub fn process_count(&self) -> usize {
        self.processes.living()
    }

    /// Who uses the network how much, the first `most` of each list: over the ten seconds that ended when this was known for
    /// good, which is two seconds ago where packets are read. `None` before anything can be known.
    pub fn bandwidth(&self, most: usize) -> Option<Bandwidth> {
        self.meter.bandwidth(most)
    }

    /// What goes by on each interface whose packets are read; `speed` tells bits per second of the link by the
    /// interface's number.
    pub fn interface_traffic(&self, speed: &dyn Fn(u32) -> Option<u64>) -> Vec<InterfaceTraffic> {
        let packets = self.packets.as_ref();
        packets.map_or_else(Vec::new, |packets| packets.rates.traffic(speed))
    }

    /// What packets and sockets had in common so far; `None` where not both are observed.
    pub fn joined(&self) -> Option<Joined> {
        Some(self.packets.as_ref()?.join.as_ref()?.counts())
    }

    /// One page of the rows that match, in a stable order (by id; processes by pid). `limit` is cut to [`MAX_ROWS`].
    pub fn page(
        &self,
        rows: Rows,
        matches: &dyn Fn(&Record<'_>) -> bool,
        offset: usize,
        limit: usize,
    ) -> Response {
        match rows {
            Rows::Connections => {
                let found = self.sockets().filter(|row| matches(&Record::Connection(row)));
                Response::Connections(cut(found, |row| (row.id, 0), offset, limit))
            }
            Rows::Listeners => {
                let found = self.listeners().filter(|row| matches(&Record::Listener(row)));
                Response::Listeners(cut(found, |row| (row.id, 0), offset, limit))
            }
            Rows::Processes => {
                let found = self.processes().filter(|row| matches(&Record::Process(row)));
                let order = |row: &Process| (row.key.pid.into(), row.key.start);
                Response::Processes(cut(found, order, offset, limit))
            }
            Rows::Uses => {
                let mut rows = self.uses(matches);
                let total = rows.len();
                rows.sort_unstable_by_key(|row| row.process.key);
                let rows = rows.into_iter().skip(offset).take(limit.min(MAX_ROWS)).collect();
                Response::Uses(Page { total, rows })
            }
        }
    }
}

impl Tracker {
    /// The processes of open connections and of listeners that match, each with what it does, in no order.
    pub fn uses(&self, matches: &dyn Fn(&Record<'_>) -> bool) -> Vec<ProcessUse> {
        let mut found: HashMap<ProcessKey, ProcessUse> = HashMap::new();
        let mut usage = |process: &Arc<Process>, add: &dyn Fn(&mut Usage)| {
            let row = found.entry(process.key).or_insert_with(|| ProcessUse {
                process: self.processes.get(process.key).unwrap_or(process).clone(),
                boot: None,
                usage: Usage::default(),
            });
            add(&mut row.usage);
        };
        for connection in self.connections() {
            if let Some(process) = &connection.process
                && matches(&Record::Connection(connection))
            {
                usage(process, &|usage| usage.add_connection(connection));
            }
        }
        for listener in self.listeners() {
            if let Some(process) = &listener.process
                && matches(&Record::Listener(listener))
            {
                usage(process, &|usage| usage.add_listener(listener));
            }
        }
        found.into_values().collect()
    }
}

fn cut<'a, T: 'a>(
    found: impl Iterator<Item = &'a Arc<T>>,
    order: impl Fn(&T) -> (u64, u64),
    offset: usize,
    limit: usize,
) -> Page<Arc<T>> {
    let mut found: Vec<&Arc<T>> = found.collect();
    found.sort_unstable_by_key(|row| order(row));
    let rows = found.iter().skip(offset).take(limit.min(MAX_ROWS));
    Page {
        total: found.len(),
        rows: rows.map(|row| Arc::clone(row)).collect(),
    }
}
