//! One complete look.

use atalaya_model::observation::Look;
use atalaya_model::{Evidence, Observation, Owners as Named, ProcessKey, Socket, Stage, Text, Time};

use super::remember::Remembered;
use super::{PollCollector, one_pass};
use crate::collector::Sink;
use crate::linux::describe::Describer;
use crate::linux::owners::Owners;
use crate::{HostError, clock};

/// Sockets in one message. More would cost memory and save nothing.
const CHUNK: usize = 1_024;
/// Sockets whose holders are searched together.
const ORPHANS: usize = 4_096;
/// Old processes without sockets that one look describes, so that the first looks do not take long.
const OLD_PROCESSES: usize = 64;

/// Knows the process of a socket whose only holder could not be told.
pub(in crate::linux) type Known<'a> = dyn FnMut(&Socket) -> Option<ProcessKey> + 'a;

impl PollCollector {
    /// Looks. Where the descriptors do not tell the process of a socket, `known` may.
    pub(in crate::linux) fn look_at_everything(
        &mut self,
        known: &mut Known<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), HostError> {
        self.look += 1;
        let time = clock::now();
        let changes = match self.one_pass {
            Some(_) => self.owners.begin_noted_look(),
            None => self.owners.begin_look(self.namespaces.turns()),
        };
        let changes = changes.map_err(|error| HostError::file("list", "/proc")(error.into()))?;
        if changes.is_full {
            let reason = "more processes than can be watched";
            self.gap(time, Stage::Processes, 0, reason, sink);
        }
        self.namespaces.refresh(&mut self.owners);
        if self.options.every_process {
            self.describer.start_describing(&changes.started, self.look == 1);
        }
        self.describer.check(self.look, time, sink);

        let namespaces = self.dump(time, known, sink)?;
        self.owners.end_look();

        self.describer.describe_some(OLD_PROCESSES, time, sink);
        self.describer.fetch(sink);
        let end = clock::now();
        for (pid, start) in changes.gone {
            self.describer.gone(pid, start, end, sink);
        }
        if self.options.follow {
            self.remembered.sweep(self.look, self.namespaces.turns());
        }
        let mut unread = self.owners.unread();
        for (reason, count) in self.describer.take_unread() {
            *unread.entry(reason).or_insert(0) += count;
        }
        let look = Look {
            namespaces,
            processes: u32::try_from(self.owners.pids().len()).unwrap_or(u32::MAX),
            unread_processes: unread
                .into_iter()
                .map(|(reason, count)| (Text::from(reason), count))
                .collect(),
        };
        let report = self.report_now();
        if report != self.report {
            self.report = report;
            sink(Observation::Tier(end, self.report.clone()));
        }
        sink(Observation::LookDone(end, look));
        Ok(())
    }

    /// Dumps every namespace that is due, and names those that were read completely.
    fn dump(
        &mut self,
        time: Time,
        known: &mut Known<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Vec<u32>, HostError> {
        let own = self.namespaces.own();
        let mut complete = Vec::new();
        let mut failed = Vec::new();
        let mut pass = Pass {
            owners: &mut self.owners,
            describer: &mut self.describer,
            remembered: &mut self.remembered,
            known,
            follow: self.options.follow,
            look: self.look,
            time,
            chunk: Vec::new(),
            orphans: Vec::new(),
            sockets: 0,
            sink,
        };
        let one_pass = self.one_pass.as_mut();
        let told = one_pass.map(|sockets| one_pass::tell_held(sockets, &mut pass));
        for namespace in self.namespaces.due(self.look == 1) {
            let inode = namespace.dumper.namespace();
            let dumped = match &told {
                Some(told) => told.tell_rest(namespace, &mut self.buffer, &mut pass),
                None => namespace
                    .dumper
                    .dump(&mut self.buffer, &mut |socket| pass.take(socket)),
            };
            match dumped {
                Ok(losses) if losses.failed == 0 => {
                    complete.push(inode);
                    if losses.unreadable > 0 {
                        failed.push((
                            losses.unreadable,
                            "a socket could not be read from its dump".to_owned(),
                        ));
                    }
                }
                Ok(losses) => failed.push((losses.failed, "a socket table could not be read".to_owned())),
                Err(error) if inode == own => {
                    return Err(HostError::system("read the socket table")(error));
                }
                Err(error) => failed.push((1, format!("the sockets of network namespace {inode}: {error}"))),
            }
        }
        pass.find_holders();
        pass.flush();
        let count = pass.sockets;
        self.ledger.received(Stage::SocketTable, count);
        self.ledger.passed(Stage::SocketTable, count);
        for (count, reason) in failed {
            self.gap(time, Stage::SocketTable, count, &reason, sink);
        }
        Ok(complete)
    }
}

/// The way of the sockets of one look from the kernel to the sink.
pub(super) struct Pass<'a, 'known, 'sink> {
    pub(super) owners: &'a mut Owners,
    describer: &'a mut Describer,
    remembered: &'a mut Remembered,
    known: &'a mut Known<'known>,
    follow: bool,
    look: u32,
    time: Time,
    chunk: Vec<Socket>,
    orphans: Vec<Socket>,
    sockets: u64,
    sink: &'a mut Sink<'sink>,
}

impl Pass<'_, '_, '_> {
    /// A socket whose holders are known.
    pub(super) fn take_held(&mut self, socket: Socket) {
        self.sockets += 1;
        self.pass_on(socket);
    }

    /// A socket as it comes from a dump.
    pub(super) fn take(&mut self, mut socket: Socket) {
        self.sockets += 1;
        let held = match socket.inode {
            0 => None,
            inode => self.owners.named(inode),
        };
        if let Some(only @ Named::One(_)) = held {
            socket.owners = only;
        } else if let Some(key) = (self.known)(&socket) {
            socket.owners = Named::Used(key);
        } else if socket.inode == 0 {
            socket.owners = self
                .remembered
                .owners(&socket)
                .cloned()
                .unwrap_or(Named::Unknown(Evidence::KernelOwned));
        } else if let Some(several) = held {
            socket.owners = several;
        } else if self.owners.is_due(socket.inode) {
            self.orphans.push(socket);
            if self.orphans.len() >= ORPHANS {
                self.find_holders();
            }
            return;
        } else {
            socket.owners = Named::Unknown(self.owners.evidence(socket.user_id));
        }
        self.pass_on(socket);
    }

    /// Searches the holders of the sockets that have none yet, and passes them on.
    fn find_holders(&mut self) {
        self.owners
            .resolve(self.orphans.iter().map(|socket| socket.inode));
        for mut socket in std::mem::take(&mut self.orphans) {
            socket.owners = match self.owners.named(socket.inode) {
                Some(named) => named,
                None => Named::Unknown(self.owners.evidence(socket.user_id)),
            };
            if let Named::One(key) = socket.owners {
                self.describer.need_as_it_is_now(key);
            }
            self.pass_on(socket);
        }
    }

    fn pass_on(&mut self, socket: Socket) {
        match &socket.owners {
            // Remembered processes may have ended; they were described when they held the socket.
            _ if socket.inode == 0 => {}
            Named::Unknown(_) => {}
            Named::One(key) | Named::Used(key) | Named::Accepting(key) => {
                self.describer.need_for(*key, socket.inode);
            }
            Named::Many(keys) => {
                for key in keys {
                    self.describer.need_for(*key, socket.inode);
                }
            }
        }
        if self.follow {
            self.remembered.note(&socket, self.look);
        }
        if self.chunk.capacity() == 0 {
            self.chunk.reserve_exact(CHUNK);
        }
        self.chunk.push(socket);
        if self.chunk.len() >= CHUNK {
            self.flush();
        }
    }

    /// Passes on what has gathered, after the processes that it names.
    fn flush(&mut self) {
        self.describer.describe_needed(self.time, self.sink);
        if !self.chunk.is_empty() {
            (self.sink)(Observation::Sockets(self.time, std::mem::take(&mut self.chunk)));
        }
    }
}
