//! Protocols that begin with a line or a greeting.

mod lines;
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
];
