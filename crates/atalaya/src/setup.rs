//! Puts the parts of a run together: collector, tracker, detectors, alert desk.

use atalaya_alert::Desk;
use atalaya_detect::{Detectors, Learning, registry};
use atalaya_format::catalogue::Language;
use atalaya_format::ecs::Context;
use atalaya_host::collector::{Collector, Options as CollectorOptions};
use atalaya_host::identity::Identity;
use atalaya_host::ladder::Ladder;
use atalaya_model::{Ledger, Tier, Time};
use atalaya_track::{FlowOptions, Options as TrackerOptions, Tracker};
use atalaya_wire::{Limits, packet};

use crate::cli::{Lang, TierChoice};
use crate::config::load::Loaded;
use crate::config::packets::Packets;
use crate::engine::{Engine, PacketOptions};
use crate::exit::Failure;

/// The language of a run: the flag, else the environment, else English.
pub fn language(flag: Option<Lang>) -> Language {
    match flag {
        Some(Lang::En) => Language::English,
        Some(Lang::Es) => Language::Spanish,
        None => ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
            .and_then(|value| Language::from_code(&value))
            .unwrap_or(Language::English),
    }
}

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What records say of this host and this program.
pub fn context(identity: &Identity, language: Language) -> Context {
    Context {
        host_name: identity.name.clone(),
        host_id: identity.id.clone(),
        version: VERSION.into(),
        language,
        of_captures: false,
    }
}

/// The best collector that works here, or the one that was asked for.
///
/// # Errors
/// When none works.
pub fn collector(
    choice: TierChoice,
    options: CollectorOptions,
    loaded: &Loaded,
) -> Result<Box<dyn Collector>, Failure> {
    let collect = &loaded.config.collect;
    let options = CollectorOptions {
        hash: options.hash && collect.hashes,
        packages: options.packages && collect.packages,
        redact: collect.redact,
        // Who asks for a tier without kernel programs gets none.
        programs: !matches!(choice, TierChoice::Poll | TierChoice::Events),
        ..options
    };
    let forced = match choice.forced() {
        // One look sees what there is by any tier: what the better ones add is what happens between two.
        None if !options.follow => Some(Tier::Poll),
        forced => forced,
    };
    let ladder = Ladder::open(forced, options).map_err(|error| match choice.forced() {
        Some(tier) => Failure::Failed(format!(
            "tier `{}` does not work here: failed to {error}; `atalaya plan` says what does",
            tier.name()
        )),
        None => Failure::Failed(format!("cannot observe this host: failed to {error}")),
    })?;
    Ok(Box::new(ladder))
}

/// How packets are read with this configuration.
pub fn packet_options(options: &Packets, checksums: bool, live: Option<u32>) -> PacketOptions {
    PacketOptions {
        decoding: packet::Options {
            checksums,
            ..packet::Options::default()
        },
        flows: FlowOptions {
            most: options.max_connections as usize,
            limits: Limits {
                query_strings: options.query_strings,
                ..Limits::default()
            },
            by_id: live.is_some(),
            // A socket knows nothing of the VLAN that its packets travel in.
            apart_by_vlan: live.is_none(),
            ..FlowOptions::default()
        },
        live,
    }
}

/// An engine for this configuration. `last_alert` is the highest alert id so far.
pub fn engine(loaded: Loaded, learning: Learning, last_alert: u64, now: Time, ledger: Ledger) -> Engine {
    let mut tracker = Tracker::new(TrackerOptions {
        networks: loaded.networks(),
        ..TrackerOptions::new(now)
    });
    tracker.set_atlas(loaded.atlas);
    let detectors = Detectors::new(&loaded.config.detect, &loaded.lists, learning);
    let techniques = Box::new(registry::techniques);
    let desk = Desk::new(loaded.config.alerts, loaded.allow, techniques, last_alert);
    Engine::new(tracker, detectors, desk, ledger)
}

/// An engine for what comes from files. Which programs their hosts knew is not known: none is new.
pub fn engine_of_files(loaded: Loaded, last_alert: u64) -> Engine {
    let learning = Learning {
        until: Some(Time(i64::MAX)),
        ..Learning::default()
    };
    engine(loaded, learning, last_alert, Time(0), Ledger::default())
}
