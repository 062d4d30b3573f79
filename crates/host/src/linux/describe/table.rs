//! The processes that are known: those that live, and for a while those that have ended.

use std::collections::VecDeque;
use std::sync::Arc;

use atalaya_model::process::Ancestor;
use atalaya_model::{Process, ProcessKey, Span, Time};

use crate::linux::hash::inspector::ToldFile;
use crate::linux::owners::numbers::NumberMap;
use crate::linux::owners::proc_folder::Executable;
use crate::linux::process::ancestors::MAX_ANCESTORS;

/// How long all of an ended process is remembered: its last sockets are told after it. Nobody else remembers it for
/// longer, and what is told of it then would be told of a new one.
const REMEMBERED: Span = Span::from_seconds(25);
/// Most ended processes of which all is remembered.
const MOST_WHOLE: usize = 4_096;
/// Most ended processes of which is remembered that they were told: a socket may outlive its process for long. At the
/// limit the oldest are forgotten.
const MOST_ENDED: usize = 65_536;

/// A process that lives.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) process: Arc<Process>,
    /// It was passed on.
    pub(super) is_told: bool,
    /// A socket named it: it is checked at every look.
    pub(super) uses_network: bool,
    /// Its executable when it was read from `/proc`.
    pub(super) executable: Option<Executable>,
    /// Its executable as the kernel told it.
    pub(super) file: Option<ToldFile>,
    /// The kernel told its arguments as it started, and all of them.
    pub(super) has_first_arguments: bool,
    /// The sockets that are its standard input, output and error, once somebody asked.
    pub(super) standard_sockets: Option<[u32; 3]>,
    /// The chain of its children: itself, and its own.
    chain: Option<Arc<[Ancestor]>>,
}

impl Known {
    pub(super) fn new(process: Arc<Process>) -> Self {
        Self {
            process,
            is_told: false,
            uses_network: false,
            executable: None,
            file: None,
            has_first_arguments: false,
            standard_sockets: None,
            chain: None,
        }
    }

    /// The same process with another description.
    pub(super) fn replace(&mut self, process: Arc<Process>) {
        let is_same = |chain: &mut Arc<[Ancestor]>| {
            chain
                .first()
                .is_some_and(|first| first.name == process.name && first.executable == process.executable)
        };
        self.chain.take_if(|chain| !is_same(chain));
        self.process = process;
    }

    /// The chain of its children.
    fn chain(&mut self) -> Arc<[Ancestor]> {
        let process = &self.process;
        let chain = self.chain.get_or_insert_with(|| chain_below(process));
        chain.clone()
    }
}

fn chain_below(process: &Process) -> Arc<[Ancestor]> {
    let first = Ancestor {
        key: process.key,
        name: process.name.clone(),
        executable: process.executable.clone(),
    };
    let above = process.ancestors.iter().cloned();
    std::iter::once(first).chain(above).take(MAX_ANCESTORS).collect()
}

/// A process that has ended.
#[derive(Debug)]
struct Ended {
    /// `None` where it ended long ago, or too many did.
    whole: Option<Box<Whole>>,
    is_told: bool,
}

#[derive(Debug)]
struct Whole {
    process: Arc<Process>,
    file: Option<ToldFile>,
    time: Time,
}

/// An ended process of which more may be found out.
#[derive(Debug)]
pub(super) struct Late<'a> {
    pub(super) process: &'a mut Arc<Process>,
    pub(super) file: Option<ToldFile>,
    pub(super) is_told: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Table {
    living: NumberMap<u32, Known>,
    ended: NumberMap<ProcessKey, Ended>,
    /// Oldest first.
    order: VecDeque<ProcessKey>,
    /// How many of `order`, counted from its end, are whole.
    whole: usize,
}

impl Table {
    /// The process, if it lives.
    pub(super) fn get(&self, key: ProcessKey) -> Option<&Known> {
        self.living.get(&key.pid).filter(|known| known.process.key == key)
    }

    pub(super) fn get_mut(&mut self, key: ProcessKey) -> Option<&mut Known> {
        self.living
            .get_mut(&key.pid)
            .filter(|known| known.process.key == key)
    }

    /// Whoever has this id.
    pub(super) fn with_id(&self, pid: u32) -> Option<&Known> {
        self.living.get(&pid)
    }

    pub(super) fn living(&self) -> impl Iterator<Item = &Known> {
        self.living.values()
    }

    pub(super) fn insert(&mut self, known: Known) {
        self.living.insert(known.process.key.pid, known);
    }

    /// Was it told, whether it lives or not?
    pub(super) fn is_told(&self, key: ProcessKey) -> bool {
        match self.get(key) {
            Some(known) => known.is_told,
            None => self.ended.get(&key).is_some_and(|ended| ended.is_told),
        }
    }

    /// Has it ended, as far as is remembered?
    pub(super) fn has_ended(&self, key: ProcessKey) -> bool {
        self.ended.contains_key(&key)
    }

    /// An ended process that was told, as far as all of it is remembered.
    pub(super) fn ended(&self, key: ProcessKey) -> Option<&Process> {
        let ended = self.ended.get(&key).filter(|ended| ended.is_told)?;
        ended.whole.as_ref().map(|whole| &*whole.process)
    }

    /// What children of this process have as their chain; `None` where the process is not known.
    pub(super) fn chain_of_children(&mut self, parent: ProcessKey) -> Option<Arc<[Ancestor]>> {
        if let Some(known) = self.get_mut(parent) {
            return Some(known.chain());
        }
        let ended = self.ended.get(&parent)?.whole.as_ref()?;
        Some(chain_below(&ended.process))
    }

    /// A process that ended not long ago.
    pub(super) fn late(&mut self, key: ProcessKey, now: Time) -> Option<Late<'_>> {
        let ended = self.ended.get_mut(&key)?;
        let whole = ended.whole.as_mut()?;
        (now.since(whole.time) < REMEMBERED).then_some(Late {
            process: &mut whole.process,
            file: whole.file,
            is_told: ended.is_told,
        })
    }

    /// The process has ended. Returns whether it had been told; `None` where it is not known.
    pub(super) fn end(&mut self, key: ProcessKey, time: Time) -> Option<bool> {
        self.get(key)?;
        let known = self.living.remove(&key.pid)?;
        let whole = Whole {
            process: known.process,
            file: known.file,
            time,
        };
        let ended = Ended {
            whole: Some(Box::new(whole)),
            is_told: known.is_told,
        };
        self.ended.insert(key, ended);
        self.order.push_back(key);
        self.whole += 1;
        if self.whole > MOST_WHOLE {
            self.strip_oldest();
        }
        if self.order.len() > MOST_ENDED
            && let Some(key) = self.order.pop_front()
        {
            self.ended.remove(&key);
        }
        Some(known.is_told)
    }

    /// Notes the last change of an ended process, and that it was told.
    pub(super) fn tell_late(&mut self, key: ProcessKey, process: &Arc<Process>) {
        if let Some(ended) = self.ended.get_mut(&key) {
            ended.is_told = true;
            if let Some(whole) = &mut ended.whole {
                whole.process = process.clone();
            }
        }
    }

    /// Forgets all but the identity of those that ended long ago.
    pub(super) fn forget_ended(&mut self, now: Time) {
        while let Some(whole) = self.oldest_whole().and_then(|ended| ended.whole.as_ref())
            && now.since(whole.time) >= REMEMBERED
        {
            self.strip_oldest();
        }
    }

    fn oldest_whole(&mut self) -> Option<&mut Ended> {
        let place = self.order.len().checked_sub(self.whole)?;
        self.ended.get_mut(self.order.get(place)?)
    }

    fn strip_oldest(&mut self) {
        if let Some(ended) = self.oldest_whole() {
            ended.whole = None;
        }
        self.whole = self.whole.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pid: u32) -> ProcessKey {
        ProcessKey { pid, start: 7 }
    }

    fn known(pid: u32, ancestors: Arc<[Ancestor]>) -> Known {
        let mut process = Process::bare(key(pid), "x".into(), Time(0));
        process.ancestors = ancestors;
        Known::new(Arc::new(process))
    }

    #[test]
    fn chains_are_shared_by_siblings_until_the_parent_changes() {
        let mut table = Table::default();
        table.insert(known(1, Arc::from([])));
        let first = table.chain_of_children(key(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &table.chain_of_children(key(1)).unwrap()));
        let mut process = Process::clone(&table.get(key(1)).unwrap().process);
        process.name = "y".into();
        table.get_mut(key(1)).unwrap().replace(Arc::new(process));
        assert_eq!(&*table.chain_of_children(key(1)).unwrap()[0].name, "y");
        assert_eq!(table.chain_of_children(ProcessKey { pid: 1, start: 8 }), None);
        table.end(key(1), Time(0)).unwrap();
        assert_eq!(&*table.chain_of_children(key(1)).unwrap()[0].name, "y");
    }

    #[test]
    fn chains_are_bounded() {
        let mut table = Table::default();
        let mut ancestors: Arc<[Ancestor]> = Arc::from([]);
        for pid in 1..100 {
            table.insert(known(pid, ancestors));
            ancestors = table.chain_of_children(key(pid)).unwrap();
        }
        assert_eq!(ancestors.len(), MAX_ANCESTORS);
        assert_eq!(ancestors[0].key, key(99));
    }

    #[test]
    fn ended_processes_are_remembered_for_a_while_and_not_without_bound() {
        let mut table = Table::default();
        let most = u32::try_from(MOST_ENDED).unwrap();
        for pid in 1..=most + 10 {
            table.insert(known(pid, Arc::from([])));
            assert_eq!(table.end(key(pid), Time(i64::from(pid))), Some(false));
        }
        assert_eq!((table.ended.len(), table.order.len()), (MOST_ENDED, MOST_ENDED));
        let whole = table.ended.values().filter(|ended| ended.whole.is_some());
        assert_eq!(whole.count(), MOST_WHOLE);
        assert!(!table.has_ended(key(1)) && table.has_ended(key(most + 10)));
        assert!(table.late(key(most + 10), Time(0)).is_some());
        assert!(table.late(key(11), Time(0)).is_none());
        table.forget_ended(Time(i64::from(most)).after(REMEMBERED));
        assert_eq!((table.whole, table.order.len()), (10, MOST_ENDED));
        table.forget_ended(Time::from_seconds(1_000_000));
        assert_eq!((table.whole, table.ended.len()), (0, MOST_ENDED));
        assert!(table.has_ended(key(most + 10)) && table.late(key(most + 10), Time(0)).is_none());
    }
}
