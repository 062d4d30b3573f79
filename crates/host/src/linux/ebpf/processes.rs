//! Processes as the kernel programs tell them: records of `bpf/processes.h`, in the words of the describer.

#[cfg(test)]
mod tests;

use atalaya_model::{ProcessKey, Span, Time};

use super::loader::Tracepoint;
use crate::collector::Sink;
use crate::linux::describe::{Describer, Executed, Exited, Forked, exit_code};
use crate::linux::hash::FileIdentity;
use crate::linux::process::told::{Program, name, path_from_its_end};

/// Programs of `bpf/processes.h`.
pub(super) const TRACEPOINTS: &[Tracepoint] = &[
    Tracepoint {
        program: "on_exec",
        tracepoint: "sched_process_exec",
    },
    Tracepoint {
        program: "on_fork",
        tracepoint: "sched_process_fork",
    },
    Tracepoint {
        program: "on_exit",
        tracepoint: "sched_process_exit",
    },
];

/// Kinds of records from here on are about processes.
pub(super) const FIRST: u32 = 16;
const FORK: u32 = FIRST;
const EXEC: u32 = 17;
const EXIT: u32 = 18;

/// Nanoseconds in a clock tick of `/proc`.
const TICK: u64 = 10_000_000;

/// `enum exec_flag` of `bpf/processes.h`.
mod flag {
    pub(super) const FILE_HAS_NO_LINK: u32 = 1;
    pub(super) const FILE_IS_UNHASHED: u32 = 1 << 1;
    pub(super) const FILE_IS_NAMELESS: u32 = 1 << 2;
    pub(super) const HAS_INTERPRETER: u32 = 1 << 3;
    pub(super) const PATH_IS_CUT: u32 = 1 << 4;
    pub(super) const FOLDER_IS_CUT: u32 = 1 << 5;
    pub(super) const GROUP_IS_CUT: u32 = 1 << 6;
    pub(super) const ARGUMENTS_ARE_CUT: u32 = 1 << 7;
    pub(super) const ARGUMENTS_ARE_UNREAD: u32 = 1 << 8;
    pub(super) const ENVIRONMENT_IS_UNREAD: u32 = 1 << 9;
    pub(super) const HAS_STANDARD_SOCKET: u32 = 1 << 10;
}

/// The process that a record says to have become another program.
pub(super) fn becomes_another(record: &[u8]) -> Option<u32> {
    let mut fields = Fields(record);
    (fields.u32()? == EXEC).then(|| fields.u32()).flatten()
}

/// Hands a record about a process to the describer, which passes on what follows from it. `boot` is when the host
/// booted: records count from there. False where the record makes no sense.
pub(super) fn take(record: &[u8], boot: Time, describer: &mut Describer, sink: &mut Sink<'_>) -> bool {
    match parse(record, boot) {
        Some((time, Told::Forked(fork))) => describer.forked(&fork, time, sink),
        Some((time, Told::Executed(exec))) => describer.executed(&exec, time, sink),
        Some((time, Told::Exited(exit))) => describer.exited(exit, time, sink),
        None => return false,
    }
    true
}

/// What a record says.
#[derive(Debug)]
enum Told<'a> {
    Forked(Forked<'a>),
    Executed(Box<Executed<'a>>),
    Exited(Exited),
}

fn parse(record: &[u8], boot: Time) -> Option<(Time, Told<'_>)> {
    let mut fields = Fields(record);
    let kind = fields.u32()?;
    let pid = fields.u32()?;
    let at = |nanoseconds: u64| {
        let micros = i64::try_from(nanoseconds / 1_000).unwrap_or(i64::MAX);
        boot.after(Span(micros))
    };
    let time = at(fields.u64()?);
    let start = fields.u64()?;
    let key = key(pid, start);
    let told = match kind {
        FORK => Told::Forked(fork(&mut fields, key, at(start))?),
        EXEC => Told::Executed(Box::new(exec(&mut fields, key, at(start))?)),
        EXIT => Told::Exited(Exited {
            key,
            exit_code: exit_code(fields.u32()?),
        }),
        _ => return None,
    };
    Some((time, told))
}

/// As `struct fork_record` goes on.
fn fork<'a>(fields: &mut Fields<'a>, key: ProcessKey, started: Time) -> Option<Forked<'a>> {
    let parent_start = fields.u64()?;
    let groups = fields.u64()?;
    Some(Forked {
        key,
        parent: self::key(fields.u32()?, parent_start),
        started,
        user_id: fields.u32()?,
        network_namespace: fields.u32()?,
        groups,
        is_kernel_thread: fields.u32()? != 0,
        name: name(fields.bytes(16)?),
    })
}

/// As `struct exec_record` goes on.
fn exec<'a>(fields: &mut Fields<'a>, key: ProcessKey, started: Time) -> Option<Executed<'a>> {
    let parent_start = fields.u64()?;
    let groups = fields.u64()?;
    let (inode, size) = (fields.u64()?, fields.u64()?);
    let (modified, changed) = (fields.u64()?.cast_signed(), fields.u64()?.cast_signed());
    let (modified, changed) = ((modified, fields.u32()?), (changed, fields.u32()?));
    let device = fields.u32()?;
    let parent = self::key(fields.u32()?, parent_start);
    let (user_id, network_namespace, mount_namespace) = (fields.u32()?, fields.u32()?, fields.u32()?);
    let flags = fields.u32()?;
    let is = |flag| flags & flag != 0;
    let own_name = fields.bytes(16)?;
    let mut lengths = [0; 6];
    for length in &mut lengths {
        *length = usize::from(fields.u16()?);
    }
    fields.u32()?;
    let mut texts = lengths.into_iter().map(|length| fields.bytes(length));
    let mut text = || texts.next().flatten();
    let (executable, folder, file_name) = (text()?, text()?, text()?);
    let (group, preload, arguments) = (text()?, text()?, text()?);
    let path = |names: &[u8], cut| (!is(cut)).then(|| path_from_its_end(names));
    let program = Program {
        name: name(own_name),
        executable: path(executable, flag::PATH_IS_CUT),
        file: FileIdentity::of_inode(device, inode, size, modified, changed),
        has_no_link: is(flag::FILE_HAS_NO_LINK),
        is_unhashed: is(flag::FILE_IS_UNHASHED),
        is_nameless: is(flag::FILE_IS_NAMELESS),
        folder: path(folder, flag::FOLDER_IS_CUT),
        file_name: name(file_name),
        is_script: is(flag::HAS_INTERPRETER),
        arguments: (!is(flag::ARGUMENTS_ARE_UNREAD)).then_some(arguments),
        has_more_arguments: is(flag::ARGUMENTS_ARE_CUT),
        preload,
        has_standard_socket: is(flag::HAS_STANDARD_SOCKET),
        user_id,
        network_namespace,
        mount_namespace,
    };
    Some(Executed {
        key,
        parent,
        started,
        program,
        groups,
        group: path(group, flag::GROUP_IS_CUT),
        is_partial: is(flag::PATH_IS_CUT
            | flag::FOLDER_IS_CUT
            | flag::ARGUMENTS_ARE_UNREAD
            | flag::ENVIRONMENT_IS_UNREAD),
    })
}

const fn key(pid: u32, start: u64) -> ProcessKey {
    ProcessKey {
        pid,
        start: start / TICK,
    }
}

/// The rest of a record.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.bytes(2)?.try_into().ok().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_ne_bytes)
    }
}
