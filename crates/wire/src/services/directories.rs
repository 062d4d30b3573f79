//! LDAP (RFC 4511), also over datagrams, and Kerberos (RFC 4120): who asks for what in a directory.

mod kerberos;
mod ldap;

use atalaya_model::Application;

use crate::analyser::{Guess, Over, Speaker};

const BOTH: &[Over] = &[Over::Stream, Over::Datagrams];

pub(crate) static SPEAKERS: [Speaker; 2] = [
    Speaker {
        application: Application::Kerberos,
        over: BOTH,
        ports: &[88, 464],
        recognise: |opening| guess(kerberos::is_kerberos(opening)),
        analyser: Some(|_| Box::<kerberos::Kerberos>::default()),
    },
    Speaker {
        application: Application::Ldap,
        over: BOTH,
        ports: &[389, 3268],
        recognise: |opening| guess(ldap::is_ldap(opening)),
        analyser: Some(|_| Box::new(ldap::Ldap::new())),
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}
