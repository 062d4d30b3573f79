//! Questions and answers of one conversation, joined by their id.

use std::collections::VecDeque;

use atalaya_model::protocol::Message;
use atalaya_model::protocol::dns::{Dns, Question, Response, Sections};
use atalaya_model::{Span, Time};

use super::Kin;
use super::message::{self, Body, Header};
use crate::analyser::{Over, Said};

/// How long an answer is waited for.
const PATIENCE: Span = Span(10_000_000);
/// Questions of one conversation that wait for an answer; where there are more, the oldest is told without.
const MOST_PENDING: usize = 64;
/// Types of the questions for a whole zone, and for its changes.
const TRANSFERS: std::ops::RangeInclusive<u16> = 251..=252;
/// The type with which a transfer begins and ends.
const SOA: u16 = 6;

/// Joins questions and answers.
pub(super) struct Pairs {
    kin: Kin,
    over: Over,
    /// The oldest question; beside the others, for nearly every conversation has one at a time.
    first: Option<Box<Dns>>,
    more: VecDeque<Box<Dns>>,
    /// A zone transfer that was told: what still comes of it is left out.
    transferred: Option<u16>,
}

impl Pairs {
    pub(super) const fn new(kin: Kin, over: Over) -> Self {
        Self {
            kin,
            over,
            first: None,
            more: VecDeque::new(),
            transferred: None,
        }
    }

    pub(super) const fn kin(&self) -> Kin {
        self.kin
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.first.is_some()
    }

    /// Reads a message of which `cut` bytes more were not captured; false where it is none.
    pub(super) fn read(&mut self, message: &[u8], cut: usize, time: Time, out: &mut Vec<Said>) -> bool {
        let Some((header, body)) = message::read(self.kin, message, cut) else {
            return false;
        };
        if header.is_response() {
            self.answer(header, body, time, out);
        } else {
            self.ask(header, body, time, out);
        }
        true
    }

    fn ask(&mut self, header: Header, body: Body, time: Time, out: &mut Vec<Said>) {
        let question = Box::new(asked(header, body, time));
        if self.kin.asks_everybody() && self.over == Over::Datagrams {
            // The answers come in conversations of their own.
            tell(question, out);
            return;
        }
        if self.first.is_none() {
            self.first = Some(question);
            return;
        }
        if self.more.len() + 1 >= MOST_PENDING
            && let Some(oldest) = self.take_first()
        {
            tell(oldest, out);
        }
        self.more.push_back(question);
    }

    fn answer(&mut self, header: Header, body: Body, time: Time, out: &mut Vec<Said>) {
        let (last, count) = (body.last, body.count);
        let Some(mut dns) = self.take(header.id, &body.questions) else {
            if self.transferred != Some(header.id) {
                tell(Box::new(unasked(header, body, time)), out);
            }
            return;
        };
        let is_transfer = self.over == Over::Stream && dns.questions.first().is_some_and(asks_for_zone);
        let before = dns.response.as_ref().map_or(0, known);
        match &mut dns.response {
            Some(response) => add(response, body.sections),
            None => {
                if dns.questions.is_empty() {
                    dns.questions = body.questions;
                }
                dns.response = Some(response(header, body.code, body.sections, time));
            }
        }
        let code = dns.response.as_ref().map_or(0, |response| response.code);
        // A transfer goes over many messages, until the record comes with which it began.
        let is_whole = code != 0 || count == 0 || (last == SOA && before + usize::from(count) > 1);
        if is_transfer && !is_whole {
            self.put_back(dns);
            return;
        }
        if is_transfer {
            self.transferred = Some(header.id);
        }
        tell(dns, out);
    }

    /// The oldest question of that id, best the same one.
    fn take(&mut self, id: u16, questions: &[Question]) -> Option<Box<Dns>> {
        let first = self.first.as_ref()?;
        let is_same = |dns: &Dns| match (questions.first(), dns.questions.first()) {
            (Some(one), Some(other)) => one.kind == other.kind && one.name == other.name,
            _ => true,
        };
        if first.id == id && (self.more.is_empty() || is_same(first)) {
            return self.take_first();
        }
        let of_id = |dns: &Dns| dns.id == id;
        let same = self.more.iter().position(|dns| of_id(dns) && is_same(dns));
        if same.is_none() && first.id == id {
            return self.take_first();
        }
        let place = same.or_else(|| self.more.iter().position(|dns| of_id(dns)))?;
        self.more.remove(place)
    }

    fn take_first(&mut self) -> Option<Box<Dns>> {
        std::mem::replace(&mut self.first, self.more.pop_front())
    }

    fn put_back(&mut self, dns: Box<Dns>) {
        if let Some(first) = self.first.replace(dns) {
            self.more.push_front(first);
        }
    }

    /// Tells what has waited long enough, or everything.
    pub(super) fn wait(&mut self, now: Time, over: bool, out: &mut Vec<Said>) {
        while let Some(first) = &self.first {
            let began = first
                .response
                .as_ref()
                .map(|response| response.time)
                .or(first.asked);
            if !over && began.is_some_and(|began| now.since(began) < PATIENCE) {
                return;
            }
            if let Some(first) = self.take_first() {
                tell(first, out);
            }
        }
    }
}

fn asks_for_zone(question: &Question) -> bool {
    TRANSFERS.contains(&question.kind)
}

/// A question alone.
fn asked(header: Header, body: Body, time: Time) -> Dns {
    let sections = body.sections;
    let is_plain = sections.answers.is_empty()
        && sections.authorities.is_empty()
        && sections.additionals.is_empty()
        && sections.left_out == 0;
    Dns {
        id: header.id,
        opcode: header.opcode(),
        asked: Some(time),
        flags: header.flags,
        questions: body.questions,
        sent: (!is_plain).then(|| Box::new(sections)),
        response: None,
    }
}

/// An answer alone.
fn unasked(header: Header, body: Body, time: Time) -> Dns {
    Dns {
        id: header.id,
        opcode: header.opcode(),
        asked: None,
        flags: 0,
        questions: body.questions,
        sent: None,
        response: Some(response(header, body.code, body.sections, time)),
    }
}

/// What one message alone says, such as the body of a DNS-over-HTTPS request; `None` where it is no message.
pub(super) fn alone(message: &[u8], time: Time) -> Option<Dns> {
    let (header, body) = message::read(Kin::Dns, message, 0)?;
    let make = if header.is_response() { unasked } else { asked };
    Some(make(header, body, time))
}

fn response(header: Header, code: u16, sections: Sections, time: Time) -> Response {
    Response {
        time,
        flags: header.flags,
        code,
        answers: sections.answers,
        authorities: sections.authorities,
        additionals: sections.additionals,
        left_out: sections.left_out,
    }
}

fn known(response: &Response) -> usize {
    response.answers.len() + usize::from(response.left_out)
}

/// A further message of a transfer: its records are counted, and kept while there is room.
fn add(response: &mut Response, sections: Sections) {
    let room = message::MOST_ANSWERS.saturating_sub(response.answers.len());
    let beyond = sections.answers.len().saturating_sub(room);
    if room > 0 {
        let mut answers = std::mem::take(&mut response.answers).into_vec();
        answers.extend(sections.answers.into_iter().take(room));
        response.answers = answers.into_boxed_slice();
    }
    let beyond = u16::try_from(beyond).unwrap_or(u16::MAX);
    response.left_out = response
        .left_out
        .saturating_add(sections.left_out)
        .saturating_add(beyond);
}

fn tell(dns: Box<Dns>, out: &mut Vec<Said>) {
    let time = dns.asked.or(dns.response.as_ref().map(|response| response.time));
    out.push((time.unwrap_or_default(), Message::Dns(dns)));
}
