//! HTTP requests and responses: their heads.

use serde::{Deserialize, Serialize};

use crate::Text;

/// One request and its response. What was not seen is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Http {
    /// 10 for HTTP/1.0, 11, 20; 9 where no version was said. The request's, or the response's where no request was seen.
    pub version: u8,
    /// The response's version, where it says one.
    pub response_version: Option<u8>,
    /// Number of the request in its connection, from 1.
    pub depth: u32,
    /// Stream of HTTP/2.
    pub stream: Option<u32>,
    /// `GET`; at most 32 bytes.
    pub method: Option<Text>,
    /// The host it asks for, as said in the head; at most 255 bytes.
    pub host: Option<Text>,
    /// What it asks for; the query string only where the owner asked for it; at most 2,048 bytes.
    pub path: Option<Text>,
    /// A query string was there and is not kept.
    pub query_left_out: bool,
    /// At most 512 bytes.
    pub user_agent: Option<Text>,
    /// Without query string, as `path`.
    pub referrer: Option<Text>,
    /// At most 255 bytes.
    pub origin: Option<Box<str>>,
    /// Status code.
    pub status: Option<u16>,
    /// The words beside it, at most 128 bytes.
    pub reason: Option<Text>,
    /// What the server calls itself; at most 255 bytes.
    pub server: Option<Text>,
    /// An interim response (1xx) before the final one: code and words.
    pub interim: Option<(u16, Box<str>)>,
    /// The user's name of basic authentication; never the password.
    pub user: Option<Box<str>>,
    /// Heads that tell of proxies, as `NAME -> value`; at most 8.
    pub proxied: Box<[Box<str>]>,
    /// Declared media type of the request's body.
    pub request_type: Option<Text>,
    /// Declared media type of the response's body.
    pub response_type: Option<Text>,
    /// Media type of the request's body by its first bytes.
    pub request_mime: Option<Text>,
    /// Media type of the response's body by its first bytes.
    pub response_mime: Option<Text>,
    /// Bytes of the request's body that were seen.
    pub request_bytes: u64,
    /// Bytes of the response's body that were seen.
    pub response_bytes: u64,
    /// Bytes of the request's body that are missing in what was captured.
    pub request_missed: u64,
    /// Bytes of the response's body that are missing in what was captured.
    pub response_missed: u64,
    /// Bytes of the response's body after gzip was undone, as the body itself says.
    pub response_decoded: Option<u64>,
    /// The connection became another protocol (CONNECT, Upgrade).
    pub upgraded: Option<Box<str>>,
}

impl Http {
    /// The version as people write it; `None` for one without a name.
    pub const fn version_name(&self) -> Option<&'static str> {
        Some(match self.version {
            9 => "0.9",
            10 => "1.0",
            11 => "1.1",
            20 => "2",
            _ => return None,
        })
    }

    /// What it asks for, and the query behind it where that is kept.
    pub fn path_and_query(&self) -> (Option<&str>, Option<&str>) {
        match self.path.as_deref().map(|path| path.split_once('?').ok_or(path)) {
            Some(Ok((path, query))) => (Some(path), Some(query)),
            Some(Err(path)) => (Some(path), None),
            None => (None, None),
        }
    }
}

/// The settings frame with which a side of HTTP/2 began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Http2Settings {
    /// By the client; the server's otherwise.
    pub by_client: bool,
    /// Number and value of each, at most 16.
    pub settings: Box<[(u16, u32)]>,
}
