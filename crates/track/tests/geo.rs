//! Databases of addresses: 6,880 look-ups of the corpus (`$ATALAYA_CORPORA`), and files that somebody damaged.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that tells shares"
)]

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use atalaya_model::Place;
use atalaya_track::{Atlas, Held};
use serde_json::Value;

fn folder() -> Option<PathBuf> {
    let corpora = std::env::var_os("ATALAYA_CORPORA");
    if corpora.is_none() {
        println!("skipped: no corpora");
    }
    Some(Path::new(&corpora?).join("geoip"))
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join("test-data").join(name))
        .or_else(|_| std::fs::read(folder.join("country").join(name)))
        .unwrap()
}

fn open(bytes: Vec<u8>) -> Result<(Atlas, Held), String> {
    let mut atlas = Atlas::default();
    let held = atlas.add(bytes)?;
    Ok((atlas, held))
}

/// The place that a record tells of, by the reference reader.
fn place(record: &Value) -> Place {
    let text = |value: &Value| value.as_str().map(Into::into);
    let traits = &record["traits"];
    let name = |key: &str| text(&record[key]).or_else(|| text(&traits[key]));
    Place {
        country: text(&record["country"]["iso_code"]).or_else(|| text(&record["country_code"])),
        asn: ["autonomous_system_number"]
            .iter()
            .find_map(|key| record[key].as_u64().or_else(|| traits[key].as_u64()))
            .map(|number| number.try_into().unwrap()),
        organization: name("autonomous_system_organization"),
    }
}

#[test]
fn addresses_are_where_the_reference_reader_finds_them() {
    let Some(folder) = folder() else { return };
    let text = std::fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let mut atlases: HashMap<String, Result<(Atlas, Held), String>> = HashMap::new();
    let (mut same, mut all, mut told) = (0, 0, [0; 3]);
    let mut wrong = BTreeMap::new();
    for line in text.lines() {
        // Python writes what JSON has no word for.
        let line = line.replace("Infinity", "0").replace("NaN", "0");
        let row: Value = serde_json::from_str(&line).unwrap();
        let name = row["database"].as_str().unwrap();
        let opened = atlases
            .entry(name.to_owned())
            .or_insert_with(|| open(read(&folder, name)));
        all += 1;
        let is_same = if row.get("error").is_some() {
            // Refused, or used with a warning as far as it goes.
            opened.as_ref().map_or(true, |(_, held)| held.damage.is_some())
        } else {
            let ip: IpAddr = row["address"].as_str().unwrap().parse().unwrap();
            let wanted = place(&row["record"]);
            let found = opened.as_ref().unwrap().0.find(ip).unwrap_or_default();
            let known = [
                found.country.is_some(),
                found.asn.is_some(),
                found.organization.is_some(),
            ];
            for (count, known) in told.iter_mut().zip(known) {
                *count += u32::from(known);
            }
            found == wanted
        };
        same += u32::from(is_same);
        if !is_same {
            wrong.entry(name.to_owned()).or_insert_with(Vec::new).push(row);
        }
    }
    let [countries, numbers, names] = told;
    println!(
        "geoip: {same} of {all} as the reference reader; {countries} countries, {numbers} systems, {names} names"
    );
    for (name, rows) in &wrong {
        println!("  {name}: {} differ, such as {}", rows.len(), rows[0]);
    }
    assert_eq!((same, all), (6_880, 6_880));
    assert_eq!(told, [2_792, 1_233, 959]);
}

#[test]
fn a_database_says_what_it_holds() {
    let Some(folder) = folder() else { return };
    for (name, countries, systems) in [
        ("GeoLite2-ASN-Test.mmdb", false, true),
        ("GeoLite2-Country-Test.mmdb", true, false),
        ("geo-whois-asn-country.mmdb", true, false),
        ("GeoIP2-Enterprise-Test.mmdb", true, true),
        ("GeoIP2-Domain-Test.mmdb", false, false),
    ] {
        let (_, held) = open(read(&folder, name)).unwrap();
        assert_eq!(
            (held.countries, held.systems, held.damage),
            (countries, systems, None),
            "{name}"
        );
    }
    // The first that knows tells; together they tell more.
    let mut both = Atlas::default();
    both.add(read(&folder, "geo-whois-asn-country.mmdb")).unwrap();
    both.add(read(&folder, "GeoLite2-ASN-Test.mmdb")).unwrap();
    let found = both.find("1.0.0.1".parse().unwrap()).unwrap();
    assert_eq!(
        (found.country.as_deref(), found.asn, found.organization.as_deref()),
        (Some("AU"), Some(15_169), Some("Google Inc."))
    );
    assert_eq!(both.find("127.0.0.1".parse().unwrap()), None);
}

#[test]
fn no_damage_makes_it_stumble() {
    for junk in [
        &b""[..],
        b"not a database",
        b"\xab\xcd\xefMaxMind.com",
        &[0xff; 4_096],
    ] {
        assert!(open(junk.to_vec()).is_err());
    }
    let Some(folder) = folder() else { return };
    let addresses: Vec<IpAddr> = [
        "1.0.0.1",
        "81.2.69.160",
        "2001:db8::1",
        "::",
        "255.255.255.255",
        "2.125.160.216",
    ]
    .map(|ip| ip.parse().unwrap())
    .into();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let (mut refused, mut read_on) = (0, 0);
    for name in [
        "GeoLite2-ASN-Test.mmdb",
        "GeoLite2-Country-Test.mmdb",
        "MaxMind-DB-test-decoder.mmdb",
    ] {
        let whole = read(&folder, name);
        for round in 0..400 {
            let mut bytes = whole.clone();
            if round % 4 == 0 {
                bytes.truncate(next(whole.len()));
            }
            for _ in 0..1 + next(8) {
                // Most harm is done near the end, where the metadata are, and at the beginning, where the tree is.
                let at = match next(3) {
                    0 => next(bytes.len().max(1)),
                    1 => bytes.len().saturating_sub(1 + next(400)),
                    _ => next(64),
                };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = next(256) as u8;
                }
            }
            match open(bytes) {
                Ok((atlas, _)) => {
                    read_on += 1;
                    for &ip in &addresses {
                        atlas.find(ip);
                    }
                }
                Err(error) => {
                    refused += 1;
                    assert!(!error.is_empty());
                }
            }
        }
    }
    println!("geoip: of 1,200 damaged files {refused} refused, {read_on} read as far as they go");
}
