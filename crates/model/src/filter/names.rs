//! From what is written before `:` to fields: names, aliases, and the words that stand for several fields.

use super::Fields;
use crate::fields::{self, Field, Type};

/// Words that stand for several fields: the test holds if it holds for any of them.
pub(super) const GROUPS: &[(&str, Type, &[&str])] = &[
    ("ip", Type::Address, &["source.ip", "destination.ip", "server.ip"]),
    (
        "port",
        Type::Integer,
        &["source.port", "destination.port", "server.port"],
    ),
    ("time", Type::Time, &["event.created", "event.start"]),
    (
        "any",
        Type::Text,
        &[
            "process.name",
            "process.executable",
            "process.command_line",
            "source.ip",
            "destination.ip",
            "destination.domain",
            "server.ip",
            "user.name",
            "network.protocol",
            "rule.name",
        ],
    ),
];

/// What a name stands for, and how values of it are written.
pub(super) struct Named {
    pub(super) fields: Fields,
    pub(super) kind: Type,
}

/// The fields that `name` stands for, in any case.
pub(super) fn find(name: &str) -> Option<Named> {
    let group = GROUPS.iter().find(|(group, ..)| group.eq_ignore_ascii_case(name));
    if let Some((_, kind, names)) = group {
        return Some(Named {
            fields: names.iter().filter_map(|name| fields::find(name)).collect(),
            kind: *kind,
        });
    }
    fields::find(name).map(|field| Named {
        fields: vec![field],
        kind: field.kind,
    })
}

/// The word that stands for exactly these fields.
pub(super) fn name_of(fields: &[&'static Field]) -> Option<&'static str> {
    if let [field] = fields {
        return Some(field.name);
    }
    GROUPS
        .iter()
        .find(|(_, _, names)| names.iter().copied().eq(fields.iter().map(|field| field.name)))
        .map(|(group, ..)| *group)
}

/// The known name nearest to `name`, if one is near.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name: Vec<char> = name.chars().take(64).map(|c| c.to_ascii_lowercase()).collect();
    let aliases = fields::all().flat_map(|field| std::iter::once(&field.name).chain(field.aliases));
    let groups = GROUPS.iter().map(|(group, ..)| group);
    aliases
        .chain(groups)
        .map(|known| (distance(&name, known), *known))
        .min()
        .filter(|(distance, _)| *distance <= 2.min(name.len() / 3))
        .map(|(_, known)| known)
}

/// Edits (insert, delete, replace, swap neighbours) between two words: optimal string alignment.
fn distance(a: &[char], b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y))
                .min(last[j + 1] + 1)
                .min(row[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_names_real_fields() {
        for (group, _, names) in GROUPS {
            let found = find(group).unwrap();
            assert_eq!(found.fields.len(), names.len(), "{group}");
            assert_eq!(name_of(&found.fields), Some(*group));
        }
    }

    #[test]
    fn suggests_the_nearest() {
        assert_eq!(nearest("destination.prot"), Some("destination.port"));
        assert_eq!(nearest("Proces.name"), Some("process.name"));
        assert_eq!(nearest("county"), Some("country"));
        assert_eq!(nearest("weather"), None);
        assert_eq!(nearest("x"), None);
        assert_eq!(nearest(""), None);
    }
}
