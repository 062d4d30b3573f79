//! Protocols that begin with a line or a greeting.

mod session;
mod smtp;
mod ssh;

use atalaya_model::Application;

use crate::analyser::{Over, Speaker};

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[
    Speaker {
        application: Application::Ssh,
        over: &[Over::Stream],
        ports: &[22, 2222],
        recognise: ssh::recognise,
        analyser: Some(ssh::Reader::boxed),
    },
    Speaker {
        application: Application::Smtp,
        over: &[Over::Stream],
        ports: &[25, 587, 2525],
        recognise: smtp::recognise,
        analyser: Some(smtp::Reader::boxed),
    },
    Speaker {
        application: Application::Ftp,
        over: &[Over::Stream],
        ports: &[21],
        recognise: session::is_ftp,
        analyser: Some(session::Reader::ftp),
    },
    Speaker {
        application: Application::Imap,
        over: &[Over::Stream],
        ports: &[143],
        recognise: session::is_imap,
        analyser: Some(session::Reader::imap),
    },
    Speaker {
        application: Application::Pop3,
        over: &[Over::Stream],
        ports: &[110],
        recognise: session::is_pop3,
        analyser: Some(session::Reader::pop3),
    },
];
