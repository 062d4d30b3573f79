//! Media types of bodies by their first bytes.

use flate2::{Decompress, FlushDecompress};

/// So many first bytes of a body are looked at.
pub(super) const ENOUGH: usize = 256;

/// How a body is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    Plain,
    Gzip,
    Deflate,
    /// One that is not undone here.
    Other,
}

impl Encoding {
    /// By its name in `Content-Encoding`.
    pub(super) fn from_name(name: &[u8]) -> Self {
        if name.eq_ignore_ascii_case(b"identity") {
            Self::Plain
        } else if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
            Self::Gzip
        } else if name.eq_ignore_ascii_case(b"deflate") {
            Self::Deflate
        } else {
            Self::Other
        }
    }
}

/// Signatures at a place: offset, bytes, type. The first that fits is meant.
static SIGNATURES: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"BM", "image/x-ms-bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"MZ", "application/x-dosexec"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-o-executable"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-o-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/x-java-applet"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/x-gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/x-rar"),
    (0, b"MSCF", "application/vnd.ms-cab-compressed"),
    (0, b"!<arch>\ndebian", "application/vnd.debian.binary-package"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword"),
    (0, b"{\\rtf", "text/rtf"),
    (0, b"FWS", "application/x-shockwave-flash"),
    (0, b"CWS", "application/x-shockwave-flash"),
    (0, b"ZWS", "application/x-shockwave-flash"),
    (0, b"FLV\x01", "video/x-flv"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "application/ogg"),
    (0, b"fLaC", "audio/x-flac"),
    (8, b"WAVE", "audio/x-wav"),
    (0, b"wOFF", "application/font-woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO", "application/vnd.ms-opentype"),
    (0, b"#!/bin/sh", "text/x-shellscript"),
    (0, b"#!/bin/bash", "text/x-shellscript"),
    (0, b"#!/usr/bin/env python", "text/x-python"),
    (0, b"#!/usr/bin/python", "text/x-python"),
    (0, b"<?php", "text/x-php"),
    (0, b"-----BEGIN PGP", "application/pgp"),
    (0, b"-----BEGIN CERTIFICATE-----", "application/x-x509-ca-cert"),
];

/// Elements with which pages begin, lower case; after `<`.
const PAGES: [&[u8]; 6] = [
    b"!doctype html",
    b"html",
    b"head",
    b"title",
    b"body",
    b"!doctype  html",
];

/// Words with which scripts begin.
const SCRIPTS: [&[u8]; 8] = [
    b"function ",
    b"var ",
    b"(function(",
    b"document.write",
    b"!function(",
    b"window.",
    b"\"use strict\"",
    b"'use strict'",
];

/// The media type of a body that begins so, with Zeek's names; `None` where nothing is known.
pub(super) fn sniff(first: &[u8], encoding: Encoding) -> Option<&'static str> {
    let mut plain = [0; 2 * ENOUGH];
    match encoding {
        Encoding::Plain => classify(first),
        Encoding::Other => None,
        Encoding::Gzip | Encoding::Deflate => {
            let length = decode(first, encoding, &mut plain)?;
            classify(plain.get(..length)?)
        }
    }
}

fn classify(first: &[u8]) -> Option<&'static str> {
    let signature = SIGNATURES.iter().find(|(offset, bytes, _)| {
        // The first byte decides nearly always.
        first.get(*offset) == bytes.first() && first[*offset..].starts_with(bytes)
    });
    if let Some((_, _, name)) = signature {
        return Some(name);
    }
    let text = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
    let begin = text.trim_ascii_start();
    let structured = match begin.first() {
        Some(b'<') => markup(begin),
        Some(b'{' | b'[') => json(begin),
        _ if SCRIPTS.iter().any(|word| begin.starts_with(word)) => Some("application/javascript"),
        _ => None,
    };
    structured.or_else(|| {
        // Ten characters make a text, as Zeek has it.
        let ten = text.get(..10)?;
        ten.iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\t'..=b'\r'))
            .then_some("text/plain")
    })
}

/// Pages, XML and their kin, after comments.
fn markup(text: &[u8]) -> Option<&'static str> {
    let mut rest = text;
    let mut is_xml = false;
    // Every turn takes something off; the text is short.
    loop {
        if let Some(comment) = rest.strip_prefix(b"<!--") {
            let end = memchr::memmem::find(comment, b"-->")?;
            rest = comment[end + 3..].trim_ascii_start();
        } else if rest.starts_with(b"<?xml ") {
            is_xml = true;
            match memchr::memmem::find(rest, b"?>") {
                Some(end) => rest = rest[end + 2..].trim_ascii_start(),
                None => return Some("application/xml"),
            }
        } else {
            break;
        }
    }
    let begins = |name: &[u8]| {
        rest.get(1..=name.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
    };
    if rest.first() == Some(&b'<') {
        if PAGES.iter().any(|page| begins(page)) {
            return Some("text/html");
        }
        if begins(b"svg") {
            return Some("image/svg+xml");
        }
        if begins(b"rss") {
            return Some("text/rss");
        }
        if begins(b"soap-env:envelope") {
            return Some("application/soap+xml");
        }
    }
    is_xml.then_some("application/xml")
}

/// An object with a first name and the begin of its value, or a list of values.
fn json(text: &[u8]) -> Option<&'static str> {
    let is_value = |text: &[u8]| {
        let text = text.trim_ascii_start();
        matches!(text.first(), Some(b'"' | b'[' | b'{' | b'0'..=b'9' | b'-'))
            || [&b"true"[..], b"false", b"null"]
                .iter()
                .any(|word| text.starts_with(word))
    };
    let is_json = match text.split_first()? {
        (b'{', rest) => {
            let name = rest.trim_ascii_start().strip_prefix(b"\"")?;
            let end = memchr::memchr(b'"', name)?;
            let value = name[end + 1..].trim_ascii_start().strip_prefix(b":")?;
            is_value(value)
        }
        (b'[', rest) => {
            let rest = rest.trim_ascii_start();
            let is_string = rest
                .strip_prefix(b"\"")
                .is_some_and(|string| memchr::memchr(b'"', string).is_some());
            is_string || (rest.first() == Some(&b'{') && json(rest).is_some())
        }
        _ => false,
    };
    is_json.then_some("text/json")
}

/// Undoes the encoding as far as the first bytes go: how many bytes `plain` got.
fn decode(first: &[u8], encoding: Encoding, plain: &mut [u8]) -> Option<usize> {
    let is_zlib =
        matches!(first, [a, b, ..] if a & 15 == 8 && (u16::from(*a) << 8 | u16::from(*b)) % 31 == 0);
    let (data, has_header) = match encoding {
        Encoding::Gzip => (&first[gzip_head(first)?..], false),
        _ => (first, is_zlib),
    };
    let mut inflate = Decompress::new(has_header);
    // An error says nothing about what came before it.
    let _status = inflate.decompress(data, plain, FlushDecompress::Sync);
    usize::try_from(inflate.total_out()).ok()
}

/// Length of the head of a gzip member: RFC 1952.
fn gzip_head(data: &[u8]) -> Option<usize> {
    let [0x1f, 0x8b, 8, flags, ..] = data else {
        return None;
    };
    let mut at = 10;
    if flags & 4 != 0 {
        let length = data.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += memchr::memchr(0, data.get(at..)?)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (at <= data.len()).then_some(at)
}
