//! Processes as the kernel tells them by itself, without `/proc`: complete although they end within a millisecond.

use std::os::fd::AsFd as _;

use atalaya_model::{Process, ProcessKey, Text, Time};

use super::arguments::{cut, text};
use super::files::{MAX_LINK, ProcessFolder};
use super::{MAX_GROUPS, ProcessReader, environment, script};
use crate::linux::cgroup::{self, Group};
use crate::linux::hash::FileIdentity;

/// What the kernel said of a process that became a program.
#[derive(Clone, Debug, Default)]
pub struct Program<'a> {
    /// The kernel's name of it.
    pub name: &'a [u8],
    /// Path of the file that runs; `None` where it was too long to be told.
    pub executable: Option<Vec<u8>>,
    /// The file that runs.
    pub file: FileIdentity,
    /// No folder holds the file any more.
    pub has_no_link: bool,
    /// The name at which it was found was taken away, or the file system forgot it.
    pub is_unhashed: bool,
    /// No folder ever did.
    pub is_nameless: bool,
    /// Working directory.
    pub folder: Option<Vec<u8>>,
    /// The file that was to be run, as its caller wrote it; a script where `is_script`.
    pub file_name: &'a [u8],
    /// The file named is a script, and what runs its interpreter.
    pub is_script: bool,
    /// Arguments that end in NUL bytes.
    pub arguments: Option<&'a [u8]>,
    /// There were more.
    pub has_more_arguments: bool,
    /// The variable `LD_PRELOAD`, with its name, or nothing.
    pub preload: &'a [u8],
    /// Standard input, output or error is a network socket.
    pub has_standard_socket: bool,
    /// Real user.
    pub user_id: u32,
    /// Inode number of the network namespace.
    pub network_namespace: u32,
    /// Inode number of the mount namespace, in which the paths have their meaning.
    pub mount_namespace: u32,
}

impl ProcessReader {
    /// The process that the kernel told of. Parent, control group, hash and package are not known here.
    pub fn told(&mut self, key: ProcessKey, started: Time, program: &Program<'_>) -> Process {
        let name = self.share(&text(program.name));
        let mut process = Process::bare(key, name, started);
        self.set_user(&mut process, program.user_id);
        process.network_namespace = Some(program.network_namespace);
        if let Some(path) = &program.executable {
            process.flags.memfd = program.is_nameless && path.starts_with(b"/memfd:");
            process.executable = Some(self.share(&text(path)));
        }
        process.flags.deleted =
            !process.flags.memfd && (program.has_no_link || program.is_unhashed && !is_still_there(program));
        process.flags.standard_socket = program.has_standard_socket;
        if let Some(folder) = &program.folder {
            process.working_directory = Some(self.share(&text(folder)));
        }
        if let Some(preload) = environment::value(program.preload) {
            self.preload(&mut process, &preload);
        }
        let content = program.arguments.unwrap_or_default();
        if program.has_more_arguments {
            let whole = without_the_cut_word(content);
            self.arguments(&mut process, whole);
            // That there was more is part of the truth: padding hides what stands behind it.
            let shown = process.command_line.as_deref().unwrap_or_default();
            process.command_line = Some(format!("{shown} …").trim_start().into());
            // Of a part there is no hash that could be compared.
            process.command_line_hash = None;
        } else if !content.is_empty() {
            self.arguments(&mut process, content);
        }
        if program.is_script {
            let path = script::absolute(&text(program.file_name), process.working_directory.as_deref());
            process.script = path.map(|path| cut(&path, MAX_LINK).into());
            process.flags.script = process.script.is_some();
        }
        process
    }
}

impl ProcessReader {
    /// One shared copy of a text that many processes have.
    pub fn share_bytes(&mut self, bytes: &[u8]) -> Text {
        self.share(&text(bytes))
    }

    /// The user of a process, with the name.
    pub fn set_user(&mut self, process: &mut Process, user_id: u32) {
        if process.user_id != Some(user_id) {
            process.user_id = Some(user_id);
            process.user_name = self.users.name(user_id);
        }
    }

    /// The control group of a process. `number` is the same for all that are in the same groups; `path` is that of the
    /// unified hierarchy, from its end. Where neither says which, and the process is gone, it keeps what it has.
    pub fn set_told_group(&mut self, process: &mut Process, number: u64, path: Option<&[u8]>) {
        if let Some(group) = self.told_groups.get(&number) {
            group.give(process);
            return;
        }
        let told = path.map(|path| cgroup::parse(&[b"0::", path].concat()));
        let group = if self.has_only_unified_groups && told.is_some() {
            told
        } else {
            let mut read = Process::bare(process.key, process.name.clone(), process.started);
            let folder = ProcessFolder::open(self.root.as_fd(), process.key.pid);
            if self.key(process.key.pid) == Ok(process.key)
                && let Ok(folder) = folder
            {
                self.group(&folder, &mut read, &mut None);
            }
            if read.cgroup.is_none() {
                // Another process in the same groups may live long enough to be asked.
                if let Some(told) = told {
                    told.give(process);
                }
                return;
            }
            Some(Group {
                path: read.cgroup,
                container: read.container,
                unit: read.unit,
            })
        };
        if let Some(group) = group {
            group.give(process);
            if self.told_groups.len() >= MAX_GROUPS {
                self.told_groups.clear();
            }
            self.told_groups.insert(number, group);
        }
    }
}

/// Is the file that runs at its path, as far as we see? A file system may forget a name and find it again.
fn is_still_there(program: &Program<'_>) -> bool {
    let path = program.executable.as_deref().unwrap_or_default();
    rustix::fs::stat(path).is_ok_and(|stat| program.file.is_content_of(&stat))
}

/// Arguments without the last word of the last one: it was cut, and half a secret is not recognised as one.
fn without_the_cut_word(arguments: &[u8]) -> &[u8] {
    let end = arguments
        .iter()
        .rposition(|byte| *byte == 0 || byte.is_ascii_whitespace());
    &arguments[..end.unwrap_or_default()]
}

/// A path that the kernel wrote from its end to the root, each name with a NUL.
pub fn path_from_its_end(names: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(names.len() + 1);
    let names = names.strip_suffix(&[0]).unwrap_or(names);
    if !names.is_empty() {
        for name in names.rsplit(|byte| *byte == 0) {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
    if path.is_empty() {
        path.push(b'/');
    }
    path
}

/// A name in a field of fixed size that ends in a NUL, or fills the field.
pub fn name(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linux::process::{CommandLines, arguments};

    const KEY: ProcessKey = ProcessKey { pid: 7, start: 70 };

    fn told(program: &Program<'_>) -> Process {
        let command_lines = CommandLines {
            keep_secrets: false,
            key: Some([3; 32]),
        };
        let mut reader = ProcessReader::new(command_lines).unwrap();
        reader.told(KEY, Time(5), program)
    }

    #[test]
    fn paths_are_turned_round() {
        assert_eq!(path_from_its_end(b"ls\0bin\0usr\0"), b"/usr/bin/ls");
        assert_eq!(path_from_its_end(b"memfd:a b\0"), b"/memfd:a b");
        assert_eq!(path_from_its_end(b""), b"/");
        assert_eq!(name(b"ab\0cd\0"), b"ab");
        assert_eq!(name(b"0123456789abcdef"), b"0123456789abcdef");
    }

    #[test]
    fn a_program_is_told_with_secrets_redacted() {
        let process = told(&Program {
            name: b"curl",
            executable: Some(b"/usr/bin/curl".to_vec()),
            folder: Some(b"/srv".to_vec()),
            arguments: Some(b"curl\0--password=hunter2\0x\0"),
            preload: b"LD_PRELOAD=/tmp/x.so\0",
            ..Program::default()
        });
        assert_eq!(process.label(), "/usr/bin/curl");
        let line = process.command_line.as_deref().unwrap();
        assert!(line.starts_with("curl ") && !line.contains("hunter2"), "{line}");
        let expected = crate::linux::redact::keyed_hash(&[3; 32], b"curl\0--password=hunter2\0x\0");
        assert_eq!(process.command_line_hash, Some(expected));
        assert_eq!(process.user_name.as_deref(), Some("root"));
        assert!(process.flags.preload && !process.flags.script && !process.flags.deleted);
        assert_eq!(process.preload.as_deref(), Some("/tmp/x.so"));
    }

    #[test]
    fn a_script_is_what_its_caller_named() {
        let process = told(&Program {
            executable: Some(b"/opt/odd".to_vec()),
            folder: Some(b"/srv".to_vec()),
            file_name: b"./run",
            is_script: true,
            arguments: Some(b"/opt/odd\0./run\0"),
            ..Program::default()
        });
        assert_eq!(process.script.as_deref(), Some("/srv/run"));
        assert!(process.flags.script);
    }

    #[test]
    fn what_is_cut_shows_no_half_secret() {
        let process = told(&Program {
            arguments: Some(b"curl\0a b https://me:hun"),
            has_more_arguments: true,
            ..Program::default()
        });
        assert_eq!(process.command_line.as_deref(), Some("curl a b …"));
        assert_eq!(process.command_line_hash, None);
    }

    #[test]
    fn a_memory_file_is_not_a_deleted_one() {
        let memory = Program {
            executable: Some(b"/memfd:x".to_vec()),
            has_no_link: true,
            is_nameless: true,
            ..Program::default()
        };
        let flags = told(&memory).flags;
        assert!(flags.memfd && !flags.deleted);
        let flags = told(&Program {
            is_nameless: false,
            ..memory
        })
        .flags;
        assert!(!flags.memfd && flags.deleted);
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(
            bytes in prop::collection::vec(any::<u8>(), 0..600),
            has_more_arguments: bool,
            is_script: bool,
        ) {
            let process = told(&Program {
                name: name(&bytes),
                executable: Some(path_from_its_end(&bytes)),
                folder: Some(path_from_its_end(&bytes)),
                file_name: &bytes,
                arguments: Some(&bytes),
                preload: &bytes,
                has_more_arguments,
                is_script,
                ..Program::default()
            });
            prop_assert!(process.executable.is_some_and(|path| path.starts_with('/')));
            prop_assert!(process.command_line.is_none_or(|line| line.len() <= arguments::MAX_KEPT));
        }
    }
}
