//! The kernel's own types (BTF), cut down to those that one small program reads.
//!
//! The kernel describes some hundred thousand types in five megabytes. The loader library takes 15 ms to read them all
//! and as long again to look through them; a look at once must not cost more than what it saves. So one pass finds the
//! few structs that the program names, and makes a description of only these, which the library then reads as the
//! kernel's.
//!
//! Layout from `linux/btf.h`. Total on any input: every read is checked.

use std::collections::{HashMap, HashSet};

const MAGIC: u16 = 0xeb9f;
const HEADER: usize = 24;
/// Most types looked at; the kernels of distributions have about 150,000.
const MOST_TYPES: usize = 4_000_000;
/// Structs in structs are followed so deep.
const DEPTH: u32 = 24;

const INT: u32 = 1;
const POINTER: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FORWARD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNCTION: u32 = 12;
const PROTOTYPE: u32 = 13;
const VARIABLE: u32 = 14;
const SECTION: u32 = 15;
const FLOAT: u32 = 16;
const DECLARATION_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM_64: u32 = 19;

/// A description of types, with the place of each.
pub(super) struct Types<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Where the type of each number begins; number 0 is `void`.
    places: Vec<u32>,
}

/// One type: its head, and where its members or other details begin.
#[derive(Clone, Copy)]
struct Type {
    name: u32,
    /// Kind and number of members.
    information: u32,
    /// Size, or the type that it refers to.
    size: u32,
    details: usize,
}

impl Type {
    const fn kind(self) -> u32 {
        (self.information >> 24) & 0x1f
    }

    const fn count(self) -> u32 {
        self.information & 0xffff
    }

    /// Bytes of its details; `None` for a kind of a later kernel.
    const fn details_length(self) -> Option<usize> {
        let each = match self.kind() {
            INT | VARIABLE | DECLARATION_TAG => return Some(4),
            ARRAY => return Some(12),
            STRUCT | UNION | SECTION | ENUM_64 => 12,
            ENUM | PROTOTYPE => 8,
            POINTER | FORWARD | TYPEDEF | VOLATILE | CONST | RESTRICT | FUNCTION | FLOAT | TYPE_TAG => 0,
            _ => return None,
        };
        Some(each * self.count() as usize)
    }
}

impl<'a> Types<'a> {
    /// Finds every type. `None` where the bytes make no sense.
    pub(super) fn index(bytes: &'a [u8]) -> Option<Self> {
        let word = |at| word(bytes, at);
        if u16::from_ne_bytes(*bytes.first_chunk()?) != MAGIC {
            return None;
        }
        let after = word(4)? as usize;
        let part = |begin: usize, length: usize| {
            let begin = after.checked_add(begin)?;
            bytes.get(begin..begin.checked_add(length)?)
        };
        let mut index = Self {
            types: part(word(8)? as usize, word(12)? as usize)?,
            strings: part(word(16)? as usize, word(20)? as usize)?,
            places: vec![0],
        };
        let mut place = 0;
        while place < index.types.len() {
            if index.places.len() > MOST_TYPES {
                return None;
            }
            index.places.push(place as u32);
            let head = index.at(place)?;
            place = head.details.checked_add(head.details_length()?)?;
        }
        Some(index)
    }

    fn at(&self, place: usize) -> Option<Type> {
        Some(Type {
            name: word(self.types, place)?,
            information: word(self.types, place + 4)?,
            size: word(self.types, place + 8)?,
            details: place + 12,
        })
    }

    fn get(&self, number: u32) -> Option<Type> {
        if number == 0 {
            return None;
        }
        self.at(*self.places.get(number as usize)? as usize)
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Every type with its number.
    fn all(&self) -> impl Iterator<Item = (u32, Type)> {
        (1..self.places.len() as u32).filter_map(|number| Some((number, self.get(number)?)))
    }

    /// Members of a struct or union: name, type, offset.
    fn members(&self, of: Type) -> impl Iterator<Item = [u32; 3]> {
        (0..of.count() as usize).map_while(move |member| {
            let at = of.details + 12 * member;
            Some([
                word(self.types, at)?,
                word(self.types, at + 4)?,
                word(self.types, at + 8)?,
            ])
        })
    }

    /// The number of a function.
    pub(super) fn function(&self, name: &[u8]) -> Option<u32> {
        // Most names are of another length: where they end is looked at first.
        let is = |offset: u32| {
            let rest = self.strings.get(offset as usize..).unwrap_or_default();
            rest.get(name.len()) == Some(&0) && rest.starts_with(name)
        };
        let found = self
            .all()
            .find(|(_, item)| item.kind() == FUNCTION && is(item.name));
        found.map(|(number, _)| number)
    }

    /// The bytes of a description that has only the structs and members that `program`, a description of the types of
    /// a program, names as well.
    pub(super) fn reduced_to(&self, program: &Types<'_>) -> Vec<u8> {
        let mut structs: HashSet<&[u8]> = HashSet::new();
        let mut members: HashSet<&[u8]> = HashSet::new();
        for (_, item) in program.all().filter(|(_, item)| is_record(*item)) {
            let name = program.name(item.name);
            // A program may know several versions of a struct, told apart by what follows three underscores.
            let end = name.windows(3).position(|part| part == b"___");
            structs.insert(name.get(..end.unwrap_or(name.len())).unwrap_or_default());
            members.extend(program.members(item).map(|member| program.name(member[0])));
        }
        structs.remove(&b""[..]);
        let mut copy = Copy {
            from: self,
            members,
            numbers: HashMap::new(),
            types: Vec::new(),
            strings: vec![0],
        };
        for (number, item) in self.all().filter(|(_, item)| is_record(*item)) {
            if structs.contains(self.name(item.name)) {
                copy.take(number, DEPTH);
            }
        }
        copy.bytes()
    }
}

const fn is_record(item: Type) -> bool {
    matches!(item.kind(), STRUCT | UNION)
}

/// A new description in the making.
struct Copy<'a> {
    from: &'a Types<'a>,
    members: HashSet<&'a [u8]>,
    /// New numbers by old ones.
    numbers: HashMap<u32, u32>,
    types: Vec<Vec<u8>>,
    strings: Vec<u8>,
}

impl Copy<'_> {
    /// The new number of a type, which is taken over with all that it consists of. What it only points to becomes
    /// `void`.
    fn take(&mut self, number: u32, depth: u32) -> u32 {
        if let Some(number) = self.numbers.get(&number) {
            return *number;
        }
        let (Some(item), 1..) = (self.from.get(number), depth) else {
            return 0;
        };
        self.types.push(Vec::new());
        let place = self.types.len() - 1;
        self.numbers.insert(number, place as u32 + 1);
        let depth = depth - 1;
        let without_members = item.information & !0xffff;
        let (information, size, details) = match item.kind() {
            STRUCT | UNION => {
                let mut details = Vec::new();
                let mut count = 0;
                for [name, of, offset] in self.from.members(item) {
                    if name != 0 && !self.members.contains(self.from.name(name)) {
                        continue;
                    }
                    count += 1;
                    details.extend([self.text(name), self.take(of, depth), offset]);
                }
                (without_members | count, item.size, details)
            }
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => {
                (item.information, self.take(item.size, depth), Vec::new())
            }
            ARRAY => {
                let detail = |at: usize| word(self.from.types, item.details + 4 * at).unwrap_or_default();
                let [of, by, length] = [detail(0), detail(1), detail(2)];
                (
                    item.information,
                    item.size,
                    vec![self.take(of, depth), self.take(by, depth), length],
                )
            }
            INT => {
                let encoding = word(self.from.types, item.details).unwrap_or_default();
                (item.information, item.size, vec![encoding])
            }
            ENUM | ENUM_64 => (without_members, item.size, Vec::new()),
            FORWARD | FLOAT => (item.information, item.size, Vec::new()),
            // Pointers, and what no struct consists of.
            _ => (POINTER << 24, 0, Vec::new()),
        };
        let name = self.text(item.name);
        let words = [name, information, size].into_iter().chain(details);
        self.types[place] = words.flat_map(u32::to_ne_bytes).collect();
        place as u32 + 1
    }

    fn text(&mut self, offset: u32) -> u32 {
        if offset == 0 {
            return 0;
        }
        let place = self.strings.len() as u32;
        self.strings.extend(self.from.name(offset));
        self.strings.push(0);
        place
    }

    fn bytes(self) -> Vec<u8> {
        let types: Vec<u8> = self.types.concat();
        let lengths = (types.len() as u32, self.strings.len() as u32);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        bytes.extend(
            [HEADER as u32, 0, lengths.0, lengths.0, lengths.1]
                .map(u32::to_ne_bytes)
                .concat(),
        );
        bytes.extend(types);
        bytes.extend(self.strings);
        bytes
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aya_obj::btf::Btf;
    use proptest::prelude::*;

    fn description(types: &[u8], strings: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let lengths = (types.len() as u32, strings.len() as u32);
        bytes.extend(
            [HEADER as u32, 0, lengths.0, lengths.0, lengths.1]
                .map(u32::to_ne_bytes)
                .concat(),
        );
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    /// `struct outer { struct { int wanted; }; struct unseen { int wanted; } other; struct later *wanted; }`, and a
    /// function `walk`.
    fn kernel() -> Vec<u8> {
        let strings = b"\0outer\0wanted\0other\0later\0walk\0int\0";
        let [outer, wanted, other, later, walk, int] = [1, 7, 14, 20, 26, 31];
        let types = [
            &[int, INT << 24, 4, 32][..],
            &[0, STRUCT << 24 | 1, 4, wanted, 1, 0],
            &[other, STRUCT << 24 | 1, 4, wanted, 1, 0],
            &[later, STRUCT << 24, 0],
            &[0, POINTER << 24, 4],
            &[outer, STRUCT << 24 | 3, 16, 0, 2, 0, other, 3, 32, wanted, 5, 64],
            &[walk, FUNCTION << 24, 0],
        ];
        description(&words(&types.concat()), strings)
    }

    #[test]
    fn only_what_is_named_is_left() {
        let kernel = kernel();
        let kernel = Types::index(&kernel).unwrap();
        assert_eq!(
            (kernel.function(b"walk"), kernel.function(b"wal")),
            (Some(7), None)
        );
        let program = description(
            &words(&[1, STRUCT << 24 | 1, 4, 13, 0, 0]),
            b"\0outer___new\0wanted\0",
        );
        let reduced = kernel.reduced_to(&Types::index(&program).unwrap());
        let reduced = Types::index(&reduced).unwrap();
        let named = |name: &[u8]| {
            let mut all = reduced.all();
            all.find(|(_, item)| reduced.name(item.name) == name && is_record(*item))
        };
        let (_, outer) = named(b"outer").unwrap();
        let members: Vec<&[u8]> = reduced
            .members(outer)
            .map(|member| reduced.name(member[0]))
            .collect();
        assert_eq!(members, [&b""[..], b"wanted"]);
        assert_eq!(outer.size, 16);
        assert!(named(b"other").is_none() && named(b"later").is_none());
        assert_eq!(reduced.all().count(), 4);
    }

    #[test]
    fn the_description_of_this_kernel() {
        let Ok(kernel) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            return;
        };
        let kernel = Types::index(&kernel).unwrap();
        assert!(kernel.all().count() > 10_000);
        let program = description(
            &words(&[1, STRUCT << 24 | 1, 4, 13, 0, 0]),
            b"\0task_struct\0tgid\0",
        );
        let reduced = kernel.reduced_to(&Types::index(&program).unwrap());
        assert!(reduced.len() < 4_096, "{}", reduced.len());
        assert!(Btf::parse(&reduced, aya::Endianness::default()).is_ok());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(types in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..24) {
            let mut types = types;
            for head in types.chunks_mut(12) {
                if let Some(of) = head.get_mut(7) {
                    *of = kind;
                }
            }
            let bytes = description(&types, b"\0a\0b\0");
            if let Some(index) = Types::index(&bytes) {
                let reduced = index.reduced_to(&index);
                prop_assert!(Types::index(&reduced).is_some());
                prop_assert_eq!(index.function(b"nothing"), None);
            }
            let _ = Types::index(&types);
        }
    }
}
