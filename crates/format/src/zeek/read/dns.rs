//! `dns`: names asked for, and answers.

use atalaya_model::Time;
use atalaya_model::protocol::dns::{Answer, Data, Dns, Question, Response};

use super::row::Row;
use crate::told::{BadLine, clip};

pub(super) fn read(row: &Row<'_>, time: Time) -> Result<Dns, BadLine> {
    let took = row.span("rtt")?;
    let code: Option<u16> = row.number("rcode")?;
    let query = row.text_within("query", 1_024);
    let kind: Option<u16> = row.number("qtype")?;
    let class: Option<u16> = row.number("qclass")?;
    // Without a time that it took, either the question or the answer was seen.
    let asked = (took.is_some() || code.is_none()).then_some(time);
    let flag = |column, bit| if row.truth(column) == Some(true) { bit } else { 0 };
    let both = flag("TC", 0x0200) | flag("RD", 0x0100);
    let reserved: u16 = row.number("Z")?.unwrap_or(0);
    let answers = answers(row, query.as_deref(), kind);
    let response = code.map(|code| Response {
        time: Time(time.0.saturating_add(took.unwrap_or(0))),
        flags: 0x8000 | flag("AA", 0x0400) | flag("RA", 0x0080) | if asked.is_none() { both } else { 0 },
        code,
        // Zeek says that nothing came at all; what else came is not told.
        left_out: u16::from(code != 0 && answers.is_empty() && row.truth("rejected") == Some(false)),
        answers,
        ..Response::default()
    });
    let question =
        query.filter(|_| kind.is_some() || response.as_ref().is_none_or(|it| it.answers.is_empty()));
    let question = question.map(|name| {
        let lower = name.to_ascii_lowercase();
        Question {
            as_sent: (*name != *lower).then_some(name),
            name: lower.into(),
            kind: kind.unwrap_or(0),
            class: class.unwrap_or(1),
        }
    });
    Ok(Dns {
        id: row.number("trans_id")?.unwrap_or(0),
        opcode: row.number("opcode").unwrap_or_default().unwrap_or(0),
        asked,
        flags: if asked.is_some() {
            both | (reserved & 7) << 4
        } else {
            0
        },
        questions: question.into_iter().collect(),
        sent: None,
        response,
    })
}

/// Zeek tells what each record says, but not what it is or whose: that is concluded from what it says.
fn answers(row: &Row<'_>, query: Option<&str>, asked: Option<u16>) -> Box<[Answer]> {
    let mut owner: Box<str> = query.unwrap_or_default().to_ascii_lowercase().into();
    let ttls = row.spans("TTLs");
    let texts = row.texts("answers");
    let mut answers = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let text = clip(text, 1_024);
        let micros = ttls.get(index).copied().unwrap_or(0);
        let (kind, data) = match (text.parse(), said(text)) {
            (Ok(ip), _) => (if text.contains(':') { 28 } else { 1 }, Data::Address(ip)),
            (_, Some((kind, said))) => (kind, Data::Text([said.into()].into())),
            // An alias, where an address was asked for.
            _ if matches!(asked, Some(1 | 28 | 65)) => (5, Data::Name(text.into())),
            _ => (
                asked
                    .filter(|kind| !matches!(kind, 10 | 11 | 41 | 250))
                    .unwrap_or(0),
                Data::Name(text.into()),
            ),
        };
        let alias = match (&data, kind) {
            (Data::Name(name), 5) => Some(name.clone()),
            _ => None,
        };
        answers.push(Answer {
            name: owner.clone(),
            kind,
            class: 1,
            ttl: u32::try_from(micros / 1_000_000).unwrap_or(0),
            data,
        });
        owner = alias.unwrap_or(owner);
    }
    answers.into()
}

/// The text in `TXT 5 hello`.
fn said(text: &str) -> Option<(u16, String)> {
    let (kind, rest) = match text.split_once(' ')? {
        ("TXT", rest) => (16, rest),
        ("SPF", rest) => (99, rest),
        _ => return None,
    };
    let (length, said) = rest.split_once(' ')?;
    // Several strings in one stay as they are written.
    if length.parse() != Ok(said.len()) || !said.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return None;
    }
    Some((kind, said.replace('\\', "\\092")))
}
