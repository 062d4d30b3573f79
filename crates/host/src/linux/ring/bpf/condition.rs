//! What is left of a filter for one class of packets, when everything that is known of the class is put in.

use atalaya_model::fields::{Field, Kind};
use atalaya_model::filter::{Expression, Test};
use atalaya_model::{Text, Transport, Value};
use ipnet::IpNet;

use super::PORTED;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Sender,
    Receiver,
}

/// A kind of packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Class {
    pub(super) family: Family,
    has_ports: bool,
}

impl Class {
    pub(super) const fn ported(family: Family) -> Self {
        Self {
            family,
            has_ports: true,
        }
    }

    pub(super) const fn portless(family: Family) -> Self {
        Self {
            family,
            has_ports: false,
        }
    }
}

/// What must be true of a packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Condition {
    Always,
    Never,
    Not(Box<Condition>),
    /// At least two.
    All(Vec<Condition>),
    /// At least two.
    Any(Vec<Condition>),
    Term(Term),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Term {
    Protocol(u8),
    /// Both ends included.
    Ports {
        end: End,
        low: u16,
        high: u16,
    },
    /// Each 32 bits of the address under a mask, as far as the network says anything; at least one.
    Network {
        end: End,
        words: Vec<(u32, u32)>,
    },
}

impl Condition {
    /// At least one of them; each once.
    pub(super) fn any(items: Vec<Self>) -> Self {
        Self::join(items, &Self::Always, &Self::Never, Self::Any)
    }

    /// All of them; each once.
    fn all(items: Vec<Self>) -> Self {
        Self::join(items, &Self::Never, &Self::Always, Self::All)
    }

    fn join(
        mut items: Vec<Self>,
        decides: &Self,
        says_nothing: &Self,
        joined: fn(Vec<Self>) -> Self,
    ) -> Self {
        if items.contains(decides) {
            return decides.clone();
        }
        items.retain(|item| item != says_nothing);
        items.sort();
        items.dedup();
        match items.len() {
            0 => says_nothing.clone(),
            1 => items.remove(0),
            _ => joined(items),
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    const fn known(truth: bool) -> Self {
        if truth { Self::Always } else { Self::Never }
    }
}

/// What is assumed of a comparison that cannot be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    Holds,
    Fails,
}

/// Puts in what is known, and in doubt lets pass.
#[derive(Debug)]
pub(super) struct Reduction {
    /// Every field and test of the filter is one that the program knows.
    pub(super) is_exact: bool,
}

impl Default for Reduction {
    fn default() -> Self {
        Self { is_exact: true }
    }
}

/// What packets are asked about.
#[derive(Clone, Copy, Debug)]
struct Case {
    class: Class,
    /// The packet's sender is the connection's source.
    is_forward: bool,
}

impl Reduction {
    /// The filter for packets of this class, of which the sender is the connection's source (`is_forward`) or its
    /// destination.
    pub(super) fn of(&mut self, filter: &Expression, class: Class, is_forward: bool) -> Condition {
        self.reduce(filter, Some(Case { class, is_forward }), Doubt::Holds)
    }

    /// The filter for packets that belong to no connection: every field that the program knows is missing.
    pub(super) fn without_fields(&mut self, filter: &Expression) -> Condition {
        self.reduce(filter, None, Doubt::Holds)
    }

    fn reduce(&mut self, filter: &Expression, case: Option<Case>, doubt: Doubt) -> Condition {
        match filter {
            Expression::All => Condition::Always,
            Expression::And(items) => {
                Condition::all(items.iter().map(|item| self.reduce(item, case, doubt)).collect())
            }
            Expression::Or(items) => {
                Condition::any(items.iter().map(|item| self.reduce(item, case, doubt)).collect())
            }
            Expression::Not(item) => {
                let other = if doubt == Doubt::Holds {
                    Doubt::Fails
                } else {
                    Doubt::Holds
                };
                self.reduce(item, case, other).not()
            }
            Expression::Compare { fields, test } => {
                let each = fields.iter().map(|field| self.compare(field, test, case, doubt));
                Condition::any(each.collect())
            }
        }
    }

    fn compare(&mut self, field: &Field, test: &Test, case: Option<Case>, doubt: Doubt) -> Condition {
        if !field.of.contains(&Kind::Connection) {
            return Condition::Never;
        }
        if let Test::Any(tests) = test {
            let each = tests.iter().map(|test| self.compare(field, test, case, doubt));
            return Condition::any(each.collect());
        }
        let (is_source, is_address) = match field.name {
            "source.ip" => (true, true),
            "destination.ip" => (false, true),
            "source.port" => (true, false),
            "destination.port" => (false, false),
            "network.transport" => return transport(test, case),
            "network.type" => return family(test, case),
            _ => return self.doubted(doubt),
        };
        let Some(case) = case else {
            return Condition::Never;
        };
        let end = if is_source == case.is_forward {
            End::Sender
        } else {
            End::Receiver
        };
        match test {
            Test::Exists => Condition::Always,
            Test::Within(network) if is_address => within(*network, end, case.class.family),
            // On the address as it is written.
            _ if is_address => match test {
                Test::Range { .. } | Test::Is(_) => Condition::Never,
                _ => self.doubted(doubt),
            },
            Test::Range { .. } if !case.class.has_ports => Condition::known(doubt == Doubt::Holds),
            Test::Range { low, high } => ports(*low, *high, end),
            _ => Condition::Never,
        }
    }

    fn doubted(&mut self, doubt: Doubt) -> Condition {
        self.is_exact = false;
        Condition::known(doubt == Doubt::Holds)
    }
}

fn transport(test: &Test, case: Option<Case>) -> Condition {
    let Some(case) = case else {
        return Condition::Never;
    };
    let passes = |number: u8| test.matches(&Value::Text(Text::from(Transport::from_number(number).name())));
    let of_class = |number: &u8| PORTED.contains(number) == case.class.has_ports;
    // Every number without a name of its own is `raw`: the answer for all of them is that for one of them.
    let is_named = |number: &u8| !matches!(Transport::from_number(*number), Transport::Raw(_));
    let unnamed = !case.class.has_ports && passes(u8::MAX);
    let exceptions =
        (0..=u8::MAX).filter(|number| of_class(number) && is_named(number) && passes(*number) != unnamed);
    let exceptions = Condition::any(
        exceptions
            .map(|number| Condition::Term(Term::Protocol(number)))
            .collect(),
    );
    if unnamed { exceptions.not() } else { exceptions }
}

fn family(test: &Test, case: Option<Case>) -> Condition {
    let name = case.map(|case| {
        if case.class.family == Family::V4 {
            "ipv4"
        } else {
            "ipv6"
        }
    });
    Condition::known(name.is_some_and(|name| test.matches(&Value::Text(Text::from(name)))))
}

fn ports(low: i64, high: i64, end: End) -> Condition {
    let all = i64::from(u16::MAX);
    match (u16::try_from(low.max(0)), u16::try_from(high.min(all))) {
        (Ok(0), Ok(u16::MAX)) => Condition::Always,
        (Ok(low), Ok(high)) if low <= high => Condition::Term(Term::Ports { end, low, high }),
        _ => Condition::Never,
    }
}

fn within(network: IpNet, end: End, family: Family) -> Condition {
    let address: Vec<u8> = match (network.network(), family) {
        (std::net::IpAddr::V4(address), Family::V4) => address.octets().into(),
        (std::net::IpAddr::V6(address), Family::V6) => address.octets().into(),
        _ => return Condition::Never,
    };
    let mut left = u32::from(network.prefix_len());
    let mut words = Vec::new();
    for word in address.chunks_exact(4) {
        if left == 0 {
            break;
        }
        let mask = u32::MAX << (32 - left.min(32));
        let value = word.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
        words.push((value & mask, mask));
        left = left.saturating_sub(32);
    }
    if words.is_empty() {
        return Condition::Always;
    }
    Condition::Term(Term::Network { end, words })
}
