//! Names of the numbers of TLS: those of IANA's registries, and of versions as Zeek and Suricata write them.

use std::borrow::Cow;

use super::ciphers::CIPHERS;

/// The name of a cipher suite: `TLS_AES_128_GCM_SHA256`; `None` where the registry has none.
pub fn cipher_name(cipher: u16) -> Option<&'static str> {
    let index = CIPHERS
        .binary_search_by_key(&cipher, |&(number, _)| number)
        .ok()?;
    CIPHERS.get(index).map(|&(_, name)| name)
}

/// The cipher suite of this name.
pub fn cipher_number(name: &str) -> Option<u16> {
    let found = CIPHERS.iter().find(|(_, known)| *known == name);
    found.map(|&(number, _)| number).or_else(|| unknown(name))
}

/// The number in `unknown-5`, as Zeek writes what has no name.
fn unknown(name: &str) -> Option<u16> {
    name.strip_prefix("unknown-")?.parse().ok()
}

/// The named group of this name.
pub fn curve_number(name: &str) -> Option<u16> {
    let named = |number: &u16| curve_name(*number) == Some(name);
    (0..=u16::MAX).find(named).or_else(|| unknown(name))
}

/// The alert of this description.
pub fn alert_number(name: &str) -> Option<u8> {
    let named = |number: &u8| alert_name(*number) == Some(name);
    let unknown = || unknown(name)?.try_into().ok();
    (0..=u8::MAX).find(named).or_else(unknown)
}

/// The version that Zeek or Suricata writes so.
pub fn version_number(name: &str) -> Option<u16> {
    let versions = [
        2..=2,
        0x0300..=0x0304,
        0xfefc..=0xfeff,
        0x7f00..=0x7fff,
        0xfb00..=0xfbff,
    ];
    let named = |number: &u16| {
        zeek_version(*number) == name || (eve_version(*number) == name && name != "UNDETERMINED")
    };
    versions
        .into_iter()
        .flatten()
        .find(named)
        .or_else(|| unknown(name))
}

/// The name of a named group, as Zeek writes it: `secp256r1`, `x25519`.
pub fn curve_name(group: u16) -> Option<&'static str> {
    Some(match group {
        1 => "sect163k1",
        2 => "sect163r1",
        3 => "sect163r2",
        4 => "sect193r1",
        5 => "sect193r2",
        6 => "sect233k1",
        7 => "sect233r1",
        8 => "sect239k1",
        9 => "sect283k1",
        10 => "sect283r1",
        11 => "sect409k1",
        12 => "sect409r1",
        13 => "sect571k1",
        14 => "sect571r1",
        15 => "secp160k1",
        16 => "secp160r1",
        17 => "secp160r2",
        18 => "secp192k1",
        19 => "secp192r1",
        20 => "secp224k1",
        21 => "secp224r1",
        22 => "secp256k1",
        23 => "secp256r1",
        24 => "secp384r1",
        25 => "secp521r1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "x25519",
        30 => "x448",
        31 => "brainpoolP256r1tls13",
        32 => "brainpoolP384r1tls13",
        33 => "brainpoolP512r1tls13",
        34 => "GC256A",
        35 => "GC256B",
        36 => "GC256C",
        37 => "GC256D",
        38 => "GC512A",
        39 => "GC512B",
        40 => "GC512C",
        41 => "curveSM2",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        259 => "ffdhe6144",
        260 => "ffdhe8192",
        512 => "MLKEM512",
        513 => "MLKEM768",
        514 => "MLKEM1024",
        4587 => "SecP256r1MLKEM768",
        4588 => "X25519MLKEM768",
        4589 => "SecP384r1MLKEM1024",
        25497 => "X25519Kyber768Draft00",
        25498 => "SecP256r1Kyber768Draft00",
        0xff01 => "arbitrary_explicit_prime_curves",
        0xff02 => "arbitrary_explicit_char2_curves",
        _ => return None,
    })
}

/// The name of an alert's description.
pub fn alert_name(description: u8) -> Option<&'static str> {
    Some(match description {
        0 => "close_notify",
        1 => "end_of_early_data",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        52 => "too_many_cids_requested",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => return None,
    })
}

/// The name of an extension of a hello.
pub fn extension_name(extension: u16) -> Option<&'static str> {
    Some(match extension {
        0 => "server_name",
        1 => "max_fragment_length",
        2 => "client_certificate_url",
        3 => "trusted_ca_keys",
        4 => "truncated_hmac",
        5 => "status_request",
        6 => "user_mapping",
        7 => "client_authz",
        8 => "server_authz",
        9 => "cert_type",
        10 => "supported_groups",
        11 => "ec_point_formats",
        12 => "srp",
        13 => "signature_algorithms",
        14 => "use_srtp",
        15 => "heartbeat",
        16 => "alpn",
        17 => "status_request_v2",
        18 => "signed_certificate_timestamp",
        19 => "client_certificate_type",
        20 => "server_certificate_type",
        21 => "padding",
        22 => "encrypt_then_mac",
        23 => "extended_master_secret",
        24 => "token_binding",
        25 => "cached_info",
        27 => "compress_certificate",
        28 => "record_size_limit",
        34 => "delegated_credential",
        35 => "session_ticket",
        41 => "pre_shared_key",
        42 => "early_data",
        43 => "supported_versions",
        44 => "cookie",
        45 => "psk_key_exchange_modes",
        47 => "certificate_authorities",
        48 => "oid_filters",
        49 => "post_handshake_auth",
        50 => "signature_algorithms_cert",
        51 => "key_share",
        52 => "transparency_info",
        54 => "connection_id",
        55 => "external_id_hash",
        56 => "external_session_id",
        57 => "quic_transport_parameters",
        58 => "ticket_request",
        13_172 => "next_protocol_negotiation",
        17_513 | 17_613 => "application_settings",
        0xfe0d => "encrypted_client_hello",
        0xff01 => "renegotiation_info",
        0xffa5 => "quic_transport_parameters_draft",
        _ => return None,
    })
}

/// A version as Zeek writes it: `TLSv12`, `DTLSv10`, `TLSv13-draft23`, `unknown-32257`.
pub fn zeek_version(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv10",
        0x0302 => "TLSv11",
        0x0303 => "TLSv12",
        0x0304 => "TLSv13",
        0xfeff => "DTLSv10",
        0xfefd => "DTLSv12",
        0xfefc => "DTLSv13",
        0x7f00..=0x7fff => return Cow::Owned(format!("TLSv13-draft{}", version & 0xff)),
        0xfb00..=0xfbff => return Cow::Owned(format!("TLSv13-draft{}-fb", version & 0xff)),
        _ => return Cow::Owned(format!("unknown-{version}")),
    })
}

/// A version as Suricata writes it: `TLS 1.2`, `TLSv1`, `TLS 1.3 draft-23`, `UNDETERMINED`.
pub fn eve_version(version: u16) -> Cow<'static, str> {
    Cow::Borrowed(match version {
        0x0002 => "SSLv2",
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLS 1.1",
        0x0303 => "TLS 1.2",
        0x0304 => "TLS 1.3",
        0xfeff => "DTLS 1.0",
        0xfefd => "DTLS 1.2",
        0xfefc => "DTLS 1.3",
        0x7f00..=0x7f0f => "TLS 1.3 draft-<16",
        0x7f10..=0x7f1c => return Cow::Owned(format!("TLS 1.3 draft-{}", version & 0xff)),
        0xfb17 | 0xfb1a => return Cow::Owned(format!("TLS 1.3 draft-{}-fb", version & 0xff)),
        _ => "UNDETERMINED",
    })
}

/// Protocol and version as the Elastic Common Schema has them: `tls` and `1.2`.
pub fn version_words(version: u16) -> (&'static str, Cow<'static, str>) {
    let (protocol, number) = match version {
        0x0002 => ("ssl", "2.0"),
        0x0300 => ("ssl", "3.0"),
        0x0301 => ("tls", "1.0"),
        0x0302 => ("tls", "1.1"),
        0x0303 => ("tls", "1.2"),
        0x0304 => ("tls", "1.3"),
        0xfeff => ("dtls", "1.0"),
        0xfefd => ("dtls", "1.2"),
        0xfefc => ("dtls", "1.3"),
        _ => return ("tls", eve_version(version)),
    };
    (protocol, Cow::Borrowed(number))
}

/// A distinguished name as Zeek writes it (RFC 2253: the last attribute first, commas inside of values escaped), from
/// one in the order of the certificate: `C=US, O=Example, Inc., CN=a` becomes `CN=a,O=Example\, Inc.,C=US`.
pub fn zeek_name(name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    let mut attributes: Vec<String> = Vec::new();
    for part in name.split(", ") {
        match attributes.last_mut() {
            Some(last) if !begins_attribute(part) => {
                last.push_str(", ");
                last.push_str(part);
            }
            _ => attributes.push(part.to_owned()),
        }
    }
    let escaped = attributes.iter().rev().map(|attribute| {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        format!("{key}={}", escape(value))
    });
    escaped.collect::<Vec<_>>().join(",")
}

/// A name as it stands in certificates, from one that Zeek wrote: the opposite of [`zeek_name`].
pub fn from_zeek_name(name: &str) -> String {
    let mut attributes = vec![String::new()];
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        match (letter, attributes.last_mut()) {
            (',', _) => attributes.push(String::new()),
            ('\\', Some(last)) => last.extend(letters.next()),
            (letter, Some(last)) => last.push(letter),
            (_, None) => {}
        }
    }
    attributes.reverse();
    attributes.join(", ")
}

/// `CN=…`, or a number: `1.2.3=…`.
fn begins_attribute(part: &str) -> bool {
    let key = part.split_once('=').map_or("", |(key, _)| key);
    let is_word = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_number = key.contains('.') && key.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_word || is_number
}

/// The escapes of RFC 2253.
fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        let edge = (letter == ' ' && (at == 0 || at == last)) || (letter == '#' && at == 0);
        if edge || matches!(letter, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_are_in_order() {
        assert!(CIPHERS.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(cipher_name(0x1301), Some("TLS_AES_128_GCM_SHA256"));
        assert_eq!(cipher_name(0xc02f), Some("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"));
        assert_eq!(cipher_name(0x0a0a), None);
    }

    #[test]
    fn versions_have_two_styles() {
        assert_eq!(zeek_version(0x0303), "TLSv12");
        assert_eq!(zeek_version(0x7e01), "unknown-32257");
        assert_eq!(zeek_version(0x7f17), "TLSv13-draft23");
        assert_eq!(eve_version(0x0301), "TLSv1");
        assert_eq!(eve_version(0x7f1c), "TLS 1.3 draft-28");
        assert_eq!(eve_version(0x7f0e), "TLS 1.3 draft-<16");
    }

    #[test]
    fn names_turn_round() {
        assert_eq!(
            zeek_name("C=US, O=Example, Inc., CN=a.example"),
            r"CN=a.example,O=Example\, Inc.,C=US"
        );
        assert_eq!(zeek_name("O=1&1 Mail, 1.2.3=x"), "1.2.3=x,O=1&1 Mail");
        assert_eq!(zeek_name(""), "");
        for name in [
            "C=US, O=Example, Inc., CN=a.example",
            "O=1&1 Mail, 1.2.3=x",
            "O=\"a\" + b\\, CN= #x ",
            "",
        ] {
            assert_eq!(from_zeek_name(&zeek_name(name)), name);
        }
    }

    #[test]
    fn numbers_have_their_names_again() {
        for number in 0..=u16::MAX {
            if cipher_name(number).is_some() {
                let found = cipher_number(cipher_name(number).unwrap()).unwrap();
                assert_eq!(cipher_name(found), cipher_name(number));
            }
            if let Some(name) = curve_name(number) {
                assert_eq!(curve_name(curve_number(name).unwrap()), Some(name));
            }
            assert_eq!(
                zeek_version(version_number(&zeek_version(number)).unwrap()),
                zeek_version(number)
            );
        }
        assert_eq!(version_number("TLS 1.2"), Some(0x0303));
        assert_eq!(version_number("UNDETERMINED"), None);
        assert_eq!(alert_number("handshake_failure"), Some(40));
        assert_eq!(alert_number("unknown-255"), Some(255));
        assert_eq!(alert_number("unknown-256"), None);
    }
}
