//! Which executables used the network before, by path and hash.

use std::collections::{HashMap, VecDeque};

use atalaya_model::memory::Memory;
use atalaya_model::{Process, Text};

use crate::detector::Findings;

const NAME: &str = "executables";
const VERSION: u16 = 1;
/// Most paths remembered; the one that was learnt first is forgotten.
const MAX_PATHS: usize = 16_384;
/// Most hashes remembered for one path: the file may go back and forth between versions.
const MAX_HASHES: usize = 4;

/// What is remembered about a process's executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Its hash or path is not known: nothing can be said.
    Undecided,
    /// This file was seen before.
    Known,
    /// Nothing was ever seen at this path.
    New,
    /// Another file was seen at this path; its hash.
    Changed(Text),
}

#[derive(Debug, Default)]
pub(crate) struct Executables {
    paths: HashMap<Text, Known>,
    order: VecDeque<Text>,
}

#[derive(Debug, Default)]
struct Known {
    /// The latest last.
    hashes: Vec<Text>,
    /// A package installed it.
    packaged: bool,
}

/// Stands among the hashes of a path in memory when a package installed it.
const PACKAGED: &str = "packaged";

impl Executables {
    pub(crate) fn novelty(&self, process: &Process) -> Novelty {
        let (Some(path), Some(hash)) = (key(process), &process.sha256) else {
            return Novelty::Undecided;
        };
        match self.paths.get(&*path) {
            Some(known) if known.hashes.contains(hash) => Novelty::Known,
            // What runs is a file that is no longer at its path: it says nothing about the file that is there.
            Some(_) if process.flags.deleted || process.flags.memfd => Novelty::New,
            Some(known) => known
                .hashes
                .last()
                .cloned()
                .map_or(Novelty::New, Novelty::Changed),
            None => Novelty::New,
        }
    }

    pub(crate) fn learn(&mut self, process: &Process, out: &mut Findings) {
        let (Some(path), Some(hash)) = (key(process), &process.sha256) else {
            return;
        };
        if process.flags.deleted || process.flags.memfd {
            return;
        }
        let packaged = process.package.is_some();
        let known = self.paths.get(&*path);
        if known.is_some_and(|known| known.hashes.contains(hash) && (known.packaged || !packaged)) {
            return;
        }
        let known = self.put(path.clone());
        known.packaged |= packaged;
        known.add(hash.clone());
        let memory = memory(path, known);
        out.remember(memory);
    }

    /// Did a package install the file at this path, when it was last seen? `None` where the path is not known.
    pub(crate) fn is_packaged(&self, process: &Process) -> Option<bool> {
        Some(self.paths.get(&*key(process)?)?.packaged)
    }

    fn put(&mut self, path: Text) -> &mut Known {
        if !self.paths.contains_key(&path) {
            if self.order.len() >= MAX_PATHS
                && let Some(oldest) = self.order.pop_front()
            {
                self.paths.remove(&oldest);
            }
            self.order.push_back(path.clone());
        }
        self.paths.entry(path).or_default()
    }

    pub(crate) fn recall(&mut self, memory: &Memory) {
        if &*memory.detector != NAME || memory.version != VERSION {
            return;
        }
        let Some(Ok(text)) = memory.bytes.as_deref().map(str::from_utf8) else {
            return;
        };
        let known = self.put(memory.key.clone());
        for line in text.lines().take(MAX_HASHES + 1) {
            match line {
                PACKAGED => known.packaged = true,
                hash => known.add(hash.into()),
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

impl Known {
    fn add(&mut self, hash: Text) {
        self.hashes.retain(|known| *known != hash);
        self.hashes.push(hash);
        if self.hashes.len() > MAX_HASHES {
            self.hashes.remove(0);
        }
    }
}

fn memory(path: Text, known: &Known) -> Memory {
    let mut lines: Vec<&str> = known.hashes.iter().map(|hash| &**hash).collect();
    if known.packaged {
        lines.push(PACKAGED);
    }
    Memory {
        detector: NAME.into(),
        version: VERSION,
        key: path,
        bytes: Some(lines.join("\n").into_bytes()),
    }
}

/// The path, told apart by container: the same path is another file there.
fn key(process: &Process) -> Option<Text> {
    let path = process.executable.as_ref()?;
    let key: Text = match &process.container {
        Some(container) => format!("{}:{}:{path}", container.runtime, container.id).into(),
        None => path.clone(),
    };
    (key.len() <= Memory::MAX_KEY).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::program;

    #[test]
    fn remembers_across_a_restart() {
        let mut out = Findings::default();
        let mut executables = Executables::default();
        executables.learn(&program(1, "/usr/bin/a", "one"), &mut out);
        executables.learn(&program(1, "/usr/bin/a", "two"), &mut out);
        executables.learn(&program(1, "/usr/bin/a", "two"), &mut out);
        assert_eq!(out.memories.len(), 2);
        let mut later = Executables::default();
        for memory in &out.memories {
            later.recall(memory);
        }
        assert_eq!(later.novelty(&program(2, "/usr/bin/a", "one")), Novelty::Known);
        assert_eq!(
            later.novelty(&program(2, "/usr/bin/a", "x")),
            Novelty::Changed("two".into())
        );
        assert_eq!(later.novelty(&program(2, "/usr/bin/b", "one")), Novelty::New);
        let mut future = out.memories[0].clone();
        future.version = 9;
        let mut empty = Executables::default();
        empty.recall(&future);
        assert!(empty.is_empty());
    }

    #[test]
    fn floods_reach_a_plateau() {
        let mut executables = Executables::default();
        for number in 0..MAX_PATHS + 100 {
            executables.learn(
                &program(1, &format!("/bin/{number}"), "h"),
                &mut Findings::default(),
            );
        }
        assert_eq!(
            (executables.paths.len(), executables.order.len()),
            (MAX_PATHS, MAX_PATHS)
        );
    }
}
