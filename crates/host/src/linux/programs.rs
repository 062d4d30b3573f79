//! Small kernel programs, loaded without reading all that the kernel tells of its types.
//!
//! The loader library would do the same, but first reads the whole description, which takes longer than a look by such
//! a program; see [`btf`]. And it knows no probes in many functions at once, which need fewer privileges.

mod btf;
pub(super) mod calls;

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya::maps::MapData;
use aya_obj::btf::Btf;
use aya_obj::{Map, Object};

use btf::Types;
use calls::{Kind, Load};

/// The programs of one object, fitted to this kernel, with their tables.
pub(super) struct Programs {
    object: Object,
    tables: HashMap<String, MapData>,
    /// The number of the function that an iterator is called from.
    target: u32,
}

impl Programs {
    /// Reads an object and creates its tables. An iterator names the function in the kernel that stands for it.
    pub(super) fn read(object: &[u8], target: Option<&str>) -> io::Result<Self> {
        let mut object = Object::parse(object).map_err(io::Error::other)?;
        let kernel = std::fs::read("/sys/kernel/btf/vmlinux")?;
        let kernel = Types::index(&kernel).ok_or_else(nonsense)?;
        let own = object.btf.as_ref().ok_or_else(nonsense)?.to_bytes();
        let own = Types::index(&own).ok_or_else(nonsense)?;
        let reduced = kernel.reduced_to(&own);
        let reduced = Btf::parse(&reduced, aya::Endianness::default()).map_err(io::Error::other)?;
        object.relocate_btf(&reduced).map_err(io::Error::other)?;
        let target = match target {
            Some(name) => kernel.function(name.as_bytes()).ok_or_else(|| {
                io::Error::new(io::ErrorKind::Unsupported, format!("this kernel has no {name}"))
            })?,
            None => 0,
        };
        let tables = create_tables(&mut object)?;
        Ok(Self {
            object,
            tables,
            target,
        })
    }

    /// Loads one program.
    pub(super) fn load(&self, program: &str, kind: Kind) -> io::Result<OwnedFd> {
        let mut functions = self.object.functions.values();
        let function = functions
            .find(|function| function.name == program)
            .ok_or_else(nonsense)?;
        calls::load(&Load {
            kind,
            instructions: &function.instructions,
            license: &self.object.license,
            target: self.target,
        })
    }

    /// A table, for whoever reads it.
    pub(super) fn take(&mut self, table: &str) -> io::Result<MapData> {
        self.tables.remove(table).ok_or_else(nonsense)
    }
}

fn create_tables(object: &mut Object) -> io::Result<HashMap<String, MapData>> {
    let maps: Vec<(String, Map)> = object.maps.drain().collect();
    let mut tables = HashMap::new();
    for (name, map) in &maps {
        // Without the types of its keys and values, which would have to be told to the kernel first.
        let bare = Map::new_from_params(
            map.map_type(),
            map.key_size(),
            map.value_size(),
            map.max_entries(),
            map.map_flags(),
        );
        let table = MapData::create(bare, name, None).map_err(io::Error::other)?;
        tables.insert(name.clone(), table);
    }
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let places = maps.iter().filter_map(|(name, map)| {
        let table = tables.get(name)?;
        Some((name.as_str(), table.fd().as_fd().as_raw_fd(), map))
    });
    object
        .relocate_maps(places, &sections)
        .map_err(io::Error::other)?;
    object.relocate_calls(&sections).map_err(io::Error::other)?;
    Ok(tables)
}

fn nonsense() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a description of types or programs makes no sense",
    )
}
