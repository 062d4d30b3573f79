//! What is not ordinary about a conversation's row, in its one column for that.

use atalaya_model::ProcessKey;
use atalaya_model::connection::Traffic;
use rusqlite::types::{Value as Sql, ValueRef};
use serde_json::{Map, Value};

use crate::StoreError;
use crate::codes::{counter, uncounter};

/// First byte of a blob that tells what was counted when the conversation opened: six numbers follow, seven bits a
/// byte, the lowest first.
const TRAFFIC: u8 = 1;

/// A row that is still to be completed keeps so many bytes, so that it need not move to another page: what closing it
/// adds. A blob that begins with 0 says nothing.
const ROOM: usize = 14;

/// What is odd about a row. Offsets are microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extra {
    /// From the time in the id to the opening event.
    pub(crate) late: i64,
    /// From the last event to when it was last looked at.
    pub(crate) seen: i64,
    /// From the last event to its end, where that is not just the time of the closing.
    pub(crate) ended: Option<i64>,
    /// It was closed without an end.
    pub(crate) endless: bool,
    /// What was counted when it opened.
    pub(crate) opening_traffic: Option<Traffic>,
    /// From the opening event to when it was looked at then.
    pub(crate) opening_seen: Option<i64>,
    /// Number of the process that had it when it opened.
    pub(crate) opening_process: Option<i64>,
    /// Who else holds the socket.
    pub(crate) shared_with: Box<[ProcessKey]>,
    /// Who else held it when it opened, where that differs.
    pub(crate) opening_shared_with: Option<Box<[ProcessKey]>>,
}

impl Extra {
    /// For the column. `open` keeps room where there is nothing to tell.
    pub(crate) fn encode(&self, open: bool) -> Sql {
        let common = Self {
            opening_traffic: self.opening_traffic,
            ..Self::default()
        };
        if *self != common {
            return Sql::Text(Value::Object(self.document()).to_string());
        }
        match &self.opening_traffic {
            Some(traffic) => {
                let mut bytes = Vec::with_capacity(20);
                bytes.push(TRAFFIC);
                for number in numbers(traffic) {
                    push(&mut bytes, number);
                }
                Sql::Blob(bytes)
            }
            None if open => Sql::Blob(vec![0; ROOM]),
            None => Sql::Null,
        }
    }

    fn document(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                map.insert(name.to_owned(), value);
            }
        };
        put("late", (self.late != 0).then(|| self.late.into()));
        put("seen", (self.seen != 0).then(|| self.seen.into()));
        put("ended", self.ended.map(Value::from));
        put("endless", self.endless.then(|| 1.into()));
        let traffic = self.opening_traffic.as_ref().map(numbers);
        put("opening_traffic", traffic.map(|numbers| numbers.to_vec().into()));
        put("opening_seen", self.opening_seen.map(Value::from));
        put("opening_process", self.opening_process.map(Value::from));
        put(
            "shared_with",
            (!self.shared_with.is_empty()).then(|| hex(&self.shared_with).into()),
        );
        put(
            "opening_shared_with",
            self.opening_shared_with.as_deref().map(|keys| hex(keys).into()),
        );
        map
    }

    /// What the column tells.
    pub(crate) fn decode(value: ValueRef<'_>) -> Result<Self, StoreError> {
        match value {
            ValueRef::Null => Ok(Self::default()),
            ValueRef::Blob([TRAFFIC, bytes @ ..]) => {
                let mut rest = bytes;
                let mut next = || pull(&mut rest).ok_or_else(damaged);
                let mut numbers = [0; 6];
                for number in &mut numbers {
                    *number = next()?;
                }
                Ok(Self {
                    opening_traffic: Some(traffic(numbers)),
                    ..Self::default()
                })
            }
            ValueRef::Blob([0, ..]) => Ok(Self::default()),
            ValueRef::Text(text) => Self::from_document(&serde_json::from_slice(text)?),
            _ => Err(damaged()),
        }
    }

    fn from_document(map: &Map<String, Value>) -> Result<Self, StoreError> {
        let number = |name: &str| map.get(name).and_then(Value::as_i64);
        let keys = |name: &str| {
            map.get(name)
                .and_then(Value::as_str)
                .map(|text| unhex(text).ok_or_else(damaged))
                .transpose()
        };
        let counted = map.get("opening_traffic").and_then(Value::as_array).map(|list| {
            let mut numbers = [0; 6];
            for (number, value) in numbers.iter_mut().zip(list) {
                *number = uncounter(value.as_i64().unwrap_or(0));
            }
            traffic(numbers)
        });
        Ok(Self {
            late: number("late").unwrap_or(0),
            seen: number("seen").unwrap_or(0),
            ended: number("ended"),
            endless: map.contains_key("endless"),
            opening_traffic: counted,
            opening_seen: number("opening_seen"),
            opening_process: number("opening_process"),
            shared_with: keys("shared_with")?.unwrap_or_default(),
            opening_shared_with: keys("opening_shared_with")?,
        })
    }
}

fn damaged() -> StoreError {
    StoreError::Corrupt("a conversation's extra column says nothing that is known".into())
}

/// Counters as they are kept; what is above 2^63 - 1 becomes that.
fn numbers(traffic: &Traffic) -> [u64; 6] {
    [
        traffic.sent_bytes,
        traffic.received_bytes,
        traffic.sent_packets,
        traffic.received_packets,
        traffic.round_trip.into(),
        traffic.retransmits.into(),
    ]
    .map(|number| uncounter(counter(number)))
}

fn traffic(numbers: [u64; 6]) -> Traffic {
    let [
        sent_bytes,
        received_bytes,
        sent_packets,
        received_packets,
        round_trip,
        retransmits,
    ] = numbers;
    Traffic {
        sent_bytes,
        received_bytes,
        sent_packets,
        received_packets,
        round_trip: u32::try_from(round_trip).unwrap_or(u32::MAX),
        retransmits: u32::try_from(retransmits).unwrap_or(u32::MAX),
    }
}

/// Appends a number, seven bits a byte, the lowest first.
pub(crate) fn push(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Takes such a number off; `None` where there is none.
pub(crate) fn pull(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Process keys as bytes in hexadecimal: pid and start, little-endian, one after the other.
fn hex(keys: &[ProcessKey]) -> String {
    let bytes = keys
        .iter()
        .flat_map(|key| key.pid.to_le_bytes().into_iter().chain(key.start.to_le_bytes()));
    bytes.map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str) -> Option<Box<[ProcessKey]>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let bytes: Vec<u8> = pairs
        .iter()
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<_>>()?;
    Some(crate::connections::from_keys(Some(bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> impl Strategy<Value = ProcessKey> {
        (any::<u32>(), any::<u64>()).prop_map(|(pid, start)| ProcessKey { pid, start })
    }

    fn counted() -> impl Strategy<Value = Traffic> {
        (any::<[u32; 6]>(), any::<u64>()).prop_map(|(numbers, large)| Traffic {
            received_bytes: large >> 1,
            ..traffic(numbers.map(u64::from))
        })
    }

    proptest! {
        #[test]
        fn it_goes_both_ways(
            offsets in any::<[i64; 2]>(),
            options in any::<[Option<i64>; 3]>(),
            endless in any::<bool>(),
            opening_traffic in prop::option::of(counted()),
            shared_with in prop::collection::vec(key(), 0..3),
            opening_shared_with in prop::option::of(prop::collection::vec(key(), 0..3)),
        ) {
            let extra = Extra {
                late: offsets[0],
                seen: offsets[1],
                ended: options[0],
                endless,
                opening_traffic,
                opening_seen: options[1],
                opening_process: options[2],
                shared_with: shared_with.into(),
                opening_shared_with: opening_shared_with.map(Into::into),
            };
            let common = Extra { opening_traffic, ..Extra::default() };
            for extra in [extra, common, Extra::default()] {
                for open in [false, true] {
                    prop_assert_eq!(&Extra::decode((&extra.encode(open)).into()).unwrap(), &extra);
                }
            }
        }

        #[test]
        fn hostile_bytes_are_an_error_at_worst(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            drop(Extra::decode(ValueRef::Blob(&bytes)));
            drop(Extra::decode(ValueRef::Text(&bytes)));
        }
    }

    #[test]
    fn the_ordinary_takes_no_room() {
        assert_eq!(Extra::default().encode(false), Sql::Null);
        let traffic = Traffic {
            sent_bytes: 517,
            received_bytes: 3_200,
            sent_packets: 4,
            received_packets: 5,
            round_trip: 12_000,
            retransmits: 0,
        };
        let extra = Extra {
            opening_traffic: Some(traffic),
            ..Extra::default()
        };
        let Sql::Blob(bytes) = extra.encode(false) else {
            panic!("not a blob");
        };
        assert_eq!(bytes.len(), 10);
    }
}
