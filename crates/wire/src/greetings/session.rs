//! FTP (RFC 959, 2428), IMAP (RFC 9051) and POP3 (RFC 1939): who logs in, what FTP fetches and stores, and where it will
//! do so. Passwords are not even looked at.
//!
//! Attributes: `greeting`, `user`, `mechanism`, `login` (`accepted`, `refused`), `starttls`; of FTP, one fact each:
//! `command`, `path`, `code`, and of the commands that announce a connection for data `data_address` and `data_port`.

mod data;

use atalaya_model::protocol::Other;
use atalaya_model::{Application, Message, Side, Time};

use crate::analyser::{Analyser, Appetite, Guess, Limits, Opening, Piece, Said};
use crate::http::kept::without_userinfo;
use crate::lines::{Lines, after, reply};
use crate::text::text;

/// Longest name of a user, in bytes.
const NAME: usize = 255;
/// FTP's commands that name a file or folder and are told.
const FILES: [&[u8]; 6] = [b"RETR ", b"STOR ", b"APPE ", b"DELE ", b"MKD ", b"RMD "];

/// Reads one of the three in one conversation.
pub(super) struct Reader {
    application: Application,
    client: Lines,
    server: Lines,
    began: Option<Time>,
    other: Other,
    /// The server's first line was read.
    is_greeted: bool,
    awaits: Awaits,
    /// FTP's command about a file or a connection for data whose answer has not come.
    file: Option<(Time, Other)>,
    /// Nothing more is read.
    is_over: bool,
}

/// Which answer decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Awaits {
    #[default]
    Nothing,
    /// To a password; IMAP's answers begin with the tag.
    Login(Box<[u8]>),
    /// To the wish for TLS.
    Tls(Box<[u8]>),
}

impl Reader {
    fn boxed(application: Application) -> Box<dyn Analyser> {
        Box::new(Self {
            application,
            client: Lines::default(),
            server: Lines::default(),
            began: None,
            other: Other::new(application),
            is_greeted: false,
            awaits: Awaits::Nothing,
            file: None,
            is_over: false,
        })
    }

    /// A reader of FTP.
    pub(super) fn ftp(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Ftp)
    }

    /// A reader of IMAP.
    pub(super) fn imap(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Imap)
    }

    /// A reader of POP3.
    pub(super) fn pop3(_: &Limits) -> Box<dyn Analyser> {
        Self::boxed(Application::Pop3)
    }

    fn put(&mut self, name: &'static str, value: &[u8]) {
        if !value.is_empty() && self.other.get(name).is_none() {
            self.other.attributes.push((name.into(), text(value, NAME)));
        }
    }

    fn command(&mut self, line: &[u8], time: Time) {
        let (tag, command) = match self.application {
            Application::Imap => {
                let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
                (&line[..end.min(64)], line[end..].trim_ascii_start())
            }
            _ => (&[][..], line),
        };
        if let Some(name) = after(command, b"USER ") {
            self.put("user", name);
        } else if let Some(words) = after(command, b"LOGIN ").or_else(|| after(command, b"APOP ")) {
            let end = words.iter().position(|byte| *byte == b' ').unwrap_or(words.len());
            let name = words[..end].strip_prefix(b"\"").unwrap_or(&words[..end]);
            let name = name.strip_suffix(b"\"").unwrap_or(name);
            if !name.starts_with(b"{") {
                self.put("user", name);
            }
            self.awaits = Awaits::Login(tag.into());
        } else if let Some(words) = after(command, b"AUTHENTICATE ") {
            let end = words.iter().position(|byte| *byte == b' ').unwrap_or(words.len());
            self.put("mechanism", &words[..end]);
            self.awaits = Awaits::Login(tag.into());
        } else if after(command, b"PASS ").is_some() {
            self.awaits = Awaits::Login(tag.into());
        } else if [&b"STARTTLS"[..], b"STLS", b"AUTH TLS", b"AUTH SSL"]
            .iter()
            .any(|wish| after(command, wish) == Some(b""))
        {
            self.awaits = Awaits::Tls(tag.into());
        } else if self.application == Application::Ftp
            && let Some((name, path)) = FILES.iter().find_map(|name| Some((name, after(command, name)?)))
        {
            let mut file = Other::new(Application::Ftp);
            file.attributes
                .push(("command".into(), text(name.trim_ascii(), 8)));
            // A proxy is told the whole address, perhaps with a password; else `@` may stand in any name.
            let path = match memchr::memmem::find(path, b"://") {
                Some(_) => without_userinfo(path),
                None => path.into(),
            };
            file.attributes.push(("path".into(), text(&path, 512)));
            self.file = Some((time, file));
        } else if self.application == Application::Ftp
            && let Some(announcement) = data::command(command)
        {
            self.file = Some((time, announcement));
        }
    }

    /// The server's line; says whether TLS follows.
    fn answer(&mut self, line: &[u8], out: &mut Vec<Said>) -> bool {
        let tag = match &self.awaits {
            Awaits::Login(tag) | Awaits::Tls(tag) => &**tag,
            Awaits::Nothing => &[],
        };
        // What it says: yes or no, or nothing yet.
        let (said, words) = match self.application {
            Application::Ftp => match reply(line) {
                Some((code, true, words)) => {
                    if code >= 200
                        && let Some((time, mut file)) = self.file.take()
                    {
                        data::answer(code, words, &mut file);
                        file.attributes.push(("code".into(), code.to_string().into()));
                        out.push((time, Message::Other(Box::new(file))));
                    }
                    ((code >= 200).then_some(code < 300), words)
                }
                _ => return false,
            },
            Application::Imap => match line
                .strip_prefix(b"* OK")
                .or_else(|| line.strip_prefix(b"* PREAUTH"))
            {
                Some(words) => (None, words),
                None => {
                    let rest = line.strip_prefix(tag).unwrap_or_default().trim_ascii_start();
                    let yes = rest.starts_with(b"OK");
                    let no = rest.starts_with(b"NO") || rest.starts_with(b"BAD");
                    ((!tag.is_empty() && (yes || no)).then_some(yes), &[][..])
                }
            },
            _ => match (line.strip_prefix(b"+OK"), line.starts_with(b"-ERR")) {
                (Some(words), _) => (Some(true), words),
                (None, true) => (Some(false), &[][..]),
                (None, false) => return false,
            },
        };
        if self.awaits == Awaits::Nothing {
            if !std::mem::replace(&mut self.is_greeted, true) {
                self.put("greeting", words.trim_ascii());
            }
            return false;
        }
        let Some(yes) = said else { return false };
        match std::mem::take(&mut self.awaits) {
            Awaits::Login(_) => {
                self.put("login", if yes { b"accepted" } else { b"refused" });
                if yes || self.other.get("login") == Some("refused") {
                    self.tell(out);
                }
                // Mails follow, of which nothing is told.
                self.is_over = yes && self.application != Application::Ftp;
                false
            }
            Awaits::Tls(_) if yes => {
                self.put("starttls", b"true");
                self.tell(out);
                true
            }
            Awaits::Tls(_) | Awaits::Nothing => false,
        }
    }

    fn tell(&mut self, out: &mut Vec<Said>) {
        let Some(began) = self.began else { return };
        if !self.other.attributes.is_empty() {
            let next = Other::new(self.application);
            out.push((
                began,
                Message::Other(Box::new(std::mem::replace(&mut self.other, next))),
            ));
        }
    }
}

impl Analyser for Reader {
    fn application(&self) -> Application {
        self.application
    }

    fn read(&mut self, piece: &Piece<'_>, out: &mut Vec<Said>) -> Appetite {
        self.began.get_or_insert(piece.time);
        let mut rest = piece.data;
        if piece.side == Side::Source {
            while let Some(line) = self.client.next(&mut rest) {
                self.command(line.bytes(), piece.time);
            }
            return Appetite::More;
        }
        while let Some(line) = self.server.next(&mut rest) {
            if self.answer(line.bytes(), out) {
                return Appetite::Becomes {
                    application: Some(Application::Tls),
                    consumed: piece.data.len() - rest.len(),
                };
            }
            if self.is_over {
                return Appetite::Enough;
            }
        }
        Appetite::More
    }

    fn gap(&mut self, _: Side, _: u64, _: Time, out: &mut Vec<Said>) -> Appetite {
        self.tell(out);
        self.is_over = true;
        Appetite::Enough
    }

    fn wait(&mut self, _: Time, over: bool, out: &mut Vec<Said>) {
        if over {
            self.tell(out);
            out.extend(
                self.file
                    .take()
                    .map(|(time, file)| (time, Message::Other(Box::new(file)))),
            );
        }
    }

    fn is_waiting(&self) -> bool {
        !self.is_over && !self.other.attributes.is_empty()
    }
}

fn begins(data: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|name| after(data, name).is_some())
}

/// FTP by the server's greeting, or by the user's name after one.
pub(super) fn is_ftp(opening: &Opening<'_>) -> Guess {
    let data = opening.data;
    if opening.side == Side::Source {
        let is_answer = opening.before.starts_with(b"220");
        // A client may leave before the server has greeted.
        let leaves = opening.destination_port == 21 && data.starts_with(b"QUIT\r\n");
        return if leaves || (is_answer && begins(data, &[b"USER ", b"AUTH TLS", b"AUTH SSL"])) {
            Guess::Yes
        } else {
            Guess::No
        };
    }
    if !data.starts_with(b"220") {
        return if !data.is_empty() && b"220".starts_with(data) {
            Guess::Maybe
        } else {
            Guess::No
        };
    }
    let says = |word: &[u8]| {
        data.windows(word.len())
            .any(|window| window.eq_ignore_ascii_case(word))
    };
    let is_usual = opening.destination_port == 21;
    if (says(b"FTP") || is_usual) && !says(b"SMTP") {
        Guess::Yes
    } else {
        Guess::Maybe
    }
}

/// IMAP by the server's greeting.
pub(super) fn is_imap(opening: &Opening<'_>) -> Guess {
    greeting(opening, &[b"* OK", b"* PREAUTH"], 143)
}

/// POP3 by the server's greeting.
pub(super) fn is_pop3(opening: &Opening<'_>) -> Guess {
    greeting(opening, &[b"+OK"], 110)
}

fn greeting(opening: &Opening<'_>, begins: &[&[u8]], port: u16) -> Guess {
    let data = opening.data;
    if opening.side == Side::Source || data.is_empty() {
        return Guess::No;
    }
    if begins.iter().any(|begin| data.starts_with(begin)) {
        // Redis answers so, too, but never first.
        let is_first = opening.before.is_empty() || opening.destination_port == port;
        return if is_first { Guess::Yes } else { Guess::No };
    }
    if begins.iter().any(|begin| begin.starts_with(data)) {
        Guess::Maybe
    } else {
        Guess::No
    }
}

#[cfg(test)]
mod tests;
