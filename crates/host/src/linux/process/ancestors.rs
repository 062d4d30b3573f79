//! Parent chains. A chain is kept with the parent it belongs to, so that a thousand workers of one server cost one.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use atalaya_model::process::Ancestor;
use atalaya_model::{ProcessKey, Text};

use super::arguments::text;
use super::files::{MAX_LINK, ProcessFolder, read_stat};
use super::stat::{MAX_STAT, Stat};

/// Longest chain.
pub const MAX_ANCESTORS: usize = 32;
/// Most chains remembered; at the limit all are forgotten and read again.
const MAX_CHAINS: usize = 16_384;

/// A cache of chains by the parent's identity.
#[derive(Debug, Default)]
pub struct Ancestors {
    chains: HashMap<ProcessKey, Chain>,
}

/// One parent with everything above it, as it was when the parent was first read under this name.
#[derive(Debug)]
struct Chain {
    name: Text,
    parent: u32,
    ancestors: Arc<[Ancestor]>,
}

impl Ancestors {
    /// The chain that begins with process `parent`, the parent of a process that started at `child_start` (clock
    /// ticks since boot). Empty where the parent is gone; a parent younger than its child is another process.
    pub fn of(&mut self, root: BorrowedFd<'_>, parent: u32, child_start: u64) -> Arc<[Ancestor]> {
        self.read(root, parent, child_start, MAX_ANCESTORS)
            .unwrap_or_else(|| Arc::from([]))
    }

    fn read(&mut self, root: BorrowedFd<'_>, pid: u32, before: u64, room: usize) -> Option<Arc<[Ancestor]>> {
        if pid == 0 || room == 0 {
            return None;
        }
        let mut buffer = [0; MAX_STAT];
        let stat = Stat::parse(read_stat(root, pid, &mut buffer).ok()?)?;
        let key = stat.key();
        if key.start > before {
            return None;
        }
        let name = text(stat.name);
        if let Some(chain) = self.chains.get(&key)
            && *chain.name == *name
            && chain.parent == stat.parent
        {
            let kept = chain.ancestors.len().min(room);
            return Some(if kept == chain.ancestors.len() {
                chain.ancestors.clone()
            } else {
                Arc::from(&chain.ancestors[..kept])
            });
        }
        let first = Ancestor {
            key,
            name: name.as_ref().into(),
            executable: executable(root, pid),
        };
        let above = self.read(root, stat.parent, key.start, room - 1);
        let chain = Chain {
            name: first.name.clone(),
            parent: stat.parent,
            ancestors: std::iter::once(first)
                .chain(above.iter().flat_map(|above| above.iter().cloned()))
                .collect(),
        };
        let ancestors = chain.ancestors.clone();
        // A chain that was cut for want of room is not the parent's own.
        if ancestors.len() < room || room == MAX_ANCESTORS {
            if self.chains.len() >= MAX_CHAINS {
                self.chains.clear();
            }
            self.chains.insert(key, chain);
        }
        Some(ancestors)
    }
}

fn executable(root: BorrowedFd<'_>, pid: u32) -> Option<Text> {
    let mut buffer = [0; MAX_LINK];
    let folder = ProcessFolder::open(root, pid).ok()?;
    let path = folder.link("exe", &mut buffer).ok()?;
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    Some(text(path).as_ref().into())
}
