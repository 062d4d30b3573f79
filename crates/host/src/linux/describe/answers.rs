//! What the helper pool has found out about files that the kernel named, so that two thousand runs of one program ask
//! once.

use std::collections::HashMap;

use atalaya_model::process::Package;
use atalaya_model::{ProcessKey, Text};

use crate::linux::hash::inspector::ToldFile;
use crate::linux::package::database_state;

/// Most answers remembered; at the limit all are forgotten.
const MOST_ANSWERS: usize = 4_096;
/// Most processes that wait for an answer that another process asked for.
const MOST_WAITING: usize = 16_384;

/// What is asked: a file, and the script that it runs. A script's content is asked anew each time, because the kernel
/// does not say which file it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    pub(super) file: ToldFile,
    pub(super) executable: Option<Text>,
    pub(super) script: Option<Text>,
}

/// What was found out about a file.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) sha256: Option<Text>,
    pub(super) package: Option<Package>,
}

/// Answers, and who waits for which.
#[derive(Debug, Default)]
pub(super) struct Answers {
    known: HashMap<(ToldFile, Option<Text>), Answer>,
    waiting: HashMap<Question, Vec<ProcessKey>>,
    count: usize,
    /// Of the package databases, as the answers were given.
    database: u64,
}

impl Answers {
    /// What is known of a file at a path.
    pub(super) fn get(&self, file: ToldFile, executable: Option<&Text>) -> Option<&Answer> {
        self.known.get(&(file, executable.cloned()))
    }

    pub(super) fn insert(&mut self, file: ToldFile, executable: Option<Text>, answer: Answer) {
        if self.known.len() >= MOST_ANSWERS {
            self.known.clear();
        }
        if self.known.is_empty() {
            self.database = database_state();
        }
        self.known.insert((file, executable), answer);
    }

    /// Waits together with whoever has asked the same; `false` where nobody has, and `key` is to ask.
    pub(super) fn join(&mut self, question: &Question, key: ProcessKey) -> bool {
        let Some(waiting) = self.waiting.get_mut(question) else {
            return false;
        };
        if self.count < MOST_WAITING && waiting.last() != Some(&key) {
            waiting.push(key);
            self.count += 1;
        }
        true
    }

    /// Somebody asks, and these wait with it.
    pub(super) fn ask(&mut self, question: Question, waiting: Vec<ProcessKey>) {
        self.count += waiting.len();
        self.waiting.insert(question, waiting);
    }

    /// The question has come back; returns who waited.
    pub(super) fn answered(&mut self, question: &Question) -> Vec<ProcessKey> {
        let waiting = self.waiting.remove(question).unwrap_or_default();
        self.count -= waiting.len();
        waiting
    }

    /// Forgets what a package manager may have changed. Costs a few `stat` calls while there is anything to forget.
    pub(super) fn refresh(&mut self) {
        if self.known.is_empty() {
            return;
        }
        let now = database_state();
        if now != self.database {
            self.known.clear();
            self.database = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::hash::FileIdentity;

    #[test]
    fn those_who_ask_the_same_wait_together() {
        let key = |pid| ProcessKey { pid, start: 1 };
        let question = |inode| Question {
            file: ToldFile {
                identity: FileIdentity::of_inode(1, inode, 2, (3, 4), (5, 6)),
                has_our_mounts: true,
            },
            executable: None,
            script: None,
        };
        let mut answers = Answers::default();
        assert!(!answers.join(&question(1), key(1)));
        answers.ask(question(1), Vec::new());
        assert!(answers.join(&question(1), key(2)) && answers.join(&question(1), key(3)));
        assert!(!answers.join(&question(2), key(4)));
        assert_eq!(answers.answered(&question(1)), [key(2), key(3)]);
        assert_eq!(answers.answered(&question(1)), []);
        answers.ask(question(1), Vec::new());
        for pid in 0..20_000 {
            assert!(answers.join(&question(1), key(pid)));
        }
        assert_eq!(answers.answered(&question(1)).len(), MOST_WAITING);
        assert_eq!(answers.count, 0);
    }
}
