//! A host that makes history: some programs, their destinations, and what they do with them over a week.
//!
//! What a server with a few users looks like: a third of its conversations go to its own database and resolver, a fifth
//! come from outside, the rest go out. Few addresses have most of the conversations; one in a hundred is never seen
//! again. A third of the conversations live long enough to be told of when they open and again when they close.

use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::connection::Traffic;
use atalaya_model::*;
use atalaya_store::Entry;

/// The first moment of the week.
pub(crate) const START: Time = Time(1_795_046_400_000_000);
/// The week, in microseconds.
pub(crate) const WEEK: i64 = 7 * 86_400_000_000;
const DAEMONS: usize = 120;
const TOOLS: usize = 30;
const ADDRESSES: u32 = 60_000;
const NAMES: u64 = 20_000;

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Chance(pub u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1.
    pub(crate) fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// Between 0 and a limit, small numbers far more often: each power of two as often as the other.
    fn few(&mut self, limit: u64) -> u64 {
        ((limit as f64 + 1.0).powf(self.part()) - 1.0) as u64
    }

    /// Around a middle, rarely a hundred times as much.
    fn around(&mut self, middle: f64, spread: f64) -> f64 {
        let normal: f64 = (0..6).map(|_| self.part()).sum::<f64>() - 3.0;
        middle * (normal * spread).exp()
    }
}

/// A program and where it goes.
struct Program {
    name: Text,
    path: Text,
    /// Its destinations are so many, from this one on.
    reach: (u32, u32),
    port: u16,
    process: Arc<Process>,
    /// Each of its conversations has a process of its own with this chance in a hundred.
    short_lived: u64,
}

/// What is still to be told, the earliest first.
struct Later(Time, Event);

impl PartialEq for Later {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl Eq for Later {}
impl PartialOrd for Later {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Later {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

/// The host.
pub(crate) struct World {
    chance: Chance,
    programs: Vec<Program>,
    later: BinaryHeap<Later>,
    now: Time,
    /// Microseconds between two conversations, on average.
    pace: f64,
    number: u64,
    pid: u32,
    unseen: u32,
}

fn process(name: &Text, path: &Text, pid: u32, start: u64, now: Time) -> Arc<Process> {
    let mut process = Process::bare(ProcessKey { pid, start }, name.clone(), now);
    process.executable = Some(path.clone());
    process.sha256 = Some(format!("{:064x}", path.len()).into());
    process.command_line = Some(format!("{path} --config /etc/{name}/{name}.conf").into());
    process.user_id = Some(33);
    process.user_name = Some("www-data".into());
    process.unit = Some(format!("{name}.service").into());
    process.cgroup = Some(format!("/system.slice/{name}.service").into());
    process.parent = Some(ProcessKey { pid: 1, start: 1 });
    process.ancestors = Arc::from([process::Ancestor {
        key: ProcessKey { pid: 1, start: 1 },
        name: "systemd".into(),
        executable: Some("/usr/lib/systemd/systemd".into()),
    }]);
    Arc::new(process)
}

/// The address of a number; one in seven is of the sixth version.
fn remote(number: u32) -> IpAddr {
    let mixed = number.wrapping_mul(0x9e37_79b1);
    if number % 7 == 3 {
        std::net::Ipv6Addr::from(0x2a02_0000_0000_0000_0000_0000_0000_0000_u128 | u128::from(mixed) << 40 | 1)
            .into()
    } else {
        let [a, b, c, d] = mixed.to_be_bytes();
        [a % 200 + 11, b, c, d].into()
    }
}

impl World {
    /// A host that makes `count` conversations in a week.
    pub(crate) fn new(count: u64) -> Self {
        let mut chance = Chance(7);
        let programs = (0..DAEMONS + TOOLS)
            .map(|place| {
                let is_tool = place >= DAEMONS;
                let name: Text = format!("{}-{place}", if is_tool { "tool" } else { "daemon" }).into();
                let path: Text = format!("/usr/bin/{name}").into();
                // A few go everywhere, most to a handful.
                let many = [40_000, 20_000, 8_000, 2_000, 400, 50, 12, 3, 3, 1];
                Program {
                    process: process(&name, &path, 1_000 + place as u32, 77, START),
                    reach: (chance.below(ADDRESSES.into()) as u32, many[place % many.len()]),
                    port: [443, 443, 443, 80, 443, 25, 22, 8443, 5432, 123][place % 10],
                    short_lived: if is_tool { 10 } else { 0 },
                    name,
                    path,
                }
            })
            .collect();
        Self {
            chance,
            programs,
            later: BinaryHeap::new(),
            now: START,
            pace: WEEK as f64 / count as f64,
            number: 0,
            pid: 10_000,
            unseen: 0x4000_0000,
        }
    }

    /// Conversations that began so far.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// When it is.
    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// The same host later, at so many conversations a second.
    pub(crate) fn at(now: Time, rate: f64) -> Self {
        let mut world = Self::new(1);
        (world.now, world.pace) = (now, 1e6 / rate);
        (world.pid, world.unseen, world.chance) = (2_000_000, 0x5000_0000, Chance(now.0.cast_unsigned()));
        world
    }

    /// Goes on until `count` more conversations have begun; tells what became known meanwhile, in the order in which it did.
    pub(crate) fn tell(&mut self, count: u64) -> Vec<Event> {
        let mut events = Vec::with_capacity(2 * count as usize + 64);
        for _ in 0..count {
            let hour = self.now.0 / 3_600_000_000 % 24;
            let busy = if (7..20).contains(&hour) { 1.4 } else { 0.6 };
            self.now.0 += (self.pace / busy * 2.0 * self.chance.part()) as i64;
            self.begin(&mut events);
            while self.later.peek().is_some_and(|next| next.0 <= self.now) {
                events.extend(self.later.pop().map(|next| next.1));
            }
        }
        events
    }

    /// An alert of one of thirty rules.
    pub(crate) fn alert(&mut self, place: u64) -> Entry {
        let index = self.chance.few((DAEMONS + TOOLS) as u64 - 1) as usize;
        let process = self.programs[index].process.clone();
        let finding = Finding {
            rule: format!("rule_{}", self.chance.few(29)).into(),
            time: self.now,
            severity: Severity::ALL[self.chance.below(Severity::ALL.len() as u64) as usize],
            key: process.name.clone(),
            values: vec![("port".into(), Value::Integer(443))],
            process: Some(process),
            connections: vec![],
            listener: None,
        };
        let alert = Alert {
            id: (self.now.milliseconds() as u64) << 20 | self.number << 4 & 0xf_ffff | place,
            finding,
            techniques: vec![],
            recurrence: 0,
        };
        Entry::Alert(AlertRecord::Raised(alert.into()))
    }

    fn owner(&mut self, events: &mut Vec<Event>) -> (usize, Arc<Process>) {
        let index = self.chance.few((DAEMONS + TOOLS) as u64 - 1) as usize * 37 % (DAEMONS + TOOLS);
        let program = &self.programs[index];
        if self.chance.below(1_000) >= program.short_lived {
            return (index, program.process.clone());
        }
        self.pid = 10_000 + (self.pid + 1) % 4_000_000;
        let process = process(
            &program.name,
            &program.path,
            self.pid,
            self.now.0 as u64,
            self.now,
        );
        events.push(Event::new(self.now, Fact::ProcessStarted(process.clone())));
        let mut ended = Process::clone(&process);
        let end = Time(self.now.0 + 900_000);
        (ended.ended, ended.exit_code) = (Some(end), Some(0));
        let event = Event::new(end, Fact::ProcessEnded(Arc::new(ended)));
        self.later.push(Later(end, event));
        (index, process)
    }

    fn begin(&mut self, events: &mut Vec<Event>) {
        self.number += 1;
        let (index, process) = self.owner(events);
        let program = &self.programs[index];
        let (reach, port) = (program.reach, program.port);
        let started = self.now;
        let mut it = Connection {
            id: self.number,
            direction: Direction::Outbound,
            scope: Scope::External,
            network_namespace: 4_026_531_840,
            cookie: 2 * self.number,
            user_id: Some(33),
            cgroup_id: Some(4_700 + index as u64 % 40),
            outcome: Outcome::Finished,
            service: (port == 443).then(|| "https".into()),
            process: Some(process),
            attribution: Evidence::KernelEvent.into(),
            ..Connection::bare(
                started,
                Transport::Tcp,
                Endpoint::new([10, 0, 0, 5].into(), 32_768 + self.chance.below(28_000) as u16),
                Endpoint::new([10, 0, 0, 5].into(), port),
            )
        };
        match self.chance.below(100) {
            0..18 => {
                // Its database.
                (it.scope, it.direction) = (Scope::Loopback, Direction::Local);
                it.source.ip = [127, 0, 0, 1].into();
                it.destination = Endpoint::new([127, 0, 0, 1].into(), 5_432);
                it.side = if self.chance.below(2) == 0 {
                    Side::Source
                } else {
                    Side::Destination
                };
                it.service = Some("postgresql".into());
            }
            18..33 => {
                // Its resolver.
                it.transport = Transport::Udp;
                it.scope = Scope::Private;
                it.destination = Endpoint::new([10, 0, 0, 2 + self.chance.below(2) as u8].into(), 53);
                it.service = Some("domain".into());
            }
            33..53 => {
                // Who comes from outside.
                let client = 100_000 + self.chance.few(30_000) as u32;
                (it.direction, it.side) = (Direction::Inbound, Side::Destination);
                it.source.ip = remote(client);
                it.destination.port = [443, 443, 443, 22, 25][self.chance.below(5) as usize];
            }
            53 => {
                // Never seen again.
                self.unseen += 1;
                it.destination.ip = remote(self.unseen);
            }
            _ => {
                let place = reach.0 + self.chance.few(u64::from(reach.1) - 1) as u32;
                it.destination.ip = remote(place % ADDRESSES);
                let name = u64::from(place).wrapping_mul(0x9e37_79b9) % NAMES;
                it.name = Some(format!("host-{name}.example{}.com", name % 977).into());
                it.name_source = Some(NameSource::Resolver);
            }
        }
        if self.chance.below(50) == 0 {
            (it.process, it.attribution) = (None, Evidence::NotFound.into());
        }
        self.live(it);
    }

    /// What it does, and when that is told.
    fn live(&mut self, mut it: Connection) {
        let length = self.chance.around(150_000.0, 2.2).min(6.0 * 3_600e6) as i64;
        let end = Time(it.started.0 + length.max(200));
        let sent = self.chance.around(700.0, 1.4) as u64;
        let received = self.chance.around(4_000.0, 2.0) as u64;
        let counted = |part: f64| Traffic {
            sent_bytes: (sent as f64 * part) as u64,
            received_bytes: (received as f64 * part) as u64,
            sent_packets: 2 + (sent as f64 * part) as u64 / 900,
            received_packets: 2 + (received as f64 * part) as u64 / 1_400,
            round_trip: 300 + (it.cookie % 40_000) as u32,
            retransmits: u32::from(it.cookie.is_multiple_of(61)),
        };
        if self.chance.below(60) == 0 {
            (it.outcome, it.state) = (Outcome::Refused, SocketState::SynSent);
        } else {
            it.state = SocketState::TimeWait;
        }
        let mut opened = it.clone();
        let final_traffic = counted(1.0);
        it.traffic = Some(final_traffic);
        (it.ended, it.seen) = (Some(end), end);
        if length < 300_000 {
            // Over before anybody looked: one record tells all of it.
            (opened.traffic, opened.seen) = (it.traffic, end);
            opened.state = it.state;
            self.later.push(Later(
                end,
                Event::new(opened.started, Fact::ConnectionOpened(Arc::new(opened))),
            ));
            self.later.push(Later(
                Time(end.0 + 1),
                Event::new(end, Fact::ConnectionClosed(Arc::new(it))),
            ));
            return;
        }
        let told = Time(it.started.0 + 20_000 + self.chance.below(250_000) as i64);
        (opened.state, opened.outcome) = (SocketState::Established, Outcome::Unknown);
        (opened.traffic, opened.seen) = (Some(counted(0.3)), told);
        let mut at = Time(told.0 + 60_000_000);
        while at < end {
            let mut update = opened.clone();
            let part = 0.3 + 0.7 * (at.0 - told.0) as f64 / (end.0 - told.0) as f64;
            (update.traffic, update.seen) = (Some(counted(part)), at);
            self.later.push(Later(
                at,
                Event::new(at, Fact::ConnectionUpdated(Arc::new(update))),
            ));
            at.0 += 60_000_000 + (at.0 - told.0) / 4;
        }
        self.later.push(Later(
            told,
            Event::new(told, Fact::ConnectionOpened(Arc::new(opened))),
        ));
        self.later
            .push(Later(end, Event::new(end, Fact::ConnectionClosed(Arc::new(it)))));
    }
}
