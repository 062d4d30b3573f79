//! The control socket: how other commands reach a running watcher.
//!
//! Each client has a thread of its own, at most [`MAX_CLIENTS`]. It reads one request after another, and hands them to
//! the engine's thread as [`Command`]s; only configurations are read here, so that the engine never waits for a file.

pub mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use atalaya_host::control::{ControlListener, ControlStream, Peer};
use atalaya_host::linux::users::Users;
use atalaya_host::{HostError, clock};
use atalaya_model::live::{MAX_MESSAGE, Request, Response, VERSION};
use atalaya_model::{AlertRecord, Event, Fact, Ledger, Span, Stage, Text};
use atalaya_store::Reader;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use serde::{Deserialize, Serialize};

use crate::config::load::{self, Loaded};
use crate::exit::Failure;
use crate::watch::reload::Sources;

/// Clients at a time; one more is refused.
pub const MAX_CLIENTS: usize = 16;
/// Events and alerts that wait for one subscriber; more are dropped and counted.
const SUBSCRIBER_QUEUE: usize = 4_096;
/// How long a client may take to send a request, once begun, or to read an answer.
const PATIENCE: Span = Span::from_seconds(10);
/// How long an idle client is kept.
const IDLE: Span = Span::from_seconds(300);
/// How long the socket's thread sleeps at most.
const IDLE_ACCEPT: Span = Span::from_seconds(1);
/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// What a message looks like on the socket: JSON with the version of the protocol.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) version: u16,
    pub(crate) body: T,
}

/// Something that the engine's thread must do.
pub enum Command {
    /// Answer a question, or do what was asked, in the name of a user.
    Ask(Request, Text, Sender<Response>),
    /// Send events and alerts from now on.
    Subscribe(Subscriber),
    /// Put this configuration in place.
    Reconfigure(Box<Loaded>, Sender<Response>),
}

/// A client that wants to be told.
pub struct Subscriber {
    kinds: Vec<Text>,
    filter: atalaya_model::filter::Expression,
    queue: Sender<Response>,
    ledger: Ledger,
}

impl Subscriber {
    /// Tells of an event, if it was asked for. False when the client is gone.
    pub fn event(&self, event: &Event) -> bool {
        let wanted = self.wants(event.fact.kind()) && !matches!(event.fact, Fact::Tick { .. });
        let record = atalaya_format::ecs::judged(event);
        if !wanted || record.is_some_and(|record| !self.filter.matches(&record)) {
            return true;
        }
        self.send(Response::Event(Box::new(event.clone())))
    }

    /// Tells of an alert, if it was asked for. False when the client is gone.
    pub fn alert(&self, record: &AlertRecord) -> bool {
        if !self.wants("alert")
            || record
                .raised()
                .is_some_and(|record| !self.filter.matches(&record))
        {
            return true;
        }
        self.send(Response::Alert(Box::new(record.clone())))
    }

    fn wants(&self, kind: &str) -> bool {
        self.kinds
            .iter()
            .any(|wanted| &**wanted == kind || &**wanted == "all")
    }

    fn send(&self, response: Response) -> bool {
        self.ledger.received(Stage::Subscriber, 1);
        match self.queue.try_send(response) {
            Ok(()) => self.ledger.passed(Stage::Subscriber, 1),
            Err(TrySendError::Full(_)) => self.ledger.dropped(Stage::Subscriber, 1),
            Err(TrySendError::Disconnected(_)) => return false,
        }
        true
    }
}

/// What clients' threads need to know.
pub struct Surroundings {
    /// Where commands go.
    pub commands: Sender<Command>,
    /// The configuration file to read again.
    pub config: Option<PathBuf>,
    /// Where it usually is.
    pub usual_config: PathBuf,
    /// The store, to see whether an alert exists.
    pub store: Option<PathBuf>,
    /// Where losses are counted.
    pub ledger: Ledger,
    /// What the configuration was read from.
    pub sources: Sources,
}

/// A socket that is served. Ends when it is dropped, and takes its file away.
pub struct Served {
    path: PathBuf,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread; if nobody can connect, it wakes by itself before long.
        drop(atalaya_host::control::connect(&self.path));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Opens the socket and serves it from a thread of its own.
///
/// # Errors
/// When the socket cannot be made, or another watcher answers on it.
pub fn serve(path: &Path, surroundings: Arc<Surroundings>) -> Result<Served, HostError> {
    let listener = ControlListener::bind(path)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let accept = move || {
        let clients = Arc::new(AtomicUsize::new(0));
        while !stopped.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok(Some(stream)) => welcome(stream, &clients, &surroundings),
                Ok(None) => listener.wait(IDLE_ACCEPT),
                Err(error) => {
                    tracing::warn!(%error, "the control socket does not accept");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    };
    let thread = std::thread::Builder::new().name("control".into()).spawn(accept);
    let thread = thread.map_err(HostError::system("start the thread of the control socket"))?;
    Ok(Served {
        path: path.to_path_buf(),
        stop,
        thread: Some(thread),
    })
}

/// Gives a client a thread, if there is room.
fn welcome(mut stream: ControlStream, clients: &Arc<AtomicUsize>, surroundings: &Arc<Surroundings>) {
    if clients.fetch_add(1, Ordering::Relaxed) >= MAX_CLIENTS {
        clients.fetch_sub(1, Ordering::Relaxed);
        // Nothing more can be done for a client that does not even read this.
        drop(answer(
            &mut stream,
            Response::Refused("too many clients; try again later".into()),
        ));
        return;
    }
    let (mine, count) = (Arc::clone(surroundings), Arc::clone(clients));
    let client = move || {
        if let Err(error) = talk(&mut stream, &mine) {
            tracing::debug!(%error, "a control client was let go");
        }
        count.fetch_sub(1, Ordering::Relaxed);
    };
    if let Err(error) = std::thread::Builder::new()
        .name("control-client".into())
        .spawn(client)
    {
        clients.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(%error, "no thread for a control client");
    }
}

fn talk(stream: &mut ControlStream, surroundings: &Surroundings) -> std::io::Result<()> {
    while let Some(bytes) = stream.read_frame(MAX_MESSAGE, IDLE)? {
        let request = match serde_json::from_slice::<Envelope<Request>>(&bytes) {
            Ok(envelope) if envelope.version == VERSION => envelope.body,
            Ok(envelope) => {
                let text = format!(
                    "this watcher speaks version {VERSION}, you speak {}",
                    envelope.version
                );
                return answer(stream, Response::Refused(text.into()));
            }
            Err(error) => {
                answer(
                    stream,
                    Response::Refused(format!("not a request: {error}").into()),
                )?;
                continue;
            }
        };
        if let Request::Subscribe { kinds, filter } = request {
            return subscribe(stream, kinds, &filter, surroundings);
        }
        let response = serve_one(request, stream.peer(), surroundings);
        answer(stream, response)?;
    }
    Ok(())
}

fn serve_one(request: Request, peer: Peer, surroundings: &Surroundings) -> Response {
    let (sender, receiver) = bounded(1);
    let command = match request {
        Request::Reload => return reload(surroundings),
        Request::Triage(ref triage) => {
            if let Some(refusal) = cannot_triage(triage.alert, surroundings) {
                return refusal;
            }
            Command::Ask(request, user_name(peer), sender)
        }
        request => Command::Ask(request, user_name(peer), sender),
    };
    hand_over(command, &receiver, surroundings)
}

/// Who asks, for the record.
fn user_name(peer: Peer) -> Text {
    let name = Users::default().name(peer.user_id);
    name.unwrap_or_else(|| format!("uid {}", peer.user_id).into())
}

fn hand_over(command: Command, receiver: &Receiver<Response>, surroundings: &Surroundings) -> Response {
    if surroundings.commands.send_timeout(command, ANSWER).is_err() {
        return Response::Refused("the watcher is busy, or ending".into());
    }
    receiver
        .recv_timeout(ANSWER)
        .unwrap_or_else(|_| Response::Refused("the watcher does not answer".into()))
}

/// Reads the configuration again and hands it to the engine; with any problem the old one stays.
pub fn reload(surroundings: &Surroundings) -> Response {
    let before = surroundings.sources.now();
    let loaded = load::load(
        surroundings.config.as_deref(),
        &surroundings.usual_config,
        clock::now(),
    )
    .and_then(Loaded::open_atlas);
    match loaded {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            surroundings.sources.set(&loaded, before);
            let (sender, receiver) = bounded(1);
            hand_over(
                Command::Reconfigure(Box::new(loaded), sender),
                &receiver,
                surroundings,
            )
        }
        Err(problems) => {
            surroundings.sources.tried(before);
            let text = Failure::Problems(problems).to_string();
            tracing::error!("the configuration was not taken, the old one stays:\n{text}");
            Response::Refused(format!("the old configuration stays:\n{text}").into())
        }
    }
}

/// Why an alert cannot be triaged, if it cannot.
fn cannot_triage(alert: u64, surroundings: &Surroundings) -> Option<Response> {
    let Some(store) = &surroundings.store else {
        return Some(Response::Refused(
            "this watcher keeps no store, so nothing can be noted".into(),
        ));
    };
    match Reader::open(store).and_then(|reader| reader.alert(alert)) {
        Ok(Some(_)) => None,
        Ok(None) => Some(Response::Refused(
            format!("there is no alert {alert}; `atalaya alerts list` shows their ids").into(),
        )),
        Err(error) => Some(Response::Refused(error.to_string().into())),
    }
}

fn subscribe(
    stream: &mut ControlStream,
    kinds: Vec<Text>,
    filter: &str,
    surroundings: &Surroundings,
) -> std::io::Result<()> {
    let filter = match atalaya_model::filter::parse(filter) {
        Ok(filter) => filter,
        Err(error) => return answer(stream, Response::Refused(error.to_string().into())),
    };
    let (queue, responses) = bounded(SUBSCRIBER_QUEUE);
    let subscriber = Subscriber {
        kinds,
        filter,
        queue,
        ledger: surroundings.ledger.clone(),
    };
    if surroundings
        .commands
        .send_timeout(Command::Subscribe(subscriber), ANSWER)
        .is_err()
    {
        return answer(stream, Response::Refused("the watcher is busy, or ending".into()));
    }
    answer(stream, Response::Done("subscribed".into()))?;
    loop {
        match responses.recv_timeout(ANSWER) {
            Ok(response) => answer(stream, response)?,
            // A subscriber that has gone away is found out by writing to it.
            Err(RecvTimeoutError::Timeout) => answer(stream, Response::Done("nothing new".into()))?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

fn answer(stream: &mut ControlStream, response: Response) -> std::io::Result<()> {
    let bytes = serde_json::to_vec(&Envelope {
        version: VERSION,
        body: &response,
    })?;
    if bytes.len() > MAX_MESSAGE {
        let refusal = Response::Refused("the answer is too long; ask for fewer rows".into());
        return stream.write_frame(
            &serde_json::to_vec(&Envelope {
                version: VERSION,
                body: refusal,
            })?,
            PATIENCE,
        );
    }
    stream.write_frame(&bytes, PATIENCE)
}
