//! Records as the kernel writes them, and as it never should.

use atalaya_model::{Ledger, Observation, Process};
use proptest::prelude::*;

use super::*;
use crate::collector::Options;

const BOOT: Time = Time::from_seconds(1_000);
/// No process has such an id.
const PID: u32 = 0x7000_0000;

/// Puts a record together.
#[derive(Clone, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn begin(kind: u32, pid: u32, time: u64, start: u64) -> Self {
        Self::default().u32(kind).u32(pid).u64(time).u64(start)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u16(self, number: usize) -> Self {
        self.bytes(&u16::try_from(number).unwrap().to_ne_bytes())
    }

    fn u32(self, number: u32) -> Self {
        self.bytes(&number.to_ne_bytes())
    }

    fn u64(self, number: u64) -> Self {
        self.bytes(&number.to_ne_bytes())
    }
}

fn fork_record(pid: u32, parent: u32) -> Vec<u8> {
    let record = Writer::begin(FORK, pid, 7_000_000_000, u64::from(pid) * TICK + 3);
    let record = record.u64(u64::from(parent) * TICK + 9).u64(77);
    let record = record.u32(parent).u32(0).u32(4_026_531_840).u32(0);
    record.bytes(b"parent\0\0\0\0\0\0\0\0\0\0").0
}

fn exec_record(pid: u32, parent: u32, flags: u32, texts: [&[u8]; 6]) -> Vec<u8> {
    let record = Writer::begin(EXEC, pid, 8_000_000_000, u64::from(pid) * TICK + 3);
    let record = record.u64(u64::from(parent) * TICK + 9).u64(77);
    let record = record.u64(4242).u64(100).u64(1).u64(2).u32(3).u32(4);
    let record = record
        .u32(8 << 20 | 1)
        .u32(parent)
        .u32(0)
        .u32(1)
        .u32(2)
        .u32(flags);
    let mut record = record.bytes(b"child\0garbage123");
    for text in texts {
        record = record.u16(text.len());
    }
    record.u32(0).bytes(&texts.concat()).0
}

fn exit_record(pid: u32, status: u32) -> Vec<u8> {
    let record = Writer::begin(EXIT, pid, 9_000_000_000, u64::from(pid) * TICK + 3);
    record.u32(status).u32(0).0
}

const TEXTS: [&[u8]; 6] = [
    b"tool\0opt\0",
    b"srv\0",
    b"./tool\0",
    b"x.service\0system.slice\0",
    b"LD_PRELOAD=/a.so\0",
    b"./tool\0--password=hunter2\0",
];

fn describer(every_process: bool) -> Describer {
    let options = Options {
        every_process,
        hash: false,
        packages: false,
        ..Options::default()
    };
    Describer::start(&options, Ledger::default()).unwrap()
}

fn play(describer: &mut Describer, records: &[Vec<u8>]) -> Vec<Observation> {
    let mut seen = Vec::new();
    for record in records {
        assert!(take(record, BOOT, describer, &mut |observation| seen.push(observation)));
    }
    seen
}

fn process(observation: &Observation) -> &Process {
    match observation {
        Observation::Process(_, process) => process,
        other => panic!("no process: {other:?}"),
    }
}

#[test]
fn a_short_life_is_told_whole() {
    let mut describer = describer(true);
    let records = [
        fork_record(PID, 3),
        exec_record(PID, 3, flag::HAS_STANDARD_SOCKET, TEXTS),
        exit_record(PID, 9),
    ];
    let seen = play(&mut describer, &records);
    let [begin, end, gone] = &seen[..] else {
        panic!("{seen:#?}");
    };
    let told = process(begin);
    assert_eq!((told.key.pid, told.key.start), (PID, u64::from(PID)));
    assert_eq!(told.parent, Some(ProcessKey { pid: 3, start: 3 }));
    assert_eq!((&*told.name, told.label()), ("child", "/opt/tool"));
    assert_eq!(told.working_directory.as_deref(), Some("/srv"));
    let line = told.command_line.as_deref().unwrap();
    assert!(line.starts_with("./tool ") && !line.contains("hunter2"), "{line}");
    assert_eq!(told.preload.as_deref(), Some("/a.so"));
    assert!(told.flags.preload && told.flags.standard_socket);
    assert!(!told.flags.deleted && !told.flags.script);
    assert_eq!((told.user_id, told.network_namespace), (Some(0), Some(1)));
    assert_eq!(told.cgroup.as_deref(), Some("/system.slice/x.service"));
    assert_eq!(told.unit.as_deref(), Some("x.service"));
    assert_eq!((told.exit_code, process(end).exit_code), (None, Some(137)));
    let key = told.key;
    assert_eq!(*gone, Observation::ProcessGone(Time::from_seconds(1_009), key));
}

#[test]
fn a_child_that_becomes_no_program_is_what_its_parent_is() {
    let mut describer = describer(true);
    let (parent, child) = (PID + 1, PID + 2);
    let seen = play(
        &mut describer,
        &[
            exec_record(parent, 3, 0, TEXTS),
            fork_record(child, parent),
            exit_record(child, 0x0300),
        ],
    );
    assert_eq!(seen.len(), 4, "{seen:#?}");
    let told = process(&seen[1]);
    assert_eq!((told.key.pid, told.label()), (child, "/opt/tool"));
    assert_eq!(told.ancestors.first().map(|first| first.key.pid), Some(parent));
    assert_eq!(process(&seen[2]).exit_code, Some(3));
    assert!(matches!(seen[3], Observation::ProcessGone(..)));
}

#[test]
fn nobody_is_told_twice_and_nobody_is_missing() {
    let mut describer = describer(true);
    let (parent, child) = (PID + 1, PID + 2);
    let mut seen = play(
        &mut describer,
        &[exec_record(parent, 3, 0, TEXTS), fork_record(child, parent)],
    );
    let now = Time::from_seconds(3_000_000_000);
    describer.look_after_told(now, &mut |observation| seen.push(observation));
    describer.look_after_told(now, &mut |observation| seen.push(observation));
    seen.extend(play(&mut describer, &[fork_record(child, parent)]));
    let keys: Vec<u32> = seen.iter().map(|one| process(one).key.pid).collect();
    assert_eq!(keys, [parent, child]);
    let seen = play(
        &mut describer,
        &[
            exec_record(child, parent, 0, TEXTS),
            exit_record(child, 0),
            exit_record(child, 0),
            exec_record(child, parent, 0, TEXTS),
        ],
    );
    assert_eq!(seen.len(), 3, "{seen:#?}");
}

#[test]
fn without_every_process_only_who_is_needed_is_told() {
    let mut describer = describer(false);
    let (parent, child) = (PID + 1, PID + 2);
    let records = [
        exec_record(parent, 3, 0, TEXTS),
        fork_record(child, parent),
        exit_record(child, 0),
    ];
    assert_eq!(play(&mut describer, &records), []);
    let mut seen = Vec::new();
    let key = ProcessKey {
        pid: child,
        start: child.into(),
    };
    for _ in 0..2 {
        describer.need(key);
        describer.describe_needed(Time::from_seconds(1_010), &mut |observation| {
            seen.push(observation)
        });
    }
    let keys: Vec<u32> = seen.iter().map(|one| process(one).key.pid).collect();
    assert_eq!(keys, [parent, child], "{seen:#?}");
    assert_eq!(process(&seen[1]).exit_code, Some(0));
}

#[test]
fn an_id_that_is_given_again_ends_whoever_had_it() {
    let mut describer = describer(true);
    let mut again = fork_record(PID, 3);
    again[16..24].copy_from_slice(&(u64::from(PID) * TICK + 5 * TICK).to_ne_bytes());
    let seen = play(&mut describer, &[exec_record(PID, 3, 0, TEXTS), again]);
    let old = process(&seen[0]).key;
    assert!(matches!(seen[1], Observation::ProcessGone(_, key) if key == old));
}

#[test]
fn what_is_cut_is_not_made_up() {
    let mut describer = describer(true);
    let cut = flag::PATH_IS_CUT | flag::FOLDER_IS_CUT | flag::ARGUMENTS_ARE_UNREAD | flag::GROUP_IS_CUT;
    let seen = play(&mut describer, &[exec_record(PID, 3, cut, TEXTS)]);
    let told = process(&seen[0]);
    assert_eq!((&told.executable, &told.working_directory), (&None, &None));
    assert_eq!((&told.command_line, &told.cgroup), (&None, &None));
    assert_eq!(told.label(), "child");
}

proptest! {
    #[test]
    fn hostile_records_do_no_harm(
        kind in 15u32..20,
        mut bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut record = kind.to_ne_bytes().to_vec();
        record.append(&mut bytes);
        let _ = parse(&record, BOOT);
    }

    #[test]
    fn every_shorter_record_is_refused(flags: u32, cut in 1usize..400) {
        let record = exec_record(PID, 3, flags, TEXTS);
        prop_assert!(parse(&record, BOOT).is_some());
        let end = record.len().saturating_sub(cut);
        prop_assert!(parse(&record[..end], BOOT).is_none());
    }

    #[test]
    fn any_texts_are_taken(
        flags in 0u32..2048,
        texts in prop::array::uniform6(prop::collection::vec(any::<u8>(), 0..300)),
    ) {
        let mut describer = describer(true);
        let texts = [0, 1, 2, 3, 4, 5].map(|index: usize| texts[index].as_slice());
        let seen = play(&mut describer, &[exec_record(PID, 3, flags, texts), exit_record(PID, 0)]);
        prop_assert_eq!(seen.len(), 3);
    }
}

/// Something that happens to one of a few ids.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fork(u32, u32),
    Exec(u32, u32),
    Exit(u32),
    Need(u32),
    /// The id is given to another process.
    Again(u32),
    Look,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0u32..4;
    prop_oneof![
        (id.clone(), 0u32..4).prop_map(|(child, parent)| Step::Fork(child, parent)),
        (id.clone(), 0u32..4).prop_map(|(child, parent)| Step::Exec(child, parent)),
        id.clone().prop_map(Step::Exit),
        id.clone().prop_map(Step::Need),
        id.prop_map(Step::Again),
        Just(Step::Look),
    ]
}

proptest! {
    #[test]
    fn in_whatever_order_each_is_told_before_it_ends_and_ends_once(
        every_process: bool,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let mut describer = describer(every_process);
        let mut told = Vec::new();
        let mut began = std::collections::BTreeSet::new();
        // Ids are given in this order, so that a later process never seems to be an earlier one.
        let mut ids = [0, 1, 2, 3].map(|place| PID + place);
        let mut now = Time::from_seconds(2_000_000_000);
        for step in steps.into_iter().chain([Step::Look]) {
            let records = match step {
                Step::Fork(child, parent) => {
                    began.insert(ids[child as usize]);
                    vec![fork_record(ids[child as usize], ids[parent as usize])]
                }
                Step::Exec(child, parent) => {
                    began.insert(ids[child as usize]);
                    vec![exec_record(ids[child as usize], ids[parent as usize], 0, TEXTS)]
                }
                Step::Exit(pid) => vec![exit_record(ids[pid as usize], 0)],
                Step::Again(pid) => {
                    ids[pid as usize] += 4;
                    Vec::new()
                }
                Step::Need(pid) => {
                    let pid = ids[pid as usize];
                    describer.need(ProcessKey { pid, start: pid.into() });
                    describer.describe_needed(now, &mut |observation| told.push(observation));
                    Vec::new()
                }
                Step::Look => {
                    now = now.after(Span::from_seconds(1));
                    describer.look_after_told(now, &mut |observation| told.push(observation));
                    Vec::new()
                }
            };
            told.extend(play(&mut describer, &records));
        }
        let mut alive = std::collections::BTreeSet::new();
        let mut over = std::collections::BTreeSet::new();
        for observation in told {
            match observation {
                Observation::Process(_, process) => {
                    prop_assert!(!over.contains(&process.key.pid), "told after its end: {process:?}");
                    alive.insert(process.key.pid);
                }
                Observation::ProcessGone(_, key) => {
                    prop_assert!(alive.contains(&key.pid) && over.insert(key.pid), "{key:?}");
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
        if every_process {
            prop_assert!(began.is_subset(&alive), "{began:?} {alive:?}");
        }
    }
}
