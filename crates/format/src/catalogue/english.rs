//! English.

use super::Message;

pub(super) const MESSAGES: &[Message] = &[
    Message {
        rule: "suspicious_port",
        title: "Connection to a suspicious port",
        sentence: "{who} opened a connection to {destination} ({state}). Port {port}: {meaning}",
        recommendation: "Check what started this program and whether it belongs on this host. If it does not, isolate \
                         the host, keep the executable and its hash as evidence, then stop the process.",
        silence: "Allow port {port} for this process or destination, or take it out of \
                  `detect.suspicious_port.ports`.",
    },
    Message {
        rule: "suspicious_port.attempt",
        title: "Attempt to reach a suspicious port",
        sentence: "{who} tried to open a connection to {destination}, so far in vain ({state}). Port {port}: {meaning}",
        recommendation: "Check what started this program and whether it belongs on this host. Malware whose master is \
                         gone looks like this, too; keep the executable and its hash as evidence.",
        silence: "Allow port {port} for this process or destination, or take it out of \
                  `detect.suspicious_port.ports`.",
    },
    Message {
        rule: "blocklisted_address",
        title: "Connection to a blocklisted address",
        sentence: "{who} opened a connection to {address}, port {port}. The list `{list}` names this address \
                   (entry {entry}).",
        recommendation: "Treat the host as possibly compromised: look at what was sent and received, find what started \
                         this program, and block the address at the firewall.",
        silence: "Allow the destination {address} for this process, or take {entry} off the list `{list}`.",
    },
    Message {
        rule: "blocklisted_address.attempt",
        title: "Attempt to reach a blocklisted address",
        sentence: "{who} tried to open a connection to {address}, port {port}, so far in vain ({state}). The list \
                   `{list}` names this address (entry {entry}).",
        recommendation: "Nothing was exchanged. Find what started this program and why it wants to go there, and leave \
                         the address blocked.",
        silence: "Allow the destination {address} for this process, or take {entry} off the list `{list}`.",
    },
    Message {
        rule: "blocklisted_address.inbound",
        title: "Contact from a blocklisted address",
        sentence: "{who} was contacted by {address} on port {port}. The list `{list}` names this address (entry {entry}).",
        recommendation: "Check whether this service should be reachable from there at all; read its log for what the \
                         caller did, and block the address at the firewall.",
        silence: "Allow the address {address} for this process, or take {entry} off the list `{list}`.",
    },
    Message {
        rule: "uncommon_port",
        title: "Outbound connection to an uncommon port",
        sentence: "{who} is connected to {destination}. Port {port} ({service}) is not among the {safe_ports} ports \
                   held to be ordinary.",
        recommendation: "Check whether this program is expected to talk to that port. Often it is an ordinary service \
                         that belongs on the list.",
        silence: "Add {port} to `detect.uncommon_port.safe_ports`, or allow it for this process.",
    },
    Message {
        rule: "excessive_connections",
        title: "Too many connections of one process",
        sentence: "{who} has {count} connections open at once; the limit is {threshold}. Different \
                   addresses: {destinations}; most used port: {top_port} ({top_count} connections).",
        recommendation: "Look at the destinations: many hosts on one port suggest a scan, one host a flood or a \
                         connection leak. A busy server or a proxy may simply need a higher limit.",
        silence: "Allow this process, or raise `detect.excessive_connections.threshold` above {count}.",
    },
    Message {
        rule: "many_external",
        title: "One process talks to many external addresses",
        sentence: "{who} is connected to {count} different external addresses at once; the limit is {threshold}.",
        recommendation: "Browsers, mirrors and peer-to-peer programs do this. For any other program, look at the \
                         addresses: it may be scanning, spreading or sending data out.",
        silence: "Allow this process, or raise `detect.many_external.threshold` above {count}.",
    },
    Message {
        rule: "unusual_listener",
        title: "Unusual listener",
        sentence: "{who} began to listen on {local} ({transport}), an address that other hosts may reach. This program \
                   was never seen to listen there.",
        recommendation: "Check that somebody meant to start this service. If nobody did, find what started the \
                         process and who has connected to it since.",
        silence: "Allow port {port} for this process. What listens while the host is being learnt is held to be \
                  ordinary.",
    },
    Message {
        rule: "unusual_listener.wildcard",
        title: "Unusual listener on every address",
        sentence: "{who} began to listen on port {port} ({transport}) of every address of this host. This program was \
                   never seen to listen there.",
        recommendation: "Check that somebody meant to start this service, and that the firewall keeps strangers from \
                         it. If nobody did, find what started the process and who has connected to it since.",
        silence: "Allow port {port} for this process, or bind the service to one address. What listens while the host \
                  is being learnt is held to be ordinary.",
    },
    Message {
        rule: "unusual_listener.suspicious",
        title: "Unusual listener on a suspicious port",
        sentence: "{who} began to listen on {local} ({transport}, {reach}). This program was never seen to listen \
                   there. Port {port}: {meaning}",
        recommendation: "It may be a back door waiting for its owner. Find what started the process, keep its \
                         executable and hash as evidence, and close the port.",
        silence: "Allow port {port} for this process. What listens while the host is being learnt is held to be \
                  ordinary.",
    },
    Message {
        rule: "unusual_listener.loopback",
        title: "Unusual listener on this host only",
        sentence: "{who} began to listen on {local} ({transport}), which only this host can reach. This program was \
                   never seen to listen there.",
        recommendation: "Mostly a developer's tool. Check it when the program is not one that you know: tunnels and \
                         proxies of intruders listen like this too.",
        silence: "Allow port {port} for this process, or set `detect.unusual_listener.loopback = false`.",
    },
    Message {
        rule: "unusual_listener.first_look",
        title: "Listener on an unusual port",
        sentence: "{who} listens on {local} ({transport}), an address that other hosts may reach, on a port that is not \
                   a usual one. Nothing is known yet of what is ordinary on this host.",
        recommendation: "Check that somebody meant to start this service, and that the firewall keeps strangers from \
                         it.",
        silence: "Allow port {port} for this process, or let `atalaya watch` learn what is ordinary on this host.",
    },
    Message {
        rule: "unusual_listener.first_look_suspicious",
        title: "Listener on a suspicious port",
        sentence: "{who} listens on {local} ({transport}), an address that other hosts may reach. Port {port}: {meaning}",
        recommendation: "It may be a back door waiting for its owner. Find what started the process, keep its \
                         executable and hash as evidence, and close the port.",
        silence: "Allow port {port} for this process, or let `atalaya watch` learn what is ordinary on this host.",
    },
    Message {
        rule: "suspicious_path",
        title: "Program in a suspicious folder uses the network",
        sentence: "{who} uses the network and its file is {path}, which matches {pattern}. Installed programs do not \
                   live there; downloaded and dropped ones do.",
        recommendation: "Find out how the file came there (owner, time, parent process). Keep a copy and its hash \
                         before anybody deletes it.",
        silence: "Allow this process, or take {pattern} out of `detect.suspicious_path.paths`.",
    },
    Message {
        rule: "new_process",
        title: "New process",
        sentence: "{who} started. Its parent is {parent}.",
        recommendation: "Nothing, unless you are looking for it.",
        silence: "Set `detect.new_process.enabled = false`.",
    },
    Message {
        rule: "new_executable",
        title: "New program uses the network",
        sentence: "{who} uses the network and was never seen before in this form (SHA-256 {sha256}).",
        recommendation: "Check that you installed it. Its hash can be looked up in a malware database.",
        silence: "Nothing to do: it is known from now on.",
    },
    Message {
        rule: "changed_executable",
        title: "Program was replaced",
        sentence: "{who} runs a file that is not the one known at {path}: its SHA-256 was {old_sha256} and is now \
                   {sha256}. No package accounts for the change.",
        recommendation: "If you did not just build or install it, treat it as a replaced program: keep the file, \
                         compare it with a trusted copy, and find who wrote it and when.",
        silence: "Nothing to do if it was you: the new file is known from now on. For a program that you build often, \
                  allow this process.",
    },
    Message {
        rule: "changed_executable.updated",
        title: "Program was updated by its package",
        sentence: "{who} runs a new version of {path}: updated by package {package}, whose digest agrees \
                   with the file.",
        recommendation: "Nothing.",
        silence: "Nothing to do: it is known from now on.",
    },
    Message {
        rule: "deleted_executable",
        title: "Program without a file uses the network",
        sentence: "{who} uses the network, but its file {path} was deleted or replaced after it started (SHA-256 of \
                   what runs: {sha256}). No package accounts for it.",
        recommendation: "Intruders delete their programs to hide them. Save it now with \
                         `cp /proc/{pid}/exe FILE`, before the process ends; then find what started it.",
        silence: "Restart the program if you replaced it yourself, or allow this process.",
    },
    Message {
        rule: "deleted_executable.memfd",
        title: "Program that exists only in memory uses the network",
        sentence: "{who} uses the network and never had a file: it was started from memory ({path}, SHA-256 {sha256}).",
        recommendation: "Few honest programs do this; fileless malware does. Save it now with \
                         `cp /proc/{pid}/exe FILE`, before the process ends; then find what started it.",
        silence: "Allow this process, if it is a container runtime or another program known to start itself from \
                  memory.",
    },
    Message {
        rule: "deleted_executable.updated",
        title: "Updated program still runs its old version",
        sentence: "{who} still runs the old version of {path}: updated by package {package}, restart pending.",
        recommendation: "Restart it, so that the update takes effect.",
        silence: "Nothing to do: it ends with the restart.",
    },
    Message {
        rule: "dns_rate",
        title: "Very many DNS queries",
        sentence: "{who} used {count} sockets for DNS (port 53) within {window}; the limit is {threshold}. Data is \
                   smuggled out this way, through the names that are asked for.",
        recommendation: "Look at the names it asks for (the resolver's log, or a capture of port 53). Many different \
                         names under one domain mean a tunnel. Mail filters and crawlers ask a lot, too.",
        silence: "Allow this process, or raise `detect.dns_rate.threshold` above {count}.",
    },
    Message {
        rule: "dns_rate.user",
        title: "Very many DNS queries of one user",
        sentence: "Processes of user {user_id} used {count} sockets for DNS (port 53) within {window}, each too \
                   short-lived to tell whose it was; the limit is {threshold}. Data is smuggled out this way, through the names that \
                   are asked for.",
        recommendation: "Look at the names that are asked for (the resolver's log, or a capture of port 53), and at \
                         what runs as this user. Many different names under one domain mean a tunnel.",
        silence: "Raise `detect.dns_rate.threshold` above {count}.",
    },
    Message {
        rule: "dns_rate.unknown",
        title: "Very many DNS queries",
        sentence: "{count} sockets for DNS (port 53) were used within {window}, each too short-lived to tell whose it was; \
                   the limit is {threshold}. Data is smuggled out this way, through the names that are asked for.",
        recommendation: "Look at the names that are asked for (the resolver's log, or a capture of port 53). Many \
                         different names under one domain mean a tunnel.",
        silence: "Raise `detect.dns_rate.threshold` above {count}.",
    },
    Message {
        rule: "reverse_shell",
        title: "Shell on a network socket",
        sentence: "{who} takes its commands from the network: its standard input or output is a socket, connected to \
                   {peer}. Its parent is {parent}.",
        recommendation: "This is how a reverse shell looks. Isolate the host, do not stop the process before its \
                         memory, its parent and its connection are noted, and find how its parent was started.",
        silence: "Allow this process, or take it out of `detect.reverse_shell.programs`.",
    },
    Message {
        rule: "reverse_shell.service",
        title: "Shell as a network service",
        sentence: "{who} serves {peer} as a shell: {parent} started it with the caller's socket as its standard input \
                   or output.",
        recommendation: "Check that this service is meant to be there, and that it does not run what callers send.",
        silence: "Allow this process, or take it out of `detect.reverse_shell.programs`.",
    },
    Message {
        rule: "preloaded_library",
        title: "Program with a preloaded library uses the network",
        sentence: "{who} uses the network, and was started with {library} inside (LD_PRELOAD={preload}). Anybody may \
                   write there, or the folder is hidden.",
        recommendation: "A preloaded library sees and changes all that the program does. Keep a copy of it, find who \
                         put it there, and look for the same variable in start scripts and units.",
        silence: "Allow this process, or take the folder out of `detect.preloaded_library.paths`.",
    },
    Message {
        rule: "preloaded_library.unusual",
        title: "Program with a preloaded library uses the network",
        sentence: "{who} uses the network, and was started with {library} inside (LD_PRELOAD={preload}), which is not \
                   where libraries are installed.",
        recommendation: "Check that you know the library. Often it belongs to a tool that was installed by hand.",
        silence: "Add its folder to `detect.preloaded_library.usual`, or allow this process.",
    },
];
