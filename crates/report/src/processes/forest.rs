//! Rows as trees: who started whom. Ancestors that are no rows themselves stand between them as mere names.

use std::collections::{HashMap, HashSet};

use atalaya_model::{ProcessKey, ProcessUse, Text};

/// Levels that are drawn; deeper ones stand at the last.
const MAX_DEPTH: usize = 24;

/// One line of a tree.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Connectors before the name.
    pub(super) lead: String,
    /// Where the row stands among the rows, if it is one.
    pub(super) row: Option<usize>,
    /// Process id and name of an ancestor that is none.
    pub(super) key: ProcessKey,
    pub(super) name: Text,
}

struct Node {
    row: Option<usize>,
    key: ProcessKey,
    name: Text,
    parent: Option<usize>,
    children: Vec<usize>,
    /// The first row at or below it.
    rank: usize,
}

/// A process of one boot.
type Identity = (Option<Text>, ProcessKey);

/// The lines of every tree; siblings in the order of the rows.
pub(super) fn grow(rows: &[ProcessUse]) -> Vec<Line> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut places: HashMap<Identity, usize> = HashMap::new();
    for (place, row) in rows.iter().enumerate() {
        let process = &row.process;
        let node = plant(
            &mut nodes,
            &mut places,
            (row.boot.clone(), process.key),
            &process.name,
        );
        nodes[node].row = Some(place);
    }
    for row in rows {
        let process = &row.process;
        let Some(mut child) = places.get(&(row.boot.clone(), process.key)).copied() else {
            continue;
        };
        for ancestor in &*process.ancestors {
            let identity = (row.boot.clone(), ancestor.key);
            let parent = plant(&mut nodes, &mut places, identity, &ancestor.name);
            if !join(&mut nodes, child, parent) {
                break;
            }
            child = parent;
        }
        if process.ancestors.is_empty()
            && let Some(parent) = process.parent
            && let Some(parent) = places.get(&(row.boot.clone(), parent)).copied()
        {
            join(&mut nodes, child, parent);
        }
    }
    rank(&mut nodes);
    draw(&nodes)
}

fn plant(
    nodes: &mut Vec<Node>,
    places: &mut HashMap<Identity, usize>,
    identity: Identity,
    name: &Text,
) -> usize {
    let key = identity.1;
    *places.entry(identity).or_insert_with(|| {
        nodes.push(Node {
            row: None,
            key,
            name: name.clone(),
            parent: None,
            children: Vec::new(),
            rank: usize::MAX,
        });
        nodes.len() - 1
    })
}

/// Makes one a child of the other, unless it has a parent or would be its own ancestor. True where they belong together.
fn join(nodes: &mut [Node], child: usize, parent: usize) -> bool {
    if let Some(known) = nodes[child].parent {
        return known == parent;
    }
    let mut above = Some(parent);
    while let Some(node) = above {
        if node == child {
            return false;
        }
        above = nodes[node].parent;
    }
    nodes[child].parent = Some(parent);
    nodes[parent].children.push(child);
    true
}

/// Gives each node the place of the first row at or below it, and sorts siblings by it.
fn rank(nodes: &mut [Node]) {
    for node in 0..nodes.len() {
        let Some(row) = nodes[node].row else { continue };
        let mut above = Some(node);
        while let Some(place) = above
            && row < nodes[place].rank
        {
            nodes[place].rank = row;
            above = nodes[place].parent;
        }
    }
    let ranks: Vec<_> = nodes.iter().map(|node| node.rank).collect();
    for node in nodes {
        node.children.sort_by_key(|child| ranks[*child]);
    }
}

fn draw(nodes: &[Node]) -> Vec<Line> {
    let mut roots: Vec<_> = (0..nodes.len())
        .filter(|node| nodes[*node].parent.is_none())
        .collect();
    roots.sort_by_key(|node| nodes[*node].rank);
    let mut lines = Vec::with_capacity(nodes.len());
    let mut drawn = HashSet::new();
    // Node, connectors of its children's level, its own connectors, depth; the next one last.
    let mut waiting: Vec<_> = roots
        .into_iter()
        .rev()
        .map(|node| (node, String::new(), String::new(), 0))
        .collect();
    while let Some((place, below, lead, depth)) = waiting.pop() {
        if !drawn.insert(place) {
            continue;
        }
        let node = &nodes[place];
        let children = node.children.iter().rev().enumerate().map(|(index, child)| {
            let (tee, bar) = if index == 0 {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let next = if depth < MAX_DEPTH { bar } else { "" };
            (
                *child,
                format!("{below}{next}"),
                format!("{below}{tee}"),
                depth + 1,
            )
        });
        waiting.extend(children);
        lines.push(Line {
            lead,
            row: node.row,
            key: node.key,
            name: node.name.clone(),
        });
    }
    lines
}
