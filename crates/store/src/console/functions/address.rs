//! Addresses, names, and conversations between them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use atalaya_model::{Endpoint, Transport};
use ipnet::IpNet;
use rusqlite::functions::Context;
use rusqlite::types::ValueRef;

use super::{Given, integer, text, wrong};

/// Networks in one list, at most.
const NETWORKS: usize = 1_000;

/// Longest name that can be looked up; DNS has 253.
const NAME: usize = 1_000;

/// An address as text, or as 4 or 16 bytes; an IPv4-mapped one is IPv4.
fn address(value: ValueRef<'_>) -> Option<IpAddr> {
    let ip = match value {
        ValueRef::Blob(bytes) => match bytes.len() {
            4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
            16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
            _ => return None,
        },
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse::<IpAddr>().ok()?,
        _ => return None,
    };
    Some(ip.to_canonical())
}

fn networks(value: ValueRef<'_>) -> Result<Vec<IpNet>, String> {
    let text = text(value).unwrap_or_default();
    let words = text.split([',', ' ']).filter(|word| !word.is_empty());
    let networks: Vec<IpNet> = words
        .take(NETWORKS + 1)
        .map(|word| {
            let network = word.parse().or_else(|_| word.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| format!("`{word}` is no network; write them like 10.0.0.0/8, fd00::/8"))
        })
        .collect::<Result<_, _>>()?;
    match networks.len() {
        0 => Err("no network is given; write one like 10.0.0.0/8".to_owned()),
        1..=NETWORKS => Ok(networks),
        _ => Err(format!("more than {NETWORKS} networks in one list")),
    }
}

pub(super) fn ip_in(context: &Context<'_>) -> Given<bool> {
    if context.get_raw(1) == ValueRef::Null {
        return Ok(None);
    }
    let networks = context.get_or_create_aux(1, networks)?;
    let ip = address(context.get_raw(0));
    Ok(ip.map(|ip| networks.iter().any(|network| network.contains(&ip))))
}

pub(super) fn registrable_domain(context: &Context<'_>) -> Given<String> {
    let Some(name) = text(context.get_raw(0)) else {
        return Ok(None);
    };
    let name = name.trim_end_matches('.').to_lowercase();
    if name.len() > NAME || name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    Ok(psl::domain_str(&name).map(str::to_owned))
}

pub(super) fn community_id(context: &Context<'_>) -> Given<String> {
    let transport = match context.get_raw(0) {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(number) => u8::try_from(number).ok().map(Transport::from_number),
        name => {
            let name = text(name).unwrap_or_default();
            (0..=u8::MAX)
                .map(Transport::from_number)
                .find(|transport| transport.name() == name && transport.name() != "raw")
        }
    };
    let Some(transport) = transport else {
        return Err(wrong(
            "a transport is wanted: a name such as 'tcp', or a protocol number",
        ));
    };
    let (Some(source), Some(destination)) = (address(context.get_raw(1)), address(context.get_raw(3))) else {
        return Ok(None);
    };
    let (Some(from), Some(to)) = (integer(context, 2)?, integer(context, 4)?) else {
        return Ok(None);
    };
    let (Ok(from), Ok(to)) = (u16::try_from(from), u16::try_from(to)) else {
        return Err(wrong("a port is at most 65535"));
    };
    Ok(Some(atalaya_model::community_id::community_id(
        transport,
        Endpoint::new(source, from),
        Endpoint::new(destination, to),
    )))
}
