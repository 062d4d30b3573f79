//! The shape of a record: names with dots, once made into nested objects.

use atalaya_model::fields::{Field, Record};

use super::Context;
use super::subject::Subject;
use crate::json;

/// Writes the value of a member that is no field; `false` where it is unset (what it wrote is taken back).
pub(super) type Write = fn(&mut String, &Subject<'_>, &Context) -> bool;

/// A member of an object.
pub(super) enum Node {
    Object(Tree),
    Field(&'static Field),
    Made(Write),
}

/// The members of an object, in order.
#[derive(Default)]
pub(super) struct Tree(Vec<(&'static str, Node)>);

impl Tree {
    /// Adds a member by its name with dots. A name that is there already keeps what it has.
    pub(super) fn add(&mut self, name: &'static str, node: Node) {
        let (first, rest) = match name.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (name, None),
        };
        let place = self.0.iter().position(|(known, _)| *known == first);
        match (place, rest) {
            (Some(index), Some(rest)) => {
                if let Node::Object(tree) = &mut self.0[index].1 {
                    tree.add(rest, node);
                }
            }
            (Some(_), None) => {}
            (None, Some(rest)) => {
                let mut tree = Self::default();
                tree.add(rest, node);
                self.0.push((first, Node::Object(tree)));
            }
            (None, None) => self.0.push((first, node)),
        }
    }

    /// Appends the object. `record` answers for the fields; it is `subject`'s record or one inside it.
    pub(super) fn write(
        &self,
        out: &mut String,
        record: Option<&Record<'_>>,
        subject: &Subject<'_>,
        context: &Context,
    ) {
        out.push('{');
        self.members(out, record, subject, context);
        out.push('}');
    }

    /// Appends the members alone, to an object that is open.
    pub(super) fn members(
        &self,
        out: &mut String,
        record: Option<&Record<'_>>,
        subject: &Subject<'_>,
        context: &Context,
    ) {
        for (name, node) in &self.0 {
            let before = out.len();
            json::key(out, name);
            let begin = out.len();
            let written = match node {
                Node::Object(tree) => {
                    tree.write(out, record, subject, context);
                    out.len() > begin + "{}".len()
                }
                Node::Field(field) => match record.and_then(|record| (field.get)(record)) {
                    Some(value) => {
                        json::value(out, &value);
                        true
                    }
                    None => false,
                },
                Node::Made(write) => write(out, subject, context),
            };
            if !written {
                out.truncate(before);
            }
        }
    }
}
