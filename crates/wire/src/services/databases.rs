//! Databases and queues: PostgreSQL, MySQL, MongoDB, Redis, memcached, MQTT, AMQP.

use atalaya_model::{Application, Side};

use super::brief::{Brief, Bytes, Notes};
use crate::analyser::{Appetite, Guess, Opening, Over, Speaker};

const STREAM: &[Over] = &[Over::Stream];

pub(crate) static SPEAKERS: [Speaker; 7] = [
    Speaker {
        application: Application::PostgreSql,
        over: STREAM,
        ports: &[5432],
        recognise: |opening| guess(is_postgresql(opening)),
        analyser: Some(|_| Box::new(Brief::patient(Application::PostgreSql, postgresql, 4))),
    },
    Speaker {
        application: Application::MySql,
        over: STREAM,
        ports: &[3306, 33_060],
        recognise: |opening| guess(is_mysql(opening)),
        analyser: Some(|_| Box::new(Brief::new(Application::MySql, mysql))),
    },
    Speaker {
        application: Application::MongoDb,
        over: STREAM,
        ports: &[27_017],
        recognise: |opening| guess(mongodb_operation(opening.data).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::MongoDb, mongodb))),
    },
    Speaker {
        application: Application::Redis,
        over: STREAM,
        ports: &[6379],
        recognise: |opening| guess(redis_command(opening.data).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::Redis, redis))),
    },
    Speaker {
        application: Application::Memcached,
        over: &[Over::Stream, Over::Datagrams],
        ports: &[11_211],
        recognise: |opening| guess(memcached_command(opening).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::Memcached, memcached))),
    },
    Speaker {
        application: Application::Mqtt,
        over: STREAM,
        ports: &[1883, 8883],
        recognise: |opening| guess(opening.side == Side::Source && mqtt_connect(opening.data).is_some()),
        analyser: Some(|_| Box::new(Brief::new(Application::Mqtt, mqtt))),
    },
    Speaker {
        application: Application::Amqp,
        over: STREAM,
        ports: &[5672],
        recognise: |opening| {
            let greets = opening.data.starts_with(b"AMQP") && opening.data.len() >= 8;
            guess(greets || is_amqp_frame(opening.data))
        },
        analyser: Some(|_| Box::new(Brief::new(Application::Amqp, amqp))),
    },
];

const fn guess(is: bool) -> Guess {
    if is { Guess::Yes } else { Guess::No }
}

/// Request codes of a PostgreSQL start: protocol 3.0, and the wish for TLS, GSSAPI, or to cancel.
const START: u32 = 196_608;
const WANTS_TLS: u32 = 80_877_103;
const WANTS_GSSAPI: u32 = 80_877_104;
const CANCELS: u32 = 80_877_102;

fn is_postgresql(opening: &Opening<'_>) -> bool {
    let mut bytes = Bytes(opening.data);
    let (Some(length), Some(code)) = (bytes.big32(), bytes.big32()) else {
        return false;
    };
    opening.side == Side::Source
        && (8..10_000).contains(&length)
        && matches!(code, START | WANTS_TLS | WANTS_GSSAPI | CANCELS)
}

fn postgresql(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Destination {
        // The server agrees to TLS with a single letter.
        return match data {
            [b'S'] if notes.has("tls_wanted") => Appetite::Becomes {
                application: Some(Application::Tls),
                consumed: 1,
            },
            _ => Appetite::More,
        };
    }
    let mut bytes = Bytes(data);
    let _length = bytes.big32();
    match bytes.big32() {
        Some(WANTS_TLS) => notes.add("tls_wanted", "true"),
        Some(START) => {
            notes.add("version", "3.0");
            while let (Some(name), Some(value)) = (bytes.text(), bytes.text()) {
                match name {
                    b"user" => notes.text("user", value),
                    b"database" => notes.text("database", value),
                    b"application_name" => notes.text("client", value),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    Appetite::More
}

/// A server's greeting: length, number 0, protocol 10, its version.
fn is_mysql(opening: &Opening<'_>) -> bool {
    opening.side == Side::Destination && greeting(opening.data).is_some()
}

fn greeting(data: &[u8]) -> Option<&[u8]> {
    let mut bytes = Bytes(data);
    let [a, b, c, 0] = *bytes.take(4)? else {
        return None;
    };
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    if !(20..2_000).contains(&length) || length > data.len() {
        return None;
    }
    if bytes.byte()? != 10 {
        return None;
    }
    let version = bytes.text()?;
    let is_version = (3..80).contains(&version.len()) && version.iter().all(u8::is_ascii_graphic);
    is_version.then_some(version)
}

fn mysql(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    /// The client will go on over TLS: a bit of its capabilities.
    const TLS: u32 = 0x800;
    match side {
        Side::Destination => {
            if let Some(version) = greeting(data) {
                notes.text("server_version", version);
            }
            Appetite::More
        }
        Side::Source => {
            let mut bytes = Bytes(data.get(4..).unwrap_or_default());
            let capabilities = bytes.big32().map_or(0, u32::swap_bytes);
            if capabilities & TLS != 0 && data.len() >= 36 && data.len() < 64 {
                notes.add("tls", "true");
                return Appetite::Becomes {
                    application: Some(Application::Tls),
                    consumed: 36,
                };
            }
            if bytes.take(28).is_some()
                && let Some(user) = bytes.text()
            {
                notes.text("user", user);
            }
            Appetite::More
        }
    }
}

fn mongodb_operation(data: &[u8]) -> Option<u32> {
    let mut bytes = Bytes(data);
    let length = bytes.little32()?;
    let _request = bytes.little32()?;
    let answered = bytes.little32()?;
    let operation = bytes.little32()?;
    let is_request = answered == 0 && matches!(operation, 2004 | 2010 | 2012 | 2013);
    (is_request && (16..48_000_000).contains(&length)).then_some(operation)
}

fn mongodb(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source
        && let Some(operation) = mongodb_operation(data)
    {
        notes.number("operation", operation);
    }
    Appetite::More
}

/// A command as an array of strings: `*2\r\n$3\r\nGET\r\n…`: its name.
fn redis_command(data: &[u8]) -> Option<&[u8]> {
    let rest = data.strip_prefix(b"*")?;
    let (count, rest) = line(rest)?;
    let rest = rest.strip_prefix(b"$")?;
    let (length, rest) = line(rest)?;
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<usize>().ok();
    (number(count)? > 0).then_some(())?;
    let name = rest.get(..number(length)?)?;
    ((1..32).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

/// The bytes up to the end of the line, and what follows it.
fn line(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().take(64).position(|byte| *byte == b'\r')?;
    (data.get(end + 1) == Some(&b'\n')).then_some(())?;
    Some((&data[..end], &data[end + 2..]))
}

fn redis(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source
        && let Some(name) = redis_command(data)
    {
        notes.text("command", &name.to_ascii_lowercase());
    }
    Appetite::More
}

fn memcached_command<'a>(opening: &Opening<'a>) -> Option<&'a [u8]> {
    // Over datagrams a head of eight bytes comes first.
    let data = match opening.over {
        Over::Stream => opening.data,
        Over::Datagrams => opening.data.get(8..)?,
    };
    const COMMANDS: [&[u8]; 8] = [
        b"get ",
        b"gets ",
        b"set ",
        b"add ",
        b"delete ",
        b"stats",
        b"version",
        b"flush_all",
    ];
    let command = COMMANDS.into_iter().find(|command| data.starts_with(command))?;
    let ends = data.iter().take(300).any(|byte| *byte == b'\r');
    (ends && opening.side == Side::Source).then_some(command)
}

fn memcached(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source {
        let data = match data {
            // The head of a datagram begins with a number of its own and holds zeros at its end.
            [_, _, _, _, _, _, 0, 0, rest @ ..] => rest,
            data => data,
        };
        let word = data
            .split(|byte| !byte.is_ascii_alphabetic() && *byte != b'_')
            .next();
        notes.text("command", word.unwrap_or_default());
    }
    Appetite::More
}

/// A CONNECT: the protocol's name, its level, and what follows the head.
fn mqtt_connect(data: &[u8]) -> Option<(&[u8], u8, Bytes<'_>)> {
    let mut bytes = Bytes(data);
    (bytes.byte()? == 0x10).then_some(())?;
    // The length: seven bits a byte, at most four bytes.
    for place in 0.. {
        if bytes.byte()? & 0x80 == 0 {
            break;
        }
        (place < 3).then_some(())?;
    }
    let length = usize::from(bytes.big16()?);
    let name = bytes.take(length)?;
    matches!(name, b"MQTT" | b"MQIsdp").then_some(())?;
    let level = bytes.byte()?;
    Some((name, level, bytes))
}

fn mqtt(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Destination {
        if let [0x20, _, _, code, ..] = data {
            notes.number("return_code", code);
        }
        return Appetite::More;
    }
    let Some((_, level, mut bytes)) = mqtt_connect(data) else {
        return Appetite::More;
    };
    let version = match level {
        3 => "3.1",
        4 => "3.1.1",
        5 => "5.0",
        _ => "unknown",
    };
    notes.add("version", version);
    let _flags = bytes.byte();
    let _keep_alive = bytes.big16();
    if level == 5
        && let Some(properties) = bytes.byte()
    {
        bytes.take(usize::from(properties));
    }
    if let Some(length) = bytes.big16()
        && let Some(client) = bytes.take(usize::from(length))
    {
        notes.text("client_id", client);
    }
    Appetite::More
}

/// A method, or the head or body of a message: kind, channel, length, and the mark behind so many bytes (AMQP 0-9-1,
/// section 2.3.5).
fn is_amqp_frame(data: &[u8]) -> bool {
    const END: u8 = 0xce;
    let mut bytes = Bytes(data);
    let (Some(1..=3), Some(_), Some(length @ 4..)) = (bytes.byte(), bytes.big16(), bytes.big32()) else {
        return false;
    };
    let end = usize::try_from(length)
        .ok()
        .and_then(|length| bytes.0.get(length));
    end == Some(&END)
}

fn amqp(side: Side, data: &[u8], notes: &mut Notes) -> Appetite {
    if side == Side::Source
        && data.starts_with(b"AMQP")
        && let Some([_, major, minor, revision]) = data.get(4..8)
    {
        notes.add("version", &format!("{major}.{minor}.{revision}"));
    }
    Appetite::More
}
