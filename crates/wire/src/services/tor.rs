//! Tor inside TLS, by what its handshake shows: relays make up a certificate, clients make up a server name.
//!
//! The rule is careful. A certificate tells where it is seen: one alone, whose subject and issuer are nothing but names
//! `www.<letters>.com` or `.net`, different from each other, with 8 to 20 letters of base 32 (tor-spec, 2.1). Where no
//! certificate is seen (TLS 1.3), the client must have offered no application protocol and called such a name with
//! two digits that letters part: nobody has such a name by chance.

use atalaya_model::Application;
use atalaya_model::protocol::{Other, Tls};

/// What says that it is Tor: `sign` (`certificate`, `server_name`) and the names.
pub(crate) fn notice(tls: &Tls) -> Option<Other> {
    let mut other = Other::new(Application::Tor);
    let mut note = |name: &str, value: &str| other.attributes.push((name.into(), value.into()));
    match &*tls.certificates {
        [] => {
            let client = tls.client.as_ref()?;
            let name = client.server_name.as_deref()?;
            let is_made_up = made_up(name, &[".com"]).is_some_and(is_random);
            (client.protocols.is_empty() && is_made_up && tls.server.is_some()).then_some(())?;
            note("sign", "server_name");
            note("server_name", name);
        }
        [certificate] => {
            let subject = certificate.subject.strip_prefix("CN=")?;
            let issuer = certificate.issuer.strip_prefix("CN=")?;
            made_up(subject, &[".com", ".net"])?;
            made_up(issuer, &[".com", ".net"])?;
            (subject != issuer).then_some(())?;
            note("sign", "certificate");
            note("subject", subject);
            note("issuer", issuer);
        }
        _ => return None,
    }
    Some(other)
}

/// What stands between `www.` and the end, where it is so many letters of base 32.
fn made_up<'a>(name: &'a str, ends: &[&str]) -> Option<&'a str> {
    let name = name.strip_prefix("www.")?;
    let label = ends.iter().find_map(|end| name.strip_suffix(end))?;
    let is_base32 = label
        .bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    ((8..=20).contains(&label.len()) && is_base32).then_some(label)
}

/// Two digits with letters between them, and no long run of letters that could be a word.
fn is_random(label: &str) -> bool {
    let runs: Vec<_> = label.split(|letter: char| letter.is_ascii_digit()).collect();
    let between = runs.get(1..runs.len() - 1).unwrap_or_default();
    between.iter().any(|run| !run.is_empty()) && runs.iter().all(|run| run.len() <= 8)
}

#[cfg(test)]
mod tests {
    use atalaya_model::protocol::tls::{Certificate, ClientHello, ServerHello};

    use super::*;

    fn shown(subject: &str, issuer: &str) -> Option<Other> {
        notice(&Tls {
            certificates: [Certificate {
                subject: subject.into(),
                issuer: issuer.into(),
                ..Certificate::default()
            }]
            .into(),
            ..Tls::default()
        })
    }

    fn called(name: &str, protocol: Option<&str>) -> Option<Other> {
        notice(&Tls {
            client: Some(ClientHello {
                server_name: Some(name.into()),
                protocols: protocol.into_iter().map(Into::into).collect(),
                ..ClientHello::default()
            }),
            server: Some(ServerHello::default()),
            ..Tls::default()
        })
    }

    #[test]
    fn a_relay_is_known_by_its_certificate() {
        let found = shown("CN=www.4l3i4bzdk2k.net", "CN=www.gfu7hbxpfp.com").unwrap();
        assert_eq!(found.get("sign"), Some("certificate"));
        assert_eq!(found.get("subject"), Some("www.4l3i4bzdk2k.net"));
        assert_eq!(
            shown("CN=www.wikipedia.com", "CN=www.wikipedia.com"),
            None,
            "self-signed"
        );
        assert_eq!(shown("CN=www.example.com", "CN=Example CA, O=Example"), None);
        assert_eq!(
            shown("C=US, CN=www.4l3i4bzdk2k.net", "CN=www.gfu7hbxpfp.com"),
            None
        );
    }

    #[test]
    fn a_client_is_known_by_the_name_it_made_up() {
        assert_eq!(called("www.q4cyamnc6mtokjurvdclt.com", None), None, "too long");
        assert!(called("www.gfu7hbx3fp.com", None).is_some());
        assert_eq!(called("www.gfu7hbx3fp.com", Some("h2")), None);
        assert_eq!(called("www.wikipedia.com", None), None);
        assert_eq!(called("www.route66shop.com", None), None);
    }
}
