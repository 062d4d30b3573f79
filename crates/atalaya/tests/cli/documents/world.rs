//! Two days of a small server, with a break-in on the second, hostile names, losses and hours without a watcher.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use atalaya_model::alert::Technique;
use atalaya_model::connection::Traffic;
use atalaya_model::process::Ancestor;
use atalaya_model::*;
use atalaya_store::{Entry, Options, Writer};

/// The first midnight, UTC; the report is about the second day.
pub(crate) const BEGIN: Time = Time::from_seconds(1_763_510_400); // 2025-11-19
pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOUR: i64 = 3_600;

/// What an intruder would call a program.
pub(crate) const HOSTILE: &str = "/tmp/<script>alert(1)</script>|`x`\u{1b}[31m\u{202e}gpj\"'&.exe";
/// What a spreadsheet would run.
pub(crate) const FORMULA: &str = "=cmd|' /C calc'!A0";

/// What an intruder would call a domain.
pub(crate) const MASTER: &str = "<img src=x onerror=alert(1)>.example";

/// A time of the world, in seconds after its beginning.
pub(crate) const fn at(seconds: i64) -> Time {
    BEGIN.after(Span::from_seconds(seconds))
}

pub(crate) fn process(pid: u32, path: &str, sha256: &str, started: Time) -> Arc<Process> {
    let name = path.rsplit('/').next().unwrap_or_default();
    Arc::new(Process {
        executable: Some(path.into()),
        sha256: Some(sha256.repeat(32).into()),
        user_id: Some(1000),
        user_name: Some("ana".into()),
        command_line: Some(format!("{path} --quiet").into()),
        ancestors: Arc::from([Ancestor {
            key: ProcessKey { pid: 1, start: 1 },
            name: "systemd".into(),
            executable: None,
        }]),
        ..Process::bare(
            ProcessKey {
                pid,
                start: u64::from(pid),
            },
            name.into(),
            started,
        )
    })
}

/// A conversation that ends after a while.
pub(crate) struct Talk<'a> {
    pub(crate) process: Option<&'a Arc<Process>>,
    pub(crate) remote: IpAddr,
    pub(crate) port: u16,
    pub(crate) name: Option<&'a str>,
    pub(crate) bytes: (u64, u64),
}

/// Writes entries in batches, with the time passing.
pub(crate) struct Diary {
    writer: Writer,
    batch: Vec<Entry>,
    id: u64,
}

impl Diary {
    pub(crate) fn open(path: &Path, boot: &str, now: Time) -> Self {
        Self {
            writer: Writer::open(path, &Options::new(boot, "0.1.0", now)).unwrap(),
            batch: Vec::new(),
            id: u64::from(now.0.unsigned_abs() as u32) << 24,
        }
    }

    pub(crate) fn tell(&mut self, time: Time, fact: Fact) {
        self.batch.push(Entry::Event(Event::new(time, fact)));
    }

    pub(crate) fn pass(&mut self, time: Time) {
        self.tell(time, Fact::Tick { look: true });
        self.writer.write(&std::mem::take(&mut self.batch)).unwrap();
    }

    pub(crate) fn close(mut self, time: Time) {
        self.pass(time);
        self.writer.close(time).unwrap();
    }

    pub(crate) fn talk(&mut self, time: Time, talk: &Talk<'_>) -> Arc<Connection> {
        self.id += 1;
        let open = Connection {
            id: self.id,
            direction: Direction::Outbound,
            scope: Scope::External,
            network_namespace: 1,
            cookie: self.id,
            user_id: Some(1000),
            traffic: Some(Traffic::default()),
            name: talk.name.map(Text::from),
            name_source: talk.name.map(|_| NameSource::Resolver),
            process: talk.process.cloned(),
            attribution: match talk.process {
                Some(_) => Evidence::Descriptor.into(),
                None => Evidence::BetweenLooks.into(),
            },
            ..Connection::bare(
                time,
                Transport::Tcp,
                Endpoint::new([192, 0, 2, 10].into(), 40_000 + (self.id % 9_000) as u16),
                Endpoint::new(talk.remote, talk.port),
            )
        };
        let end = time.after(Span::from_seconds(20));
        let closed = Arc::new(Connection {
            seen: end,
            ended: Some(end),
            state: SocketState::Close,
            outcome: Outcome::Finished,
            traffic: Some(Traffic {
                sent_bytes: talk.bytes.0,
                received_bytes: talk.bytes.1,
                sent_packets: 10,
                received_packets: 12,
                ..Traffic::default()
            }),
            ..open.clone()
        });
        self.tell(time, Fact::ConnectionOpened(Arc::new(open)));
        self.tell(end, Fact::ConnectionClosed(Arc::clone(&closed)));
        closed
    }

    pub(crate) fn listen(&mut self, time: Time, process: &Arc<Process>, local: Endpoint) {
        self.id += 1;
        let listener = Listener {
            id: self.id,
            started: time,
            started_before: false,
            ended: None,
            transport: Transport::Tcp,
            local,
            network_namespace: 1,
            cookie: self.id,
            user_id: Some(0),
            service: None,
            process: Some(Arc::clone(process)),
            attribution: Evidence::Descriptor.into(),
            shared_with: Box::default(),
        };
        self.tell(time, Fact::ListenerAppeared(Arc::new(listener)));
    }

    pub(crate) fn alert(
        &mut self,
        time: Time,
        rule: &str,
        severity: Severity,
        program: &str,
        values: &[(&str, Value)],
    ) -> u64 {
        self.id += 1;
        let id = (time.milliseconds().unsigned_abs() << 20) | (self.id & 0xf_ffff);
        let process = process(6_666, program, "ee", time);
        let alert = Alert {
            id,
            finding: Finding {
                rule: rule.into(),
                time,
                severity,
                key: format!("{rule} {}", self.id).into(),
                values: values
                    .iter()
                    .map(|(name, value)| ((*name).into(), value.clone()))
                    .collect(),
                process: Some(process),
                connections: Vec::new(),
                listener: None,
            },
            techniques: vec![Technique {
                id: "T1571".into(),
                name: "Non-Standard Port".into(),
                tactic: "command-and-control".into(),
            }],
            recurrence: 0,
        };
        self.batch
            .push(Entry::Alert(AlertRecord::Raised(Box::new(alert))));
        id
    }

    pub(crate) fn record(&mut self, record: AlertRecord) {
        self.batch.push(Entry::Alert(record));
    }
}

fn tier(tier: Tier) -> Fact {
    let unavailable = match tier {
        Tier::Ebpf => Vec::new(),
        _ => vec![(Tier::Ebpf, "no permission to load <b>programs</b>".into())],
    };
    Fact::TierChanged(Arc::new(TierReport {
        tier,
        unavailable,
        limits: Vec::new(),
    }))
}

/// The whole world, in a database of its own; the intruder's program and its master have these names.
pub(crate) fn make(path: &Path, program: &str, master: &str) {
    let mut diary = Diary::open(path, "boot-1", BEGIN);
    diary.tell(BEGIN, tier(Tier::Ebpf));
    let browser = process(2_000, "/usr/lib/firefox/firefox", "aa", BEGIN);
    let backup = process(2_100, "/opt/backup/bin/sync", "bb", BEGIN);
    let server = process(812, "/usr/sbin/nginx", "cc", BEGIN);
    for process in [&browser, &backup, &server] {
        diary.tell(BEGIN, Fact::ProcessStarted(Arc::clone(process)));
    }
    diary.listen(BEGIN, &server, Endpoint::new([0, 0, 0, 0].into(), 443));
    days(&mut diary, 0..27 * HOUR, &browser, &backup);
    // Nobody watches for three hours of the second day.
    diary.close(at(27 * HOUR));
    let mut diary = Diary::open(path, "boot-1", at(30 * HOUR));
    diary.tell(at(30 * HOUR), tier(Tier::Poll));
    diary.tell(at(31 * HOUR), tier(Tier::Ebpf));
    days(&mut diary, 30 * HOUR..36 * HOUR, &browser, &backup);
    break_in(&mut diary, program, master);
    days(&mut diary, 36 * HOUR..48 * HOUR, &browser, &backup);
    diary.close(at(48 * HOUR));
}

/// What is ordinary: browsing by day, a backup by night, something every ten minutes.
fn days(diary: &mut Diary, seconds: std::ops::Range<i64>, browser: &Arc<Process>, backup: &Arc<Process>) {
    for time in seconds.step_by(600) {
        let hour = time / HOUR % 24;
        let busy = match hour {
            8..20 => 6 - (hour - 14).abs(),
            _ => 0,
        };
        let wave = (time / 600 * 7_919 % 13).unsigned_abs();
        for tab in 0..busy.max(1) {
            let site = (time / 600 * 3 + tab * 5) % 7;
            let names = ["www.example.com", "mail.example.org", "cdn.example.net"];
            diary.talk(
                at(time + tab * 7),
                &Talk {
                    process: Some(browser),
                    remote: [198, 51, 100, 1 + site as u8].into(),
                    port: 443,
                    name: Some(names[site as usize % 3]),
                    bytes: (
                        20_000 + 3_000 * wave,
                        900_000 + 400_000 * wave * busy.max(1).unsigned_abs(),
                    ),
                },
            );
        }
        if (1..4).contains(&hour) {
            diary.talk(
                at(time + 60),
                &Talk {
                    process: Some(backup),
                    remote: "2001:db8::42".parse().unwrap(),
                    port: 22,
                    name: Some("backup.example.org"),
                    bytes: (18_000_000 + 500_000 * wave, 40_000),
                },
            );
        }
        diary.pass(at(time + 599));
    }
}

/// What is not: a replaced program, a stranger that talks to port 4444, a new listener, losses.
fn break_in(diary: &mut Diary, program: &str, master: &str) {
    let begin = 36 * HOUR - 1_200;
    let replaced = process(2_200, "/opt/backup/bin/sync", "dd", at(begin));
    diary.tell(at(begin), Fact::ProcessStarted(replaced));
    let stranger = Arc::new(Process {
        command_line: Some(FORMULA.into()),
        ..(*process(6_666, program, "ee", at(begin + 60))).clone()
    });
    diary.tell(at(begin + 60), Fact::ProcessStarted(Arc::clone(&stranger)));
    diary.listen(
        at(begin + 70),
        &stranger,
        Endpoint::new([0, 0, 0, 0].into(), 31_337),
    );
    for minute in 0..15 {
        diary.talk(
            at(begin + 80 + minute * 60),
            &Talk {
                process: Some(&stranger),
                remote: [203, 0, 113, 66].into(),
                port: 4_444,
                name: Some(master),
                bytes: (2_500_000, 3_000),
            },
        );
    }
    diary.talk(
        at(begin + 200),
        &Talk {
            process: None,
            remote: [203, 0, 113, 67].into(),
            port: 53,
            name: None,
            bytes: (100, 200),
        },
    );
    let port = [
        ("port", Value::Integer(4_444)),
        ("destination", "203.0.113.66:4444".into()),
        ("name", master.into()),
        ("state", "established".into()),
        ("meaning", "default of Metasploit's reverse shells.".into()),
    ];
    let mut alert =
        |time, rule, severity, values: &[_]| diary.alert(at(time), rule, severity, program, values);
    alert(begin + 81, "suspicious_port", Severity::High, &port);
    alert(begin + 600, "suspicious_port", Severity::Medium, &port);
    alert(
        begin + 90,
        "<b>made_up</b>|rule",
        Severity::Low,
        &[("name", FORMULA.into())],
    );
    for time in [32, 33, 35] {
        alert(
            time * HOUR,
            "new_process",
            Severity::Info,
            &[("parent", "systemd (1)".into())],
        );
    }
    let place = [("path", Value::from(program)), ("pattern", "/tmp/".into())];
    let harmless = alert(begin - 900, "suspicious_path", Severity::Critical, &place);
    diary.record(AlertRecord::Closed {
        alert: harmless,
        time: at(begin),
        by: "ana".into(),
        verdict: Verdict::FalsePositive,
        note: Some("the <i>installer</i>".into()),
    });
    diary.tell(
        at(begin + 900),
        Fact::Gap(Gap {
            time: at(begin + 900),
            stage: Stage::KernelRing,
            count: 1_234,
            reason: "the ring was <full>".into(),
        }),
    );
    let mut ended = (*stranger).clone();
    ended.ended = Some(at(begin + 1_100));
    ended.exit_code = Some(137);
    diary.tell(at(begin + 1_100), Fact::ProcessEnded(Arc::new(ended)));
    diary.pass(at(begin + 1_199));
}
