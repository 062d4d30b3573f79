//! Questions for names, and their answers.

use std::fmt;
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
    /// What was asked for, as said in the question, else in the answer; at most 16. In a dynamic update: the zone.
    pub questions: Box<[Question]>,
    /// Records that the question itself carried: what a dynamic update demands and changes, what a notify tells, what
    /// an mDNS host knows already.
    pub sent: Option<Box<Sections>>,
    /// The answer; `None` where none was seen.
    pub response: Option<Response>,
}

impl Dns {
    /// Aliases that are followed.
    const MOST_ALIASES: usize = 8;

    /// What is set in the header, the answer's where there is one: AA, TC, RD, RA, AD, CD.
    pub fn header_flags(&self) -> impl Iterator<Item = &'static str> + use<> {
        const NAMES: [(u16, &str); 6] = [
            (0x0400, "AA"),
            (0x0200, "TC"),
            (0x0100, "RD"),
            (0x0080, "RA"),
            (0x0020, "AD"),
            (0x0010, "CD"),
        ];
        let flags = self
            .response
            .as_ref()
            .map_or(self.flags, |response| response.flags);
        let set = NAMES.into_iter().filter(move |(bit, _)| flags & bit > 0);
        set.map(|(_, name)| name)
    }

    /// The addresses that a good answer gives for the name that was asked for, with the seconds for which they hold:
    /// aliases inside the answer are followed. An answer to no question (mDNS) gives those of each name it tells.
    /// Never an unspecified or loopback address: these would name what never was there.
    pub fn addresses(&self) -> impl Iterator<Item = (&str, IpAddr, u32)> {
        let response = self
            .response
            .as_ref()
            .filter(|response| response.code == 0 && self.opcode == 0);
        let answers = response.map_or(&[][..], |response| &response.answers);
        let asked = self.questions.first().map(|question| &*question.name);
        let mut names = [("", 0); Self::MOST_ALIASES];
        let mut known = 0;
        let mut next = asked.map(|asked| (asked, u32::MAX));
        for slot in &mut names {
            let Some((name, ttl)) = next else { break };
            *slot = (name, ttl);
            known += 1;
            next = answers.iter().find_map(|answer| match &answer.data {
                Data::Name(alias) if answer.kind == 5 && *answer.name == *name => {
                    Some((&**alias, ttl.min(answer.ttl)))
                }
                _ => None,
            });
        }
        answers.iter().filter_map(move |answer| {
            let Data::Address(address) = answer.data else {
                return None;
            };
            if address.is_unspecified() || address.is_loopback() {
                return None;
            }
            let Some(asked) = asked else {
                return Some((&*answer.name, address, answer.ttl));
            };
            let mut names = names.iter().take(known);
            let (_, ttl) = names.find(|(name, _)| *name == &*answer.name)?;
            Some((asked, address, answer.ttl.min(*ttl)))
        })
    }
}

/// A name that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// In lower case, without the final dot (so the root is empty). Printable ASCII stands for itself but for `.` and
    /// `\` inside a label, which are `\.` and `\\`; any other byte is `\` and three decimal digits, as in zone files. A
    /// NetBIOS name is decoded, with its kind: `workgroup<1d>`.
    pub name: Box<str>,
    /// The name as it was sent, where that had capitals (some resolvers mix them at random).
    pub as_sent: Option<Box<str>>,
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

/// The three lists of records in a message.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sections {
    /// Answers; in a dynamic update, what must be so for it to happen. At most 64.
    pub answers: Box<[Answer]>,
    /// Who is responsible; in a dynamic update, what shall change. At most 16.
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
    /// TXT and SPF: each character string, at most 16; printable ASCII but `\` stands for itself, any other byte is `\`
    /// and three decimal digits. A NetBIOS node status (type 33 there): each name.
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
    Ds {
        key_tag: u16,
        algorithm: u8,
        digest_kind: u8,
        /// Hexadecimal.
        digest: Box<str>,
    },
    Dnskey {
        flags: u16,
        protocol: u8,
        algorithm: u8,
        /// Bytes of the key; the key itself is not kept.
        key_bytes: u16,
    },
    /// The signature itself is not kept.
    Rrsig {
        /// Type number of the records that it signs.
        covered: u16,
        algorithm: u8,
        labels: u8,
        original_ttl: u32,
        /// Seconds since 1970.
        expiration: u32,
        /// Seconds since 1970.
        inception: u32,
        key_tag: u16,
        signer: Box<str>,
    },
    Nsec {
        next: Box<str>,
        /// Names of the types that exist, with spaces between.
        kinds: Box<str>,
    },
    Caa {
        flags: u8,
        tag: Box<str>,
        value: Box<str>,
    },
    /// Nothing, as in what a dynamic update demands or deletes.
    Empty,
    /// Any other type, in the presentation form of its standard, on one line, fields with one space between:
    /// HINFO, LOC, NAPTR, NSEC3 (without the hash of the next owner), NSEC3PARAM, SVCB and HTTPS, TLSA, URI, WKS,
    /// RP, AFSDB, TSIG (algorithm, time, fudge, error), NetBIOS NB (flags and address of each). What we do not know
    /// is `\# LENGTH HEX` (RFC 3597), at most the first 64 bytes.
    Other(Box<str>),
    /// Too short, or not what its type demands.
    Unreadable,
}

/// In one line, in the order of its standard; what is empty or could not be read is nothing.
impl fmt::Display for Data {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(ip) => write!(to, "{ip}"),
            Self::Name(name) | Self::Other(name) => write!(to, "{name}"),
            Self::Text(texts) => write!(to, "{}", texts.join(" ")),
            Self::Mx { preference, name } => write!(to, "{preference} {name}"),
            Self::Srv {
                priority,
                weight,
                port,
                name,
            } => write!(to, "{priority} {weight} {port} {name}"),
            Self::Soa {
                mname, rname, serial, ..
            } => write!(to, "{mname} {rname} {serial}"),
            Self::Sshfp {
                algorithm,
                kind,
                fingerprint,
            } => write!(to, "{algorithm} {kind} {fingerprint}"),
            Self::Ds {
                key_tag,
                algorithm,
                digest_kind,
                digest,
            } => write!(to, "{key_tag} {algorithm} {digest_kind} {digest}"),
            Self::Dnskey {
                flags,
                protocol,
                algorithm,
                ..
            } => write!(to, "{flags} {protocol} {algorithm}"),
            Self::Rrsig {
                covered,
                algorithm,
                key_tag,
                signer,
                ..
            } => write!(to, "{covered} {algorithm} {key_tag} {signer}"),
            Self::Nsec { next, kinds } => write!(to, "{next} {kinds}"),
            Self::Caa { flags, tag, value } => write!(to, "{flags} {tag} {value}"),
            Self::Empty | Self::Unreadable => Ok(()),
        }
    }
}

/// Names of record types by number, as in the registry; the usual ones.
pub const fn type_name(kind: u16) -> Option<&'static str> {
    Some(match kind {
        1 => "A",
        2 => "NS",
        3 => "MD",
        4 => "MF",
        5 => "CNAME",
        6 => "SOA",
        7 => "MB",
        8 => "MG",
        9 => "MR",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        14 => "MINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        19 => "X25",
        20 => "ISDN",
        21 => "RT",
        22 => "NSAP",
        24 => "SIG",
        25 => "KEY",
        26 => "PX",
        27 => "GPOS",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        32 => "NB",
        33 => "SRV",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        108 => "EUI48",
        109 => "EUI64",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        253 => "MAILB",
        254 => "MAILA",
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

/// The record type of this name, in any case.
pub fn type_number(name: &str) -> Option<u16> {
    (1..=257).find(|number| type_name(*number).is_some_and(|known| known.eq_ignore_ascii_case(name)))
}

/// The response code of this name, in any case.
pub fn code_number(name: &str) -> Option<u16> {
    (0..=23).find(|number| code_name(*number).is_some_and(|known| known.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, kind: u16, ttl: u32, data: Data) -> Answer {
        let name = name.into();
        Answer {
            name,
            kind,
            class: 1,
            ttl,
            data,
        }
    }

    fn address(name: &str, ttl: u32, address: &str) -> Answer {
        record(name, 1, ttl, Data::Address(address.parse().unwrap()))
    }

    #[test]
    fn addresses_of_the_name_that_was_asked_for() {
        let question = Question {
            name: "www.a".into(),
            as_sent: None,
            kind: 1,
            class: 1,
        };
        let answers = [
            record("www.a", 5, 300, Data::Name("x.b".into())),
            record("x.b", 5, 20, Data::Name("y.c".into())),
            address("y.c", 60, "192.0.2.1"),
            address("y.c", 10, "192.0.2.2"),
            address("y.c", 10, "127.0.0.9"),
            address("y.c", 10, "0.0.0.0"),
            address("y.c", 10, "::1"),
            address("other.example", 60, "192.0.2.3"),
        ];
        let response = Response {
            answers: answers.into(),
            ..Response::default()
        };
        let mut dns = Dns {
            questions: [question].into(),
            response: Some(response),
            ..Dns::default()
        };
        let found: Vec<(&str, String, u32)> = dns
            .addresses()
            .map(|(name, address, ttl)| (name, address.to_string(), ttl))
            .collect();
        assert_eq!(
            found,
            [
                ("www.a", "192.0.2.1".into(), 20),
                ("www.a", "192.0.2.2".into(), 10)
            ]
        );

        dns.questions = Box::default();
        assert_eq!(dns.addresses().count(), 3);
        assert_eq!(
            dns.addresses().last().map(|(name, _, _)| name),
            Some("other.example")
        );
        dns.response.as_mut().unwrap().code = 3;
        assert_eq!(dns.addresses().count(), 0);
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let answers = [
            record("a", 5, 1, Data::Name("b".into())),
            record("b", 5, 1, Data::Name("a".into())),
        ];
        let dns = Dns {
            questions: [Question {
                name: "a".into(),
                as_sent: None,
                kind: 1,
                class: 1,
            }]
            .into(),
            response: Some(Response {
                answers: answers.into(),
                ..Response::default()
            }),
            ..Dns::default()
        };
        assert_eq!(dns.addresses().count(), 0);
    }
}
