//! SMTP (RFC 5321): envelopes, and who the mail's own head names. Nothing of a mail's body is kept.

use atalaya_model::protocol::Mail;
use atalaya_model::{Application, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Piece, Said};
use crate::lines::{Lines, after, reply};
use crate::text::text;

/// Most receivers of one mail that are kept.
const RECEIVERS: usize = 32;

/// Reads SMTP in one conversation.
#[derive(Default)]
pub(super) struct Reader {
    client: Lines,
    server: Lines,
    phase: Phase,
    began: Option<Time>,
    mail: Mail,
    /// A mail was told: what the session says by itself need not be.
    told: bool,
    wants_tls: bool,
    is_broken: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Commands,
    /// `DATA` was said; the mail's head comes, the field in hand is one of those that are kept.
    Head(Field),
    Body,
    /// The mail has ended; the server's answer decides.
    Ended,
    /// So many bytes of `BDAT`, and whether they are the last.
    Chunk(u64, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    From,
    To,
    Other,
}

impl Reader {
    /// A reader.
    pub(super) fn boxed(_: &Limits) -> Box<dyn Analyser> {
        Box::new(Self::default())
    }

    fn command(&mut self, line: &[u8], time: Time, out: &mut Vec<Said>) {
        let mail = &mut self.mail;
        if let Some(name) = [&b"EHLO "[..], b"HELO "]
            .iter()
            .find_map(|command| after(line, command).and(line.get(command.len()..)))
        {
            // To its last byte: a cut line ends as it was sent.
            mail.helo = Some(text(name.trim_ascii_start(), HELO));
        } else if let Some(path) = after(line, b"MAIL FROM:") {
            if mail.from.is_some() {
                self.tell(out);
            }
            self.began = Some(time);
            self.mail.from = Some(text(first_word(path), 320));
        } else if let Some(path) = after(line, b"RCPT TO:") {
            if mail.to.len() < RECEIVERS {
                push(&mut mail.to, text(first_word(path), 320));
            }
        } else if after(line, b"DATA") == Some(b"") {
            self.phase = Phase::Head(Field::Other);
        } else if let Some(size) = after(line, b"BDAT ") {
            let digits = size.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let bytes = crate::text::number(&size[..digits]).unwrap_or_default();
            let is_last = size[digits..].trim_ascii().eq_ignore_ascii_case(b"LAST");
            self.phase = Phase::Chunk(bytes, is_last);
            self.end_chunk();
        } else if after(line, b"STARTTLS") == Some(b"") {
            self.wants_tls = true;
        } else if after(line, b"RSET") == Some(b"") && mail.from.is_some() {
            self.tell(out);
        }
    }

    /// A line of the mail itself.
    fn data(&mut self, line: &[u8], field: Field) {
        if line == b"." {
            self.mail.complete = true;
            self.phase = Phase::Ended;
            return;
        }
        let mail = &mut self.mail;
        let field = if line.is_empty() {
            self.phase = Phase::Body;
            return;
        } else if let [b' ' | b'\t', ..] = line {
            match field {
                Field::To => addresses(&mut mail.head_to, line),
                Field::From if mail.head_from.as_deref() == Some("") => {
                    mail.head_from = Some(text(line.trim_ascii(), 255))
                }
                _ => {}
            }
            field
        } else if let Some(value) = after(line, b"From:") {
            if mail.head_from.is_none() {
                mail.head_from = Some(text(value, 255));
            }
            Field::From
        } else if let Some(value) = after(line, b"To:") {
            addresses(&mut mail.head_to, value);
            Field::To
        } else {
            Field::Other
        };
        self.phase = Phase::Head(field);
    }

    /// The server's answer; says whether TLS follows.
    fn answer(&mut self, line: &[u8], out: &mut Vec<Said>) -> bool {
        let Some((code, is_last, words)) = reply(line) else {
            return false;
        };
        if code == 220 && self.mail.greeting.is_none() && !self.wants_tls {
            self.mail.greeting = Some(text(words, 255));
        }
        self.mail.code = Some(code);
        if !is_last {
            return false;
        }
        match self.phase {
            Phase::Ended => {
                self.phase = Phase::Commands;
                self.tell(out);
            }
            Phase::Head(Field::Other) if code >= 400 => self.phase = Phase::Commands,
            _ => {}
        }
        let begins = std::mem::take(&mut self.wants_tls) && code == 220;
        if begins {
            self.mail.starttls = true;
            self.tell(out);
        }
        begins
    }

    fn end_chunk(&mut self) {
        if let Phase::Chunk(0, is_last) = self.phase {
            self.mail.complete |= is_last;
            self.phase = if is_last { Phase::Ended } else { Phase::Commands };
        }
    }

    /// Tells the mail, or, where there was none, the session.
    fn tell(&mut self, out: &mut Vec<Said>) {
        let Some(began) = self.began else { return };
        if self.told && self.mail.from.is_none() && !self.mail.starttls {
            return;
        }
        let next = Mail {
            helo: self.mail.helo.clone(),
            greeting: self.mail.greeting.clone(),
            ..Mail::default()
        };
        out.push((
            began,
            Message::Mail(Box::new(std::mem::replace(&mut self.mail, next))),
        ));
        self.told = true;
    }

    fn client(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) {
        let mut rest = piece.data;
        while !rest.is_empty() {
            if let Phase::Chunk(left, is_last) = self.phase {
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                rest = &rest[length..];
                self.phase = Phase::Chunk(left - length as u64, is_last);
                self.end_chunk();
                continue;
            }
            let Some(line) = self.client.next(&mut rest) else {
                return;
            };
            match self.phase {
                Phase::Head(field) => self.data(line.bytes(), field),
                Phase::Body if line.bytes() == b"." => {
                    self.mail.complete = true;
                    self.phase = Phase::Ended;
                }
                Phase::Body => {}
                Phase::Ended | Phase::Commands | Phase::Chunk(..) => {
                    self.command(line.bytes(), piece.time, out)
                }
            }
        }
    }
}

/// Bytes of the client's name for itself that are kept: a whole line, for who overflows buffers shows it here.
const HELO: usize = 4_096;

/// SMTP by the server's greeting or the client's first commands.
pub(super) fn recognise(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    let is_command = [&b"EHLO "[..], b"HELO ", b"MAIL FROM:"]
        .iter()
        .any(|command| after(data, command).is_some());
    // A client may leave before the server has greeted.
    let leaves = opening.destination_port == 25 && data.starts_with(b"QUIT\r\n");
    if is_command || leaves {
        return Guess::Yes;
    }
    if !data.starts_with(b"220") {
        return if b"220".starts_with(data) && !data.is_empty() {
            Guess::Maybe
        } else {
            Guess::No
        };
    }
    let line = data.split(|byte| *byte == b'\n').next().unwrap_or(data);
    let says = |word: &[u8]| {
        line.windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    let is_usual = [25, 465, 587, 2525].contains(&opening.source_port.min(opening.destination_port));
    if says(b"SMTP") || (is_usual && !says(b"FTP")) {
        Guess::Yes
    } else {
        Guess::Maybe
    }
}

fn push(list: &mut Box<[Box<str>]>, value: Box<str>) {
    let mut all = std::mem::take(list).into_vec();
    all.push(value);
    *list = all.into();
}

/// Addresses of a head's field, separated by commas that are in no quotes.
fn addresses(list: &mut Box<[Box<str>]>, value: &[u8]) {
    let mut is_quoted = false;
    for address in value.split(|byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    }) {
        let address = address.trim_ascii();
        if !address.is_empty() && list.len() < RECEIVERS {
            push(list, text(address, 255));
        }
    }
}

/// A path, without the parameters after it.
fn first_word(path: &[u8]) -> &[u8] {
    let end = match path.first() {
        Some(b'<') => path.iter().position(|byte| *byte == b'>').map(|at| at + 1),
        _ => path.iter().position(|byte| *byte == b' '),
    };
    &path[..end.unwrap_or(path.len())]
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        Application::Smtp
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.began.get_or_insert(piece.time);
        if self.is_broken {
            return Appetite::Enough;
        }
        if piece.side == Side::Source {
            self.client(piece, out);
            return Appetite::More;
        }
        let mut rest = piece.data;
        while let Some(line) = self.server.next(&mut rest) {
            if self.answer(line.bytes(), out) {
                return Appetite::Becomes {
                    application: Some(Application::Tls),
                    consumed: piece.data.len() - rest.len(),
                };
            }
        }
        Appetite::More
    }

    fn gap(&mut self, side: Side, bytes: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        match self.phase {
            _ if side == Side::Destination => return Appetite::More,
            Phase::Chunk(left, is_last) if bytes <= left => {
                self.phase = Phase::Chunk(left - bytes, is_last);
                self.end_chunk();
                return Appetite::More;
            }
            // The mail's end may be missing, too: lines go on behind the gap.
            Phase::Head(_) | Phase::Body => {
                self.phase = Phase::Body;
                self.client = Lines::default();
                return Appetite::More;
            }
            _ => {}
        }
        self.is_broken = true;
        self.tell(out);
        Appetite::Enough
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over && !self.is_broken {
            self.tell(out);
            self.is_broken = true;
        }
    }

    fn is_waiting(&self) -> bool {
        !self.is_broken && (!self.told || self.mail.from.is_some())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CLIENT: Side = Side::Source;
    const SERVER: Side = Side::Destination;

    fn said(pieces: &[(Side, &[u8])], size: usize) -> (Vec<Mail>, Appetite) {
        let mut reader = Reader::boxed(&Limits::default());
        let (mut out, mut appetite) = (Vec::new(), Appetite::More);
        for (side, data) in pieces {
            for data in data.chunks(size) {
                let piece = Piece {
                    time: Time(1),
                    side: *side,
                    data,
                    cut: 0,
                };
                appetite = reader.read(&piece, &mut out);
            }
        }
        reader.wait(Time(2), true, &mut out);
        let mails = out.into_iter().map(|(_, message)| match message {
            Message::Mail(mail) => *mail,
            other => panic!("{other:?}"),
        });
        (mails.collect(), appetite)
    }

    const SESSION: [(Side, &[u8]); 13] = [
        (SERVER, b"220 mx ESMTP ready\r\n"),
        (CLIENT, b"EHLO me\r\n"),
        (SERVER, b"250-mx\r\n250 STARTTLS\r\n"),
        (CLIENT, b"MAIL FROM:<a@b> SIZE=77\r\n"),
        (SERVER, b"250 ok\r\n"),
        (CLIENT, b"RCPT TO:<c@d>\r\nRCPT TO: <e@f>\r\n"),
        (SERVER, b"250 ok\r\n250 ok\r\n"),
        (CLIENT, b"DATA\r\n"),
        (SERVER, b"354 go on\r\n"),
        (CLIENT, b"Subject: x\r\nFrom: A <a@b>\r\nTo: \"C, D\" <c@d>,\r\n e@f\r\n\r\nMAIL FROM:<no>\r\n..\r\n.\r\n"),
        (SERVER, b"250 queued\r\n"),
        (CLIENT, b"QUIT\r\n"),
        (SERVER, b"221 bye\r\n"),
    ];

    #[test]
    fn a_mail() {
        let expected = Mail {
            helo: Some("me".into()),
            from: Some("<a@b>".into()),
            to: Box::new(["<c@d>".into(), "<e@f>".into()]),
            code: Some(250),
            greeting: Some("mx ESMTP ready".into()),
            starttls: false,
            head_from: Some("A <a@b>".into()),
            head_to: Box::new(["\"C, D\" <c@d>".into(), "e@f".into()]),
            complete: true,
        };
        for size in [usize::MAX, 1, 13] {
            assert_eq!(said(&SESSION, size).0, std::slice::from_ref(&expected), "{size}");
        }
    }

    #[test]
    fn refusals_and_tls() {
        let refused: [(Side, &[u8]); 5] = [
            (SERVER, b"220 x\r\n"),
            (CLIENT, b"MAIL FROM:<a@b>\r\nDATA\r\n"),
            (SERVER, b"250 ok\r\n503 no\r\n"),
            (CLIENT, b"MAIL FROM:<c@d>\r\n"),
            (SERVER, b"550 no\r\n"),
        ];
        let (mails, _) = said(&refused, usize::MAX);
        let codes: Vec<_> = mails
            .iter()
            .map(|mail| (mail.from.as_deref(), mail.code))
            .collect();
        assert_eq!(codes, [(Some("<a@b>"), Some(503)), (Some("<c@d>"), Some(550))]);
        let tls: [(Side, &[u8]); 3] = [
            (SERVER, b"220 x\r\n"),
            (CLIENT, b"STARTTLS\r\n"),
            (SERVER, b"220 go\r\n"),
        ];
        let (mails, appetite) = said(&tls, usize::MAX);
        assert!(mails.len() == 1 && mails[0].starttls);
        let becomes = Appetite::Becomes {
            application: Some(Application::Tls),
            consumed: 8,
        };
        assert_eq!(appetite, becomes);
    }

    proptest! {
        #[test]
        fn anything_is_read(
            pieces in proptest::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..10),
            at in 0..SESSION.len(),
            place in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let mut session: Vec<(Side, Vec<u8>)> = SESSION.iter().map(|(side, data)| (*side, data.to_vec())).collect();
            let place = place.index(session[at].1.len());
            session[at].1[place] = byte;
            session.extend(pieces.into_iter().map(|(client, data)| (if client { CLIENT } else { SERVER }, data)));
            let session: Vec<(Side, &[u8])> = session.iter().map(|(side, data)| (*side, &data[..])).collect();
            let whole = said(&session, usize::MAX).0;
            prop_assert!(!whole.is_empty());
        }
    }
}
