//! HTTP/1 and HTTP/2, and what looks like it.

mod body;
mod exchange;
mod head;
pub(crate) mod kept;
mod mime;
mod names;
mod one;
mod recognise;
mod signalling;
mod two;

use atalaya_model::Application;

use crate::analyser::{Over, Speaker};

/// The protocols of this folder.
pub static SPEAKERS: &[Speaker] = &[
    Speaker {
        application: Application::Http,
        over: &[Over::Stream],
        ports: &[
            80, 8080, 8000, 8008, 8081, 8888, 3128, 5000, 9090, 8082, 8088, 81, 591, 2869, 5985, 7001, 8090,
        ],
        recognise: recognise::http,
        analyser: Some(one::One::boxed),
    },
    Speaker {
        application: Application::Http2,
        over: &[Over::Stream],
        ports: &[50051],
        recognise: recognise::http2,
        analyser: Some(two::Two::boxed),
    },
    Speaker {
        application: Application::Sip,
        over: &[Over::Datagrams],
        ports: &[5060],
        recognise: signalling::is_sip,
        analyser: Some(signalling::Reader::sip),
    },
    Speaker {
        application: Application::Sip,
        over: &[Over::Stream],
        ports: &[5060],
        recognise: signalling::is_sip,
        analyser: Some(signalling::Reader::sip_stream),
    },
    Speaker {
        application: Application::Rtsp,
        over: &[Over::Stream],
        ports: &[554, 8554],
        recognise: signalling::is_rtsp,
        analyser: Some(signalling::Reader::rtsp),
    },
    Speaker {
        application: Application::Ssdp,
        over: &[Over::Datagrams],
        ports: &[1900],
        recognise: signalling::is_ssdp,
        analyser: Some(signalling::Reader::ssdp),
    },
];
