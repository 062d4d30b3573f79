//! Objects, member by member. Names are ours and need no escapes.

use std::net::IpAddr;

/// An object that is being written.
pub(crate) struct Object<'o> {
    out: &'o mut String,
    empty: bool,
}

/// Appends an object of the members that `fill` writes.
pub(crate) fn object(out: &mut String, fill: impl FnOnce(&mut Object<'_>)) {
    out.push('{');
    fill(&mut Object { out, empty: true });
    out.push('}');
}

impl Object<'_> {
    /// Begins a member; its value is for the caller to write.
    #[inline(always)]
    pub(crate) fn member(&mut self, name: &str) -> &mut String {
        self.out.push_str(if self.empty { "\"" } else { ",\"" });
        self.empty = false;
        self.out.push_str(name);
        self.out.push_str("\":");
        self.out
    }

    /// What was written so far; what is appended must be whole members.
    pub(crate) fn out(&mut self) -> &mut String {
        self.out
    }

    /// A text from outside.
    #[inline]
    pub(crate) fn text(&mut self, name: &str, text: &str) {
        super::text(self.member(name), text);
    }

    /// A text from outside, where there is one.
    #[inline]
    pub(crate) fn some_text(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A word of ours, which needs no escapes.
    #[inline(always)]
    pub(crate) fn word(&mut self, name: &str, word: &str) {
        let out = self.member(name);
        out.push('"');
        out.push_str(word);
        out.push('"');
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, name: &str, number: impl Into<u64>) {
        super::integer(self.member(name), number.into());
    }

    #[inline]
    pub(crate) fn some_number(&mut self, name: &str, number: Option<impl Into<u64>>) {
        if let Some(number) = number {
            self.number(name, number);
        }
    }

    #[inline(always)]
    pub(crate) fn truth(&mut self, name: &str, truth: bool) {
        self.member(name).push_str(if truth { "true" } else { "false" });
    }

    #[inline]
    pub(crate) fn address(&mut self, name: &str, ip: IpAddr) {
        super::address(self.member(name), ip);
    }

    /// Seconds with their fraction.
    #[inline]
    pub(crate) fn seconds(&mut self, name: &str, micros: i64) {
        super::seconds(self.member(name), micros);
    }

    /// An object.
    #[inline]
    pub(crate) fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        object(self.member(name), fill);
    }

    /// An object, unless `fill` writes nothing into it.
    #[inline]
    pub(crate) fn filled(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        let (before, empty) = (self.out.len(), self.empty);
        let out = self.member(name);
        out.push('{');
        let mut inside = Object { out, empty: true };
        fill(&mut inside);
        if inside.empty {
            self.out.truncate(before);
            self.empty = empty;
        } else {
            self.out.push('}');
        }
    }

    /// A list, each item written by `write`; nothing where it is empty.
    pub(crate) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut String, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        let out = self.member(name);
        out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                out.push(',');
            }
            write(out, item);
        }
        out.push(']');
    }

    /// A list of texts from outside; nothing where it is empty.
    pub(crate) fn texts<'t>(&mut self, name: &str, texts: impl IntoIterator<Item = &'t str>) {
        self.list(name, texts, super::text);
    }
}
