//! Where addresses are: databases of addresses in MaxMind's format, of whatever maker.
//!
//! A database holds a record for each network, and makers shape these differently. What counts here is found in any of
//! the places where it is known to stand: the country in `country.iso_code` (MaxMind, DB-IP), `country_code` (IP to
//! ASN, IP location DB) or `country` (IPinfo); the autonomous system in `autonomous_system_number` (also in `traits`),
//! `as_number` or `asn`, as a number or as in `AS15169`; who runs it in `autonomous_system_organization`,
//! `as_organization` or `as_name`. Of several databases the first that knows tells.
//!
//! Databases are foreign input. What cannot be read in one is unknown; what it costs to find out is bounded by the
//! reader, whatever the file holds.

mod cache;
mod record;

use std::fmt;
use std::net::IpAddr;

use atalaya_model::Place;
use maxminddb::Reader;
use serde::de::IgnoredAny;

pub(crate) use cache::Cache;
use record::unreadable;

/// Networks of a database that are looked at beforehand: is there anything of use in it, and can it be read?
const SAMPLE: usize = 4_096;

/// Databases of addresses. Immutable: another set takes its place when files change.
#[derive(Debug, Default)]
pub struct Atlas {
    databases: Vec<Database>,
}

/// One database.
#[derive(Debug)]
struct Database {
    reader: Reader<Vec<u8>>,
}

/// What a database holds, as far as that shows at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What it calls itself, such as `GeoLite2-Country`.
    pub kind: String,
    /// When it was made, in seconds since 1970.
    pub made: u64,
    /// It knows countries.
    pub countries: bool,
    /// It knows autonomous systems.
    pub systems: bool,
    /// What is wrong in the beginning of it; what can be read is used all the same.
    pub damage: Option<String>,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.countries, self.systems) {
            (true, true) => "countries and autonomous systems",
            (true, false) => "countries",
            (false, true) => "autonomous systems",
            (false, false) => "neither countries nor autonomous systems",
        };
        write!(f, "{}: {what}", self.kind)
    }
}

impl Atlas {
    /// Adds a database, from the bytes of its file.
    ///
    /// # Errors
    /// In words, where that is no database of addresses, or a damaged one.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<Held, String> {
        let reader = Reader::from_source(bytes).map_err(|error| unreadable(&error))?;
        let metadata = reader.metadata();
        let mut held = Held {
            kind: metadata.database_type.chars().take(64).collect(),
            made: metadata.build_epoch,
            countries: false,
            systems: false,
            damage: None,
        };
        let networks = reader
            .networks(maxminddb::WithinOptions::default())
            .map_err(|error| unreadable(&error))?;
        for found in networks.take(SAMPLE) {
            let read = found.and_then(|found| found.decode::<IgnoredAny>().map(|_| found));
            match read {
                Ok(found) => {
                    let place = record::place(&found);
                    held.countries |= place.country.is_some();
                    held.systems |= place.asn.is_some();
                }
                Err(error) => {
                    held.damage = Some(unreadable(&error));
                    break;
                }
            }
        }
        self.databases.push(Database { reader });
        Ok(held)
    }

    /// Is there no database?
    pub const fn is_empty(&self) -> bool {
        self.databases.is_empty()
    }

    /// Where an address is; `None` where no database knows.
    pub fn find(&self, ip: IpAddr) -> Option<Place> {
        let mut place = Place::default();
        for database in &self.databases {
            // An IPv6 address in a database of IPv4 is an error there; here it is not known.
            let Ok(found) = database.reader.lookup(ip) else {
                continue;
            };
            let next = record::place(&found);
            place.country = place.country.or(next.country);
            if place.asn.is_none() && place.organization.is_none() {
                (place.asn, place.organization) = (next.asn, next.organization);
            }
            if place.country.is_some() && place.asn.is_some() {
                break;
            }
        }
        (!place.is_empty()).then_some(place)
    }
}
