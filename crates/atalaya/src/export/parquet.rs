//! Parquet: groups of rows, each column packed by itself. Behind the feature `parquet`: see `docs/export.md` for what it
//! costs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use atalaya_store::{Cell, Column};
use parquet::basic::{Compression, GzipLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// Rows of a group: what is held in memory, at most some dozen megabytes.
const GROUP: usize = 16_384;

/// A file under way.
pub(super) struct File<'a> {
    writer: SerializedFileWriter<Room>,
    room: Room,
    columns: Vec<Packed>,
    rows: usize,
    out: &'a mut dyn Write,
}

/// What waits of one column: levels say where a value is unset.
struct Packed {
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Integers(Vec<i64>),
    Truths(Vec<bool>),
    Texts(Vec<ByteArray>),
}

/// Bytes on their way out: the crate wants to own where it writes.
#[derive(Clone, Default)]
struct Room(Arc<Mutex<Vec<u8>>>);

impl Room {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> File<'a> {
    pub(super) fn new(name: &str, columns: &[Column], out: &'a mut dyn Write) -> io::Result<Self> {
        let fields = columns.iter().map(|column| {
            let name = &column.name;
            match column.kind {
                "time" => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
                "integer" | "bytes" | "microseconds" => format!("optional int64 {name};"),
                "boolean" => format!("optional boolean {name};"),
                _ => format!("optional binary {name} (STRING);"),
            }
        });
        let schema = format!("message {name} {{ {} }}", fields.collect::<String>());
        let schema = Arc::new(parse_message_type(&schema).map_err(failed)?);
        let level = GzipLevel::try_new(3).map_err(failed)?;
        let properties = WriterProperties::builder().set_compression(Compression::GZIP(level));
        let room = Room::default();
        let writer = SerializedFileWriter::new(room.clone(), schema, Arc::new(properties.build()));
        Ok(Self {
            writer: writer.map_err(failed)?,
            room,
            columns: columns.iter().map(Packed::new).collect(),
            rows: 0,
            out,
        })
    }

    pub(super) fn row(&mut self, cells: &[Cell<'_>]) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(*cell);
        }
        self.rows += 1;
        if self.rows >= GROUP {
            self.group()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if self.rows > 0 {
            self.group()?;
        }
        self.writer.finish().map_err(failed)?;
        self.out.write_all(&self.room.take())?;
        self.out.flush()
    }

    /// Writes what waits.
    fn group(&mut self) -> io::Result<()> {
        self.rows = 0;
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            let Some(mut to) = group.next_column().map_err(failed)? else {
                break;
            };
            let levels = Some(&*column.levels);
            match &column.values {
                Values::Integers(values) => to.typed::<Int64Type>().write_batch(values, levels, None),
                Values::Truths(values) => to.typed::<BoolType>().write_batch(values, levels, None),
                Values::Texts(values) => to.typed::<ByteArrayType>().write_batch(values, levels, None),
            }
            .map_err(failed)?;
            to.close().map_err(failed)?;
            column.clear();
        }
        group.close().map_err(failed)?;
        self.out.write_all(&self.room.take())
    }
}

impl Packed {
    fn new(column: &Column) -> Self {
        Self {
            levels: Vec::new(),
            values: match column.kind {
                "time" | "integer" | "bytes" | "microseconds" => Values::Integers(Vec::new()),
                "boolean" => Values::Truths(Vec::new()),
                _ => Values::Texts(Vec::new()),
            },
        }
    }

    /// What does not fit the kind of the column is unset.
    fn push(&mut self, cell: Cell<'_>) {
        let is_set = match (&mut self.values, cell) {
            (Values::Integers(values), Cell::Integer(number)) => {
                values.push(number);
                true
            }
            (Values::Truths(values), Cell::Integer(number)) => {
                values.push(number != 0);
                true
            }
            (Values::Texts(values), Cell::Text(text)) => {
                values.push(text.into());
                true
            }
            _ => false,
        };
        self.levels.push(i16::from(is_set));
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.values {
            Values::Integers(values) => values.clear(),
            Values::Truths(values) => values.clear(),
            Values::Texts(values) => values.clear(),
        }
    }
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
