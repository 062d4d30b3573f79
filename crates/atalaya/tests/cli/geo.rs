//! Where addresses are: in every output, in filters and in the database, from files that the flags or the configuration
//! name.

use std::fs;

use crate::home::Home;
use crate::replay::{lines, shop};

/// A text or a map of fewer than 29 bytes or members, as its kind has it.
fn head(kind: u8, size: usize) -> u8 {
    assert!(size < 29);
    kind << 5 | u8::try_from(size).unwrap()
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(head(2, text.len()));
    out.extend(text.bytes());
}

fn number(out: &mut Vec<u8>, kind: u8, number: u32) {
    let bytes = number.to_be_bytes();
    let bytes = &bytes[if kind == 5 { 2 } else { 0 }..];
    out.push(head(kind, bytes.len()));
    out.extend(bytes);
}

/// A database of one network, 198.51.100.0/24, in MaxMind's format.
fn database(country: Option<&str>, asn: Option<(u32, &str)>) -> Vec<u8> {
    const NODES: u32 = 24;
    let prefix = 0xc633_6400_u32;
    let mut bytes = Vec::new();
    for node in 0..NODES {
        let bit = prefix >> (31 - node) & 1;
        let next = if node + 1 < NODES { node + 1 } else { NODES + 16 };
        let sides = if bit == 0 { [next, NODES] } else { [NODES, next] };
        for side in sides {
            bytes.extend(&side.to_be_bytes()[1..]);
        }
    }
    bytes.extend([0; 16]);
    bytes.push(head(
        7,
        usize::from(country.is_some()) + 2 * usize::from(asn.is_some()),
    ));
    if let Some(country) = country {
        text(&mut bytes, "country");
        bytes.push(head(7, 1));
        text(&mut bytes, "iso_code");
        text(&mut bytes, country);
    }
    if let Some((asn, name)) = asn {
        text(&mut bytes, "autonomous_system_number");
        number(&mut bytes, 6, asn);
        // Longer than 28 bytes: the length goes on in a byte of its own.
        bytes.extend([2 << 5 | 29, 30 - 29]);
        bytes.extend(b"autonomous_system_organization");
        text(&mut bytes, name);
    }
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.push(head(7, 9));
    for (key, kind, value) in [
        ("node_count", 6, NODES),
        ("record_size", 5, 24),
        ("ip_version", 5, 4),
        ("binary_format_major_ver", 5, 2),
        ("build", 6, 1_700_000_000),
    ] {
        match key {
            "binary_format_major_ver" => text(&mut bytes, "binary_format_major_version"),
            "build" => {
                text(&mut bytes, "build_epoch");
                bytes.extend([head(0, 4), 9 - 7]);
                bytes.extend(value.to_be_bytes());
                continue;
            }
            key => text(&mut bytes, key),
        }
        number(&mut bytes, kind, value);
    }
    text(&mut bytes, "binary_format_minor_version");
    number(&mut bytes, 5, 0);
    text(&mut bytes, "database_type");
    text(&mut bytes, "Test");
    text(&mut bytes, "languages");
    bytes.extend([head(0, 0), 11 - 7]);
    text(&mut bytes, "description");
    bytes.push(head(7, 0));
    bytes
}

fn prepare(home: &Home) {
    shop(home);
    fs::write(home.path("country.mmdb"), database(Some("RU"), None)).unwrap();
    fs::write(home.path("asn.mmdb"), database(None, Some((64_497, "=Example")))).unwrap();
}

#[test]
fn a_replay_says_where_the_ends_are() {
    let home = Home::new();
    prepare(&home);
    let geo = ["--geo", "country.mmdb", "--geo", "asn.mmdb"];
    let ran = home.run(
        &[
            &["replay", "shop.pcapng", "--output", "json", "--store", "case.db"][..],
            &geo,
        ]
        .concat(),
    );
    assert_eq!(ran.code, 0, "{}", ran.err);
    let rows = lines(&ran.out);
    let row = rows
        .iter()
        .find(|row| row["destination"]["port"] == 80 && row["event"]["action"] == "connection_closed")
        .unwrap();
    assert_eq!(row["destination"]["geo"]["country_iso_code"], "RU", "{row}");
    assert_eq!(row["destination"]["as"]["number"], 64_497);
    assert_eq!(row["destination"]["as"]["organization"]["name"], "=Example");
    assert_eq!(row["source"].get("geo"), None);
    assert_eq!(row["connection"]["country"], "RU");
    // What was true when it was kept stays, without any database.
    let ran = home.run(&[
        "export",
        "connections",
        "--store",
        "case.db",
        "--filter",
        "country:RU asn:64497",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let mut table = csv::Reader::from_reader(ran.out.as_bytes());
    let names = table.headers().unwrap().clone();
    let rows: Vec<_> = table.records().map(Result::unwrap).collect();
    let cell = |name: &str| &rows[0][names.iter().position(|known| known == name).unwrap()];
    assert!(!rows.is_empty());
    assert_eq!((cell("destination_country"), cell("asn")), ("RU", "64497"));
    assert_eq!(cell("destination_organization"), "'=Example");
    // A filter that the place decides.
    let choose = |filter: &str| {
        let args = ["replay", "shop.pcapng", "--output", "csv", "--filter", filter];
        home.run(&[&args[..], &geo].concat()).out.lines().count()
    };
    assert_eq!(choose("country:ES"), 1);
    assert!(choose("dst.country:RU") > 1);
}

#[test]
fn the_configuration_names_databases_too_and_bad_ones_are_refused() {
    let home = Home::new();
    prepare(&home);
    fs::write(home.path("good.toml"), "[geo]\nfiles = [\"country.mmdb\"]\n").unwrap();
    let ran = home.run(&[
        "replay",
        "shop.pcapng",
        "--config",
        "good.toml",
        "--output",
        "csv",
        "--filter",
        "country:RU",
    ]);
    assert!(
        ran.code == 0 && ran.out.lines().count() > 1,
        "{} {}",
        ran.out,
        ran.err
    );
    assert_eq!(home.run(&["config", "check", "--config", "good.toml"]).code, 0);

    fs::write(home.path("cut.mmdb"), &database(Some("RU"), None)[..100]).unwrap();
    fs::write(
        home.path("bad.toml"),
        "[geo]\nfiles = [\"cut.mmdb\", \"none.mmdb\"]\n",
    )
    .unwrap();
    let ran = home.run(&["config", "check", "--config", "bad.toml"]);
    assert_eq!(ran.code, 2);
    for words in [
        "cut.mmdb: it is no database of addresses, or damaged",
        "none.mmdb: cannot read the database",
        "hint: ",
    ] {
        assert!(ran.err.contains(words), "{words} in {}", ran.err);
    }
    // One without countries and systems is told, and does no harm.
    fs::write(home.path("empty.mmdb"), database(None, None)).unwrap();
    let ran = home.run(&["replay", "shop.pcapng", "--geo", "empty.mmdb", "--output", "csv"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.err.contains("empty.mmdb: nothing of use was found"),
        "{}",
        ran.err
    );
}
