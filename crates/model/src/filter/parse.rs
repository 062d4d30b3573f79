//! The parser: one pass over the text, recursive, its depth limited.

use super::value::{self, Operator, Written};
use super::{Expression, FilterError, MAX_DEPTH, MAX_LIST, MAX_REGEXES, MAX_TEXT, Test, names};
use crate::Severity;
use crate::fields::Type;

/// Reads a filter. An empty text, or `*`, matches everything.
///
/// # Errors
/// The first thing that is wrong, with its place and what to do.
pub fn parse(text: &str) -> Result<Expression, FilterError> {
    if text.len() > MAX_TEXT {
        return Err(FilterError {
            text: text.chars().take(40).collect(),
            offset: 0,
            length: 0,
            message: format!("the filter is longer than {MAX_TEXT} bytes"),
            hint: None,
        });
    }
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
        regexes: 0,
    };
    parser.space();
    if parser.rest().is_empty() {
        return Ok(Expression::All);
    }
    let expression = parser.alternatives()?;
    parser.space();
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.error(1, "a `)` without its `(`", None)),
    }
}

/// Does this character end an unquoted word?
pub(super) fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"')
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    regexes: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, prefix: &str) -> bool {
        let taken = self.rest().starts_with(prefix);
        if taken {
            self.at += prefix.len();
        }
        taken
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn error(&self, length: usize, message: impl Into<String>, hint: Option<&str>) -> FilterError {
        self.error_at(self.at, length, message, hint)
    }

    fn error_at(
        &self,
        offset: usize,
        length: usize,
        message: impl Into<String>,
        hint: Option<&str>,
    ) -> FilterError {
        FilterError {
            text: self.text.to_owned(),
            offset,
            length,
            message: message.into(),
            hint: hint.map(str::to_owned),
        }
    }

    /// Is this keyword next, in any case, as a word of its own?
    fn at_keyword(&self, keyword: &str) -> bool {
        let rest = self.rest();
        rest.get(..keyword.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(keyword))
            && rest[keyword.len()..]
                .chars()
                .next()
                .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.space();
        let found = self.at_keyword(keyword);
        if found {
            self.at += keyword.len();
        }
        found
    }

    fn alternatives(&mut self) -> Result<Expression, FilterError> {
        let mut items = vec![self.sequence()?];
        while self.keyword("or") {
            items.push(self.sequence()?);
        }
        Ok(one_or(items, Expression::Or))
    }

    fn sequence(&mut self) -> Result<Expression, FilterError> {
        let mut items = vec![self.factor()?];
        loop {
            if self.keyword("and") {
                items.push(self.factor()?);
                continue;
            }
            self.space();
            if matches!(self.peek(), None | Some(')')) || self.at_keyword("or") {
                return Ok(one_or(items, Expression::And));
            }
            items.push(self.factor()?);
        }
    }

    fn factor(&mut self) -> Result<Expression, FilterError> {
        self.space();
        let start = self.at;
        let negated = self.take("!") || self.keyword("not");
        if negated || self.take("(") {
            self.depth += 1;
            if self.depth > MAX_DEPTH {
                let message = format!("nested more than {MAX_DEPTH} deep");
                return Err(self.error_at(start, 1, message, None));
            }
            let inner = if negated {
                Expression::Not(Box::new(self.factor()?))
            } else {
                let inner = self.alternatives()?;
                self.space();
                if !self.take(")") {
                    return Err(self.error_at(start, 1, "this `(` is never closed", Some("add a `)`")));
                }
                inner
            };
            self.depth -= 1;
            return Ok(inner);
        }
        let missing = if self.rest().is_empty() || self.peek() == Some(')') {
            Some("a condition is missing here")
        } else if self.at_keyword("or") || self.at_keyword("and") {
            Some("a condition is missing before this word")
        } else {
            None
        };
        if let Some(message) = missing {
            let hint = "to search for the word itself, put it in quotes";
            let word = self.word().len();
            return Err(self.error(word, message, (word > 0).then_some(hint)));
        }
        let term = self.term()?;
        match self.peek() {
            None | Some(')') => Ok(term),
            Some(c) if c.is_whitespace() => Ok(term),
            Some(_) => Err(self.error(
                1,
                "a space is missing here",
                Some("put values with spaces or `( ) ,` in quotes"),
            )),
        }
    }

    /// The unquoted word that begins here.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(ends_word).unwrap_or(rest.len())]
    }

    fn term(&mut self) -> Result<Expression, FilterError> {
        let start = self.at;
        let word = self.word();
        if let Some(network) = value::network(word) {
            self.at += word.len();
            return self.compare_named("ip", start, Test::Within(network));
        }
        let length = word
            .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'))
            .unwrap_or(word.len());
        let name = &word[..length];
        self.at += length;
        if let Some((operator, negated)) = self.operator() {
            if name.is_empty() {
                let hint = Some("write a field's name before it, or put the text in quotes");
                return Err(self.error_at(start, 1, "a name is missing before this", hint));
            }
            let compare = self.comparison(name, start, operator)?;
            return Ok(if negated {
                Expression::Not(Box::new(compare))
            } else {
                compare
            });
        }
        self.at = start;
        self.bare(start)
    }

    fn operator(&mut self) -> Option<(Operator, bool)> {
        const OPERATORS: &[(&str, Operator, bool)] = &[
            ("!=", Operator::Is, true),
            ("<=", Operator::AtMost, false),
            (">=", Operator::AtLeast, false),
            (":", Operator::Is, false),
            ("=", Operator::Is, false),
            ("~", Operator::Contains, false),
            ("<", Operator::Less, false),
            (">", Operator::More, false),
        ];
        OPERATORS
            .iter()
            .find(|(sign, ..)| self.take(sign))
            .map(|(_, operator, negated)| (*operator, *negated))
    }

    /// A value without a name: looked for in the fields of `any`.
    fn bare(&mut self, start: usize) -> Result<Expression, FilterError> {
        let test = match self.value()? {
            Some(Written::Word("*")) => return Ok(Expression::All),
            Some(Written::Word(word)) if !super::Glob::has_wildcard(word) => Test::Contains(word.into()),
            Some(Written::Quoted(text)) => Test::Contains(text.into()),
            Some(other) => self.tested(Type::Text, Operator::Is, &other, start)?,
            None => {
                let hint = Some("put values with `( ) ,` in quotes");
                return Err(self.error(1, "this cannot stand here", hint));
            }
        };
        self.compare_named("any", start, test)
    }

    fn compare_named(&self, name: &str, start: usize, test: Test) -> Result<Expression, FilterError> {
        let named = names::find(name).ok_or_else(|| self.unknown(name, start))?;
        Ok(Expression::Compare {
            fields: named.fields,
            test,
        })
    }

    fn unknown(&self, name: &str, start: usize) -> FilterError {
        let hint = match names::nearest(name) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "docs/fields.md lists the fields; a text with `:` in it needs quotes".to_owned(),
        };
        self.error_at(start, name.len(), format!("unknown field `{name}`"), Some(&hint))
    }

    fn comparison(
        &mut self,
        name: &str,
        start: usize,
        operator: Operator,
    ) -> Result<Expression, FilterError> {
        let mut named = names::find(name).ok_or_else(|| self.unknown(name, start))?;
        let by_severity = named.fields.iter().any(|field| field.name == "log.level")
            && !matches!(operator, Operator::Is | Operator::Contains);
        if by_severity && let Some(number) = names::find("event.severity") {
            named = number;
        }
        let mut tests = Vec::new();
        loop {
            let begin = self.at;
            let Some(value) = self.value()? else {
                let hint = "`*` asks whether the field is set; `\"\"` is the empty text";
                return Err(self.error_at(begin, 0, "a value is missing here", Some(hint)));
            };
            let value = match value {
                Written::Word(word) if by_severity => Written::Quoted(self.severity(word, begin)?),
                value => value,
            };
            tests.push(self.tested(named.kind, operator, &value, begin)?);
            let list = matches!(operator, Operator::Is | Operator::Contains);
            if !list || !self.take(",") {
                break;
            }
            if tests.len() == MAX_LIST {
                let message = format!("a list of more than {MAX_LIST} values");
                return Err(self.error(0, message, None));
            }
        }
        let test = match tests.len() {
            1 => tests.swap_remove(0),
            _ => Test::Any(tests),
        };
        Ok(Expression::Compare {
            fields: named.fields,
            test,
        })
    }

    /// `severity>=high` compares the numbers behind the names.
    fn severity(&self, word: &str, begin: usize) -> Result<String, FilterError> {
        match Severity::from_name(word) {
            Some(severity) => Ok(severity.number().to_string()),
            None => Err(self.error_at(
                begin,
                word.len(),
                "not a severity",
                Some("severities are info, low, medium, high and critical"),
            )),
        }
    }

    fn tested(
        &mut self,
        kind: Type,
        operator: Operator,
        value: &Written<'_>,
        begin: usize,
    ) -> Result<Test, FilterError> {
        if matches!(value, Written::Regex { .. }) {
            self.regexes += 1;
            if self.regexes > MAX_REGEXES {
                let message = format!("more than {MAX_REGEXES} regular expressions");
                return Err(self.error_at(begin, self.at - begin, message, None));
            }
        }
        value::test(kind, operator, value)
            .map_err(|(message, hint)| self.error_at(begin, self.at - begin, message, hint.as_deref()))
    }

    /// One value, `None` where none begins here.
    fn value(&mut self) -> Result<Option<Written<'a>>, FilterError> {
        if self.peek() == Some('"') {
            return self.quoted().map(Some);
        }
        if let Some((source, ignore_case, length)) = regex(self.rest()) {
            self.at += length;
            return Ok(Some(Written::Regex { source, ignore_case }));
        }
        let word = self.word();
        self.at += word.len();
        Ok((!word.is_empty()).then_some(Written::Word(word)))
    }

    /// `\"` and `\\` stand for `"` and `\`; every other character for itself.
    fn quoted(&mut self) -> Result<Written<'a>, FilterError> {
        let start = self.at;
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((offset, c)) = characters.next() {
            match c {
                '"' => {
                    self.at = start + offset + 1;
                    return Ok(Written::Quoted(text));
                }
                '\\' => match characters.next_if(|(_, next)| matches!(next, '"' | '\\')) {
                    Some((_, next)) => text.push(next),
                    None => text.push('\\'),
                },
                c => text.push(c),
            }
        }
        Err(self.error_at(start, 1, "this quote is never closed", Some("add a `\"`")))
    }
}

/// The source, flag and length of the `/regular expression/` that begins here. It holds no white space and no
/// slash without a backslash, and ends where a value may end; everything else (`/usr/bin/ssh`) is a word.
fn regex(rest: &str) -> Option<(&str, bool, usize)> {
    let body = rest.strip_prefix('/')?;
    let mut characters = body.char_indices();
    let end = loop {
        match characters.next()? {
            (end, '/') => break end,
            (_, '\\') => {
                let (_, escaped) = characters.next()?;
                if escaped.is_whitespace() {
                    return None;
                }
            }
            (_, c) if c.is_whitespace() => return None,
            _ => {}
        }
    };
    let after = &body[end + 1..];
    let ignore_case = after.starts_with('i');
    let after = after.strip_prefix('i').unwrap_or(after);
    let ends = after
        .chars()
        .next()
        .is_none_or(|c| c.is_whitespace() || matches!(c, ')' | ','));
    let length = rest.len() - after.len();
    (ends && end > 0).then_some((&body[..end], ignore_case, length))
}

fn one_or(mut items: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match items.len() {
        1 => items.swap_remove(0),
        _ => many(items),
    }
}
