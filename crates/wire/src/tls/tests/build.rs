//! Builds hellos, and handshakes of rustls.

use std::sync::Arc;

use atalaya_model::Side;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};

pub(super) fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}

/// The body of a ClientHello with these ciphers and extensions; DTLS has a cookie.
pub(super) fn hello(
    version: u16,
    ciphers: &[u16],
    extensions: &[(u16, Vec<u8>)],
    datagrams: bool,
) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([9; 32]);
    body.push(0);
    if datagrams {
        body.push(0);
    }
    let ciphers: Vec<u8> = ciphers.iter().flat_map(|cipher| cipher.to_be_bytes()).collect();
    body.extend(with_length(&ciphers));
    body.extend([1, 0]);
    let extensions: Vec<u8> = extensions
        .iter()
        .flat_map(|(kind, data)| [&kind.to_be_bytes()[..], &with_length(data)].concat())
        .collect();
    body.extend(with_length(&extensions));
    body
}

pub(super) fn server_name(name: &str) -> (u16, Vec<u8>) {
    let name = [&[0][..], &with_length(name.as_bytes())].concat();
    (0, with_length(&name))
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}

pub(super) fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &with_length(content)].concat()
}

/// Trusts everybody: there is nothing to protect in a test.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::ED25519]
    }
}

/// A certificate signed by itself, and its key.
pub(super) fn certificate() -> (CertificateDer<'static>, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    parameters
        .subject_alt_names
        .push(SanType::IpAddress("192.0.2.7".parse().unwrap()));
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, "ES");
    name.push(DnType::OrganizationName, "Example, S.L.");
    name.push(DnType::CommonName, "a.example");
    parameters.distinguished_name = name;
    parameters.serial_number = Some(vec![0x0a, 0xbc].into());
    parameters.not_before = rcgen::date_time_ymd(2024, 2, 29);
    parameters.not_after = rcgen::date_time_ymd(2051, 1, 1);
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.der().clone(), key)
}

fn configurations(
    version: &'static SupportedProtocolVersion,
) -> (ClientConfig, ServerConfig, CertificateDer<'static>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    let (certificate, key) = certificate();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    client.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    (client, server, certificate)
}

/// What both sides say in a whole handshake, with a little data after it; and the server's certificate.
pub(super) fn exchange(version: &'static SupportedProtocolVersion) -> (Vec<(Side, Vec<u8>)>, Vec<u8>) {
    let (client, server, certificate) = configurations(version);
    let name = ServerName::try_from("A.Example").unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    let mut said = Vec::new();
    for round in 0..6 {
        if round == 3 {
            std::io::Write::write_all(&mut client.writer(), b"GET / HTTP/1.1\r\n").unwrap();
        }
        let mut data = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut data).unwrap();
        }
        server.read_tls(&mut &data[..]).unwrap();
        server.process_new_packets().unwrap();
        said.push((Side::Source, data));
        let mut data = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut data).unwrap();
        }
        client.read_tls(&mut &data[..]).unwrap();
        client.process_new_packets().unwrap();
        said.push((Side::Destination, data));
    }
    said.retain(|(_, data)| !data.is_empty());
    (said, certificate.to_vec())
}

/// The handshake messages of a QUIC client's and server's first flights.
pub(super) fn quic_flights() -> (Vec<u8>, Vec<u8>) {
    let (client, server, _) = configurations(&rustls::version::TLS13);
    let version = rustls::quic::Version::V1;
    let name = ServerName::try_from("q.example").unwrap();
    let mut client =
        rustls::quic::ClientConnection::new(Arc::new(client), version, name, vec![1, 2]).unwrap();
    let mut server = rustls::quic::ServerConnection::new(Arc::new(server), version, vec![3, 4]).unwrap();
    let (mut hello, mut answer) = (Vec::new(), Vec::new());
    client.write_hs(&mut hello);
    server.read_hs(&hello).unwrap();
    server.write_hs(&mut answer);
    (hello, answer)
}

/// An Initial packet of QUIC with these frames, made with the keys of rustls.
pub(super) fn initial(
    (version, number): (rustls::quic::Version, u32),
    side: rustls::Side,
    [keys_of, destination, source]: [&[u8]; 3],
    packet_number: u64,
    frames: &[u8],
) -> Vec<u8> {
    let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let suite = suite.tls13().unwrap().quic_suite().unwrap();
    let keys = suite.keys(keys_of, side, version);
    let kind = if number == 0x6b33_43cf { 0xd0 } else { 0xc0 };
    let mut head = vec![kind | 1];
    head.extend(number.to_be_bytes());
    for id in [destination, source] {
        head.push(u8::try_from(id.len()).unwrap());
        head.extend(id);
    }
    head.push(0); // no token
    let length = u16::try_from(frames.len() + 2 + 16).unwrap() | 0x4000;
    head.extend(length.to_be_bytes());
    let number_at = head.len();
    head.extend(u16::try_from(packet_number).unwrap().to_be_bytes());
    let mut payload = frames.to_vec();
    let tag = keys
        .local
        .packet
        .encrypt_in_place(packet_number, &head, &mut payload)
        .unwrap();
    payload.extend(tag.as_ref());
    let mut packet = [head, payload].concat();
    let (front, sample) = packet.split_at_mut(number_at + 4);
    let (first, rest) = front.split_first_mut().unwrap();
    let protected = &mut rest[number_at - 1..number_at + 1];
    keys.local
        .header
        .encrypt_in_place(&sample[..16], first, protected)
        .unwrap();
    packet
}

/// A CRYPTO frame.
pub(super) fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let number = |value: usize| (u16::try_from(value).unwrap() | 0x4000).to_be_bytes();
    [&[6][..], &number(offset), &number(data.len()), data].concat()
}
