//! Questions for names, and their answers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Time;

/// A question and its answer. One of `asked` and `response` is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dns {
    /// Transaction id, 0 in mDNS.
    pub id: u16,
    /// Operation code: 0 query, 4 notify, 5 update.
    pub opcode: u8,
    /// When the question was seen; `None` where only the answer was.
    pub asked: Option<Time>,
    /// The flags of the question as sent (the second 16 bits of the header).
    pub flags: u16,
    /// What was asked for, as said in the question, else in the answer; at most 16.
    pub questions: Box<[Question]>,
    /// The answer; `None` where none was seen.
    pub response: Option<Response>,
}

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// In lower case, without the final dot; `\` escapes bytes that are no letters, digits, `-`, `_`.
    pub name: Box<str>,
    /// Type number: 1 A, 28 AAAA.
    pub kind: u16,
    /// Class number: 1 Internet. The top bit (mDNS: answer to me alone) is taken off.
    pub class: u16,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// When it came.
    pub time: Time,
    /// The second 16 bits of the header.
    pub flags: u16,
    /// Response code, with the upper bits of EDNS.
    pub code: u16,
    /// Records that answer, at most 64.
    pub answers: Box<[Answer]>,
    /// Records that name who is responsible, at most 16.
    pub authorities: Box<[Answer]>,
    /// Further records, without EDNS options, at most 16.
    pub additionals: Box<[Answer]>,
    /// Records that were there and are not kept here, or could not be read.
    pub left_out: u16,
}

/// One record of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Owner name, as [`Question::name`].
    pub name: Box<str>,
    /// Type number.
    pub kind: u16,
    /// Class number.
    pub class: u16,
    /// Seconds for which it may be kept.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are those of the standards")]
pub enum Data {
    Address(IpAddr),
    /// CNAME, NS, PTR, DNAME and others that are one name.
    Name(Box<str>),
    /// TXT and SPF: each character string.
    Text(Box<[Box<str>]>),
    Mx {
        preference: u16,
        name: Box<str>,
    },
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        name: Box<str>,
    },
    Soa {
        mname: Box<str>,
        rname: Box<str>,
        serial: u32,
        refresh: u32,
        retry: u32,
        expire: u32,
        minimum: u32,
    },
    Sshfp {
        algorithm: u8,
        kind: u8,
        /// Hexadecimal with colons.
        fingerprint: Box<str>,
    },
    /// Any other type, in the presentation form of its standard where we know it.
    Other(Box<str>),
    /// Too short, or not what its type demands.
    Unreadable,
}

/// Names of record types by number, as in the registry; the usual ones.
pub const fn type_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        32 => "NB",
        33 => "SRV",
        35 => "NAPTR",
        37 => "CERT",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        _ => return None,
    })
}

/// Names of response codes by number.
pub const fn code_name(code: u16) -> Option<&'static str> {
    Some(match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        6 => "YXDOMAIN",
        7 => "YXRRSET",
        8 => "NXRRSET",
        9 => "NOTAUTH",
        10 => "NOTZONE",
        16 => "BADVERS",
        17 => "BADKEY",
        18 => "BADTIME",
        19 => "BADMODE",
        20 => "BADNAME",
        21 => "BADALG",
        22 => "BADTRUNC",
        23 => "BADCOOKIE",
        _ => return None,
    })
}
