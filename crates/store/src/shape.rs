//! The shape of a conversation: what of its row repeats over many, kept once in a dictionary.

use atalaya_model::{
    Attribution, Connection as Conversation, Direction, NameSource, Outcome, Scope, Side, SocketState,
    Transport,
};

use crate::StoreError;
use crate::codes::{self, counter, decode, encode, uncounter};

/// The columns of `shape` after `id` and `day`, in the order of [`Shape::numbers`].
pub(crate) const COLUMNS: [&str; 21] = [
    "run",
    "transport",
    "side",
    "direction",
    "scope",
    "network_namespace",
    "user_id",
    "cgroup_id",
    "service",
    "started_before",
    "name_source",
    "phase",
    "state",
    "opening_state",
    "outcome",
    "opening_outcome",
    "attribution",
    "opening_attribution",
    "opening_traffic",
    "opening_seen",
    "opening_process",
];

/// A row of `shape`, as numbers.
pub(crate) type Numbers = [i64; COLUMNS.len()];

/// What was counted of a conversation when it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpeningTraffic {
    NotCounted,
    Nothing,
    AsLast,
    InExtra,
}

/// When a conversation was last looked at when it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpeningSeen {
    AtOpening,
    AsLast,
    InExtra,
}

/// Whose a conversation was when it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpeningProcess {
    AsLast,
    Unknown,
    InExtra,
}

const TRAFFIC: &[OpeningTraffic] = &[
    OpeningTraffic::NotCounted,
    OpeningTraffic::Nothing,
    OpeningTraffic::AsLast,
    OpeningTraffic::InExtra,
];
const SEEN: &[OpeningSeen] = &[OpeningSeen::AtOpening, OpeningSeen::AsLast, OpeningSeen::InExtra];
const PROCESS: &[OpeningProcess] = &[
    OpeningProcess::AsLast,
    OpeningProcess::Unknown,
    OpeningProcess::InExtra,
];

/// What of a conversation's row repeats. `phase` is 0 opened, 1 updated, 2 closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) run: i64,
    pub(crate) transport: Transport,
    pub(crate) side: Side,
    pub(crate) direction: Direction,
    pub(crate) scope: Scope,
    pub(crate) network_namespace: u32,
    pub(crate) user_id: Option<u32>,
    pub(crate) cgroup_id: Option<u64>,
    /// Its number among the texts.
    pub(crate) service: Option<i64>,
    pub(crate) started_before: bool,
    pub(crate) name_source: Option<NameSource>,
    pub(crate) phase: i64,
    pub(crate) last: Condition,
    pub(crate) opening: Condition,
    pub(crate) opening_traffic: OpeningTraffic,
    pub(crate) opening_seen: OpeningSeen,
    pub(crate) opening_process: OpeningProcess,
}

/// What a conversation is at one time, as far as it repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) state: SocketState,
    pub(crate) outcome: Outcome,
    pub(crate) attribution: Attribution,
}

impl Condition {
    pub(crate) const fn of(it: &Conversation) -> Self {
        Self {
            state: it.state,
            outcome: it.outcome,
            attribution: it.attribution,
        }
    }
}

impl Shape {
    /// As the dictionary keeps it.
    pub(crate) fn numbers(&self) -> Numbers {
        [
            self.run,
            self.transport.number().into(),
            encode(codes::SIDE, &self.side),
            encode(codes::DIRECTION, &self.direction),
            encode(codes::SCOPE, &self.scope),
            self.network_namespace.into(),
            self.user_id.map_or(-1, i64::from),
            self.cgroup_id.map_or(-1, counter),
            self.service.unwrap_or(0),
            self.started_before.into(),
            self.name_source.map_or(-1, |it| encode(codes::NAME_SOURCE, &it)),
            self.phase,
            encode(codes::STATE, &self.last.state),
            encode(codes::STATE, &self.opening.state),
            encode(codes::OUTCOME, &self.last.outcome),
            encode(codes::OUTCOME, &self.opening.outcome),
            codes::encode_attribution(self.last.attribution),
            codes::encode_attribution(self.opening.attribution),
            encode(TRAFFIC, &self.opening_traffic),
            encode(SEEN, &self.opening_seen),
            encode(PROCESS, &self.opening_process),
        ]
    }

    /// What such numbers mean.
    pub(crate) fn from_numbers(numbers: &Numbers) -> Result<Self, StoreError> {
        let [
            run,
            transport,
            side,
            direction,
            scope,
            network_namespace,
            user_id,
            cgroup_id,
            service,
            started_before,
            name_source,
            phase,
            state,
            opening_state,
            outcome,
            opening_outcome,
            attribution,
            opening_attribution,
            opening_traffic,
            opening_seen,
            opening_process,
        ] = *numbers;
        let narrow = |number: i64| {
            u32::try_from(number)
                .map_err(|_| StoreError::Corrupt(format!("{number} is no id of a user or namespace")))
        };
        let set = |number: i64| (number >= 0).then_some(number);
        let condition = |state, outcome, attribution| {
            Ok::<_, StoreError>(Condition {
                state: decode(codes::STATE, state)?,
                outcome: decode(codes::OUTCOME, outcome)?,
                attribution: codes::decode_attribution(attribution)?,
            })
        };
        Ok(Self {
            run,
            transport: Transport::from_number(
                u8::try_from(transport)
                    .map_err(|_| StoreError::Corrupt(format!("no transport {transport}")))?,
            ),
            side: decode(codes::SIDE, side)?,
            direction: decode(codes::DIRECTION, direction)?,
            scope: decode(codes::SCOPE, scope)?,
            network_namespace: narrow(network_namespace)?,
            user_id: set(user_id).map(narrow).transpose()?,
            cgroup_id: set(cgroup_id).map(uncounter),
            service: (service > 0).then_some(service),
            started_before: started_before != 0,
            name_source: set(name_source)
                .map(|code| decode(codes::NAME_SOURCE, code))
                .transpose()?,
            phase,
            last: condition(state, outcome, attribution)?,
            opening: condition(opening_state, opening_outcome, opening_attribution)?,
            opening_traffic: decode(TRAFFIC, opening_traffic)?,
            opening_seen: decode(SEEN, opening_seen)?,
            opening_process: decode(PROCESS, opening_process)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use atalaya_model::Evidence;

    use super::*;

    #[test]
    fn a_shape_goes_both_ways() {
        let condition = Condition {
            state: SocketState::TimeWait,
            outcome: Outcome::Finished,
            attribution: Evidence::Listener.into(),
        };
        let shape = Shape {
            run: 7,
            transport: Transport::Raw(99),
            side: Side::Destination,
            direction: Direction::Inbound,
            scope: Scope::External,
            network_namespace: u32::MAX,
            user_id: Some(0),
            cgroup_id: None,
            service: Some(3),
            started_before: true,
            name_source: Some(NameSource::Tls),
            phase: 2,
            last: condition,
            opening: Condition {
                outcome: Outcome::Unknown,
                ..condition
            },
            opening_traffic: OpeningTraffic::InExtra,
            opening_seen: OpeningSeen::AsLast,
            opening_process: OpeningProcess::Unknown,
        };
        assert_eq!(Shape::from_numbers(&shape.numbers()).unwrap(), shape);
        let other = Shape {
            user_id: None,
            service: None,
            name_source: None,
            cgroup_id: Some(0),
            ..shape
        };
        assert_eq!(Shape::from_numbers(&other.numbers()).unwrap(), other);
        let mut numbers = shape.numbers();
        numbers[12] = 99;
        assert!(Shape::from_numbers(&numbers).is_err());
    }
}
