//! What was looked up already: an address is looked up once.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use atalaya_model::{Connection, Place, Places};
use foldhash::{HashMap, HashSet};

use super::Atlas;

/// Addresses remembered, at most; the oldest go first.
const MOST: usize = 65_536;
/// Different places remembered, at most; then they are told apart anew.
const MOST_PLACES: usize = 16_384;

/// Databases, and what they said so far.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    atlas: Arc<Atlas>,
    known: HashMap<IpAddr, Option<Arc<Place>>>,
    order: VecDeque<IpAddr>,
    /// Each place once: many addresses are in one network.
    places: HashSet<Arc<Place>>,
}

impl Cache {
    /// Takes other databases; what the old ones said is forgotten.
    pub(crate) fn set(&mut self, atlas: Arc<Atlas>) {
        *self = Self {
            atlas,
            ..Self::default()
        };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.atlas.is_empty()
    }

    /// Where both ends of a conversation are.
    pub(crate) fn places(&mut self, source: IpAddr, destination: IpAddr) -> Places {
        if self.is_empty() {
            return Places::default();
        }
        Places {
            source: self.find(source),
            destination: self.find(destination),
        }
    }

    /// Notes where both ends of a conversation are, unless it says so itself.
    pub(crate) fn note(&mut self, connection: &mut Connection) {
        if connection.places.is_empty() {
            connection.places = self.places(connection.source.ip, connection.destination.ip);
        }
    }

    fn find(&mut self, ip: IpAddr) -> Option<Arc<Place>> {
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() {
            return None;
        }
        if let Some(known) = self.known.get(&ip) {
            return known.clone();
        }
        let place = self.atlas.find(ip).map(|place| self.once(place));
        if self.known.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(ip, place.clone());
        self.order.push_back(ip);
        place
    }

    fn once(&mut self, place: Place) -> Arc<Place> {
        if let Some(known) = self.places.get(&place) {
            return known.clone();
        }
        if self.places.len() >= MOST_PLACES {
            self.places.clear();
        }
        let place = Arc::new(place);
        self.places.insert(place.clone());
        place
    }
}
