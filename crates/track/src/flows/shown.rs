//! What the record of a connection shows of what was said in it. It is kept as long as the connection lives, so the rest,
//! which the message alone tells, is left out.

use atalaya_model::Text;
use atalaya_model::protocol::Http;
use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello, Tls};

/// Of a handshake: who it is with.
pub(super) fn tls(tls: &Tls) -> Tls {
    let certificate = |certificate: &Certificate| Certificate {
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        sha256: certificate.sha256.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        self_signed: certificate.self_signed,
        ..Certificate::default()
    };
    Tls {
        datagram: tls.datagram,
        version: tls.version,
        client: tls.client.as_ref().map(hello),
        server: tls.server.as_ref().map(|server| ServerHello {
            version: server.version,
            cipher: server.cipher,
            protocol: server.protocol.clone(),
            ja3s: server.ja3s.clone(),
            ..ServerHello::default()
        }),
        certificates: tls.certificates.first().map(certificate).into_iter().collect(),
        curve: tls.curve,
        resumed: tls.resumed,
        established: tls.established,
        ..Tls::default()
    }
}

/// Of a client's hello, without the text behind its fingerprint.
pub(super) fn hello(client: &ClientHello) -> ClientHello {
    ClientHello {
        version: client.version,
        server_name: client.server_name.clone(),
        protocols: client.protocols.clone(),
        ja4: client.ja4.clone(),
        ja3: client.ja3.clone(),
        encrypted_hello: client.encrypted_hello,
        ..ClientHello::default()
    }
}

/// Of a request: what was asked for, by whom, and how it went. Smaller than [`Http`], for it is kept.
pub(crate) struct Request {
    version: u8,
    query_left_out: bool,
    status: Option<u16>,
    depth: u32,
    method: Option<Text>,
    host: Option<Text>,
    path: Option<Text>,
    user_agent: Option<Text>,
    response_type: Option<Text>,
    response_mime: Option<Text>,
    response_bytes: u64,
    rest: Option<Box<Rest>>,
}

/// What few requests have.
struct Rest {
    referrer: Option<Text>,
    request_type: Option<Text>,
    request_mime: Option<Text>,
    request_bytes: u64,
}

impl Request {
    pub(super) fn new(http: &Http) -> Self {
        let has_rest = http.referrer.is_some()
            || http.request_type.is_some()
            || http.request_mime.is_some()
            || http.request_bytes > 0;
        let rest = || {
            Box::new(Rest {
                referrer: http.referrer.clone(),
                request_type: http.request_type.clone(),
                request_mime: http.request_mime.clone(),
                request_bytes: http.request_bytes,
            })
        };
        Self {
            version: http.version,
            query_left_out: http.query_left_out,
            status: http.status,
            depth: http.depth,
            method: http.method.clone(),
            host: http.host.clone(),
            path: http.path.clone(),
            user_agent: http.user_agent.clone(),
            response_type: http.response_type.clone(),
            response_mime: http.response_mime.clone(),
            response_bytes: http.response_bytes,
            rest: has_rest.then(rest),
        }
    }

    pub(crate) fn http(&self) -> Http {
        let rest = self.rest.as_deref();
        Http {
            version: self.version,
            depth: self.depth,
            method: self.method.clone(),
            host: self.host.clone(),
            path: self.path.clone(),
            query_left_out: self.query_left_out,
            user_agent: self.user_agent.clone(),
            referrer: rest.and_then(|rest| rest.referrer.clone()),
            status: self.status,
            request_type: rest.and_then(|rest| rest.request_type.clone()),
            response_type: self.response_type.clone(),
            request_mime: rest.and_then(|rest| rest.request_mime.clone()),
            response_mime: self.response_mime.clone(),
            request_bytes: rest.map_or(0, |rest| rest.request_bytes),
            response_bytes: self.response_bytes,
            ..Http::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_who_it_is_with_and_no_more() {
        let client = ClientHello {
            server_name: Some("www.example".into()),
            ja4: "t13d1516h2_8daaf6152771_b186095e22b6".into(),
            ja3: Some("cd08e31494f9531f560d64c695473da9".into()),
            ..ClientHello::default()
        };
        let first = Certificate {
            subject: "CN=www.example".into(),
            sha256: "aa".into(),
            ..Certificate::default()
        };
        let expected = Tls {
            version: Some(0x0303),
            client: Some(client.clone()),
            certificates: Box::new([first.clone()]),
            ..Tls::default()
        };
        let said = Tls {
            client: Some(ClientHello {
                ja3_text: Some("771,4865,0,29,0".into()),
                ..client
            }),
            certificates: Box::new([
                Certificate {
                    serial: "01:02".into(),
                    ..first
                },
                Certificate::default(),
            ]),
            history: "CSX".into(),
            ..expected.clone()
        };
        assert_eq!(tls(&said), expected);
        let asked = Http {
            method: Some("GET".into()),
            host: Some("www.example".into()),
            ..Http::default()
        };
        let said = Http {
            server: Some("nginx".into()),
            reason: Some("OK".into()),
            ..asked.clone()
        };
        assert_eq!(Request::new(&said).http(), asked);
        let posted = Http {
            referrer: Some("http://www.example/".into()),
            request_type: Some("text/plain".into()),
            request_mime: Some("text/plain".into()),
            request_bytes: 5,
            ..asked
        };
        assert_eq!(Request::new(&posted).http(), posted);
    }
}
