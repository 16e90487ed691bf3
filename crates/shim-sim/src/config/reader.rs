//! Typed reading of the document's tree.
//!
//! Nodes in, values out, or sentences that say what was found and what is expected, with an example.
//! Always true: reading goes on after a problem, so that all of them are told; whoever gets no value knows
//! that a problem was reported. Which keys there are is not here (`keys.rs`).

use std::ops::RangeInclusive;

use shim_abi::SimDuration;

use super::document::{Entry, Kind, Node, Scalar, Value};
use super::keys::{Shape, Table};
use super::problem::{Place, Report, did_you_mean};
use super::units;

/// What a value must be, and why it is not.
pub(super) struct Mismatch {
    expected: String,
    detail: Option<String>,
    item: Option<Item>,
}

/// The item of a list that is meant, if the list itself is fine.
struct Item {
    index: usize,
    place: Place,
    found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl Into<String>) -> Mismatch {
        Mismatch { expected: expected.into(), detail: None, item: None }
    }

    pub(super) fn because(expected: impl Into<String>, detail: impl Into<String>) -> Mismatch {
        Mismatch { expected: expected.into(), detail: Some(detail.into()), item: None }
    }

    /// It is about this item of a list.
    fn of_item(mut self, index: usize, node: &Node) -> Mismatch {
        self.item = Some(Item { index, place: node.place.clone(), found: describe(node) });
        self
    }

    /// Say that `node`, the value of `name`, is what it is, but must be something else.
    pub(super) fn report(self, name: &str, node: &Node, report: &mut Report) {
        let Mismatch { expected, detail, item } = self;
        let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
        match item {
            None => {
                let found = describe(node);
                let message = format!("{name} is {found}, but must be {expected}{detail}");
                report.problem(&node.place, message);
            }
            Some(Item { index, place, found }) => {
                let message = format!("{name}[{index}] is {found}, but must be {expected}{detail}");
                report.problem(&place, message);
            }
        }
    }
}

/// The outcome of reading one value.
pub(super) type Reading<T> = Result<T, Mismatch>;

/// A mapping whose keys have been checked.
pub(super) struct Section<'d> {
    path: String,
    place: Place,
    entries: &'d [Entry],
}

impl<'d> Section<'d> {
    /// `node` as a mapping with the keys of `table`; nothing at all is an empty mapping.
    pub(super) fn open(
        node: &'d Node,
        place: &Place,
        path: &str,
        table: &Table,
        report: &mut Report,
    ) -> Option<Section<'d>> {
        let entries: &[Entry] = match &node.value {
            Value::Map(entries) => entries,
            _ if node.is_null() => &[],
            _ => {
                let keys = table.used.iter().take(3).map(|key| format!("'{key}: ...'"));
                let keys = keys.collect::<Vec<_>>().join(", ");
                let found = describe(node);
                report.problem(
                    &node.place,
                    format!("{path} is {found}, but must be a mapping with keys such as {keys}"),
                );
                return None;
            }
        };
        let section = Section { path: path.to_owned(), place: place.clone(), entries };
        for entry in entries {
            section.check_key(entry, table, report);
        }
        Some(section)
    }

    /// The mapping of the whole file.
    pub(super) fn of_root(
        entries: &'d [Entry],
        place: &Place,
        table: &Table,
        report: &mut Report,
    ) -> Section<'d> {
        let section = Section { path: String::new(), place: place.clone(), entries };
        for entry in entries.iter().filter(|entry| !entry.key.starts_with("x-")) {
            section.check_key(entry, table, report);
        }
        section
    }

    fn check_key(&self, entry: &Entry, table: &Table, report: &mut Report) {
        let key = entry.key.as_str();
        if table.used.contains(&key) {
            return;
        }
        let name = self.name(key);
        if let Some(unused) = table.unused.iter().find(|unused| unused.key == key) {
            if let Err(mismatch) = shape(&entry.node, &unused.shape) {
                self.complain(key, &entry.node, mismatch, report);
            }
            let why = unused.why;
            report.warning(&entry.place, format!("{name} has no effect here: {why}"));
            return;
        }
        if let Some((_, instead)) = table.gone.iter().find(|(gone, _)| *gone == key) {
            report.problem(&entry.place, format!("the key {name} is of older versions: {instead}"));
            return;
        }
        let known = table.used.iter().copied().chain(table.unused.iter().map(|unused| unused.key));
        let guess = did_you_mean(key, known);
        let guess = match guess.as_str() {
            "" if key.starts_with("x-") => {
                ": only at the top of the file are keys that begin with x- ignored".to_owned()
            }
            "" => format!(", the keys here are {}", table.used.join(", ")),
            _ => guess,
        };
        let key = shorten(key);
        let inside =
            if self.path.is_empty() { String::new() } else { format!(" in {}", self.path) };
        report.problem(&entry.place, format!("unknown key '{key}'{inside}{guess}"));
    }

    /// The full name of a key.
    pub(super) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where the section begins.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The entry with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&'d Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Where a value stands, or where it would have to stand.
    pub(super) fn place_of(&self, key: &str) -> Place {
        self.entry(key).map_or_else(|| self.place.clone(), |entry| entry.node.place.clone())
    }

    /// The value of `key`, if it is there and right.
    pub(super) fn optional<T>(
        &self,
        key: &str,
        read: impl Fn(&'d Node) -> Reading<T>,
        report: &mut Report,
    ) -> Option<T> {
        let node = &self.entry(key)?.node;
        match read(node) {
            Ok(value) => Some(value),
            Err(mismatch) => {
                self.complain(key, node, mismatch, report);
                None
            }
        }
    }

    /// The value of `key`, which must be there.
    pub(super) fn required<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&'d Node) -> Reading<T>,
        report: &mut Report,
    ) -> Option<T> {
        if self.entry(key).is_none() {
            report.problem(&self.place, format!("{} is missing: {expected}", self.name(key)));
        }
        self.optional(key, read, report)
    }

    fn complain(&self, key: &str, node: &Node, mismatch: Mismatch, report: &mut Report) {
        mismatch.report(&self.name(key), node, report);
    }
}

/// What a node is, for people.
pub(super) fn describe(node: &Node) -> String {
    match &node.value {
        Value::List(items) if items.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(Scalar { text, kind, .. }) => match kind {
            Kind::Null => "empty".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Integer(_) | Kind::Float => format!("the number {}", shorten(text)),
            Kind::Text | Kind::Given => format!("the text '{}'", shorten(text)),
        },
    }
}

/// `text` at a bearable length.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 40;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// `null`, or what `read` reads.
pub(super) fn nullable<'d, T>(
    read: impl Fn(&'d Node) -> Reading<T>,
) -> impl Fn(&'d Node) -> Reading<Option<T>> {
    move |node| match read(node) {
        _ if node.is_null() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(mut mismatch) => {
            mismatch.expected.push_str(", or null");
            Err(mismatch)
        }
    }
}

fn scalar<'n>(node: &'n Node, expected: &str) -> Reading<&'n Scalar> {
    match &node.value {
        Value::Scalar(scalar) if scalar.kind != Kind::Null => Ok(scalar),
        _ => Err(Mismatch::new(expected)),
    }
}

/// Text. A plain number or truth value is none: nobody knows whether `1.50` or `1.5` was meant.
pub(super) fn text(node: &Node, expected: &str) -> Reading<String> {
    let scalar = scalar(node, expected)?;
    match scalar.kind {
        Kind::Text | Kind::Given => Ok(scalar.text.clone()),
        _ => Err(Mismatch::because(
            expected,
            format!("to have it as text, write it in quotes: \"{}\"", shorten(&scalar.text)),
        )),
    }
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Reading<bool> {
    const EXPECTED: &str = "true or false";
    let scalar = scalar(node, EXPECTED)?;
    match (scalar.kind, scalar.text.as_str()) {
        (Kind::Bool(value), _) => Ok(value),
        (Kind::Given, "true") => Ok(true),
        (Kind::Given, "false") => Ok(false),
        _ => Err(Mismatch::new(EXPECTED)),
    }
}

/// A whole number.
pub(super) fn integer(range: RangeInclusive<i128>) -> impl Fn(&Node) -> Reading<i128> {
    move |node| {
        let expected = match (*range.start(), *range.end()) {
            (0, end) if end >= i128::from(u32::MAX) => {
                format!("a whole number from 0 to {end}, such as 1")
            }
            (start, end) => format!("a whole number from {start} to {end}"),
        };
        let scalar = scalar(node, &expected)?;
        let value = match scalar.kind {
            Kind::Integer(value) => Some(value),
            Kind::Given => scalar.text.parse().ok(),
            _ => None,
        };
        value.filter(|value| range.contains(value)).ok_or_else(|| Mismatch::new(expected))
    }
}

/// Something with a unit, or a bare whole number.
fn quantity<T>(
    node: &Node,
    expected: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Reading<T> {
    let scalar = scalar(node, expected)?;
    match scalar.kind {
        Kind::Integer(value) => read(&value.to_string()),
        Kind::Bool(_) => return Err(Mismatch::new(expected)),
        _ => read(&scalar.text),
    }
    .map_err(|detail| Mismatch::because(expected, detail))
}

/// A length of time.
pub(super) fn time(node: &Node) -> Reading<SimDuration> {
    quantity(node, "a time such as 10 s, 5 min or 100 ms", units::time)
}

/// A length of time that may be negative, in nanoseconds.
pub(super) fn signed_time(node: &Node) -> Reading<i64> {
    quantity(node, "a time such as 10 s or -100 ms", units::signed_time)
}

/// A number of bytes.
pub(super) fn size(node: &Node) -> Reading<u64> {
    quantity(node, "a size such as 4 GiB, 10 MB or 65535", units::size)
}

/// Bits per second, more than none.
pub(super) fn bandwidth(node: &Node) -> Reading<u64> {
    const EXPECTED: &str = "a bandwidth such as 1 Gbit or 81920 Kibit";
    match quantity(node, EXPECTED, units::bandwidth)? {
        0 => Err(Mismatch::because(EXPECTED, "with no bandwidth nothing ever arrives")),
        bits => Ok(bits),
    }
}

/// A list; `expected` is told if it is none.
pub(super) fn list_of<'d, T>(
    node: &'d Node,
    expected: &str,
    read: impl Fn(&'d Node) -> Reading<T>,
) -> Reading<Vec<T>> {
    let Value::List(items) = &node.value else { return Err(Mismatch::new(expected)) };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| read(item).map_err(|mismatch| mismatch.of_item(index, item)))
        .collect()
}

/// One of some words.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl Fn(&Node) -> Reading<T> {
    move |node| {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let expected = match names.split_last() {
            Some((last, [])) => format!("'{last}'"),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        let scalar = scalar(node, &expected)?;
        let known = words.iter().find(|(name, _)| *name == scalar.text);
        known.map(|(_, value)| *value).ok_or_else(|| match did_you_mean(&scalar.text, names) {
            guess if guess.is_empty() => Mismatch::new(expected),
            guess => Mismatch::because(expected, guess.trim_start_matches(", ")),
        })
    }
}

/// Check a value that is not used any further.
fn shape(node: &Node, shape: &Shape) -> Reading<()> {
    let words = |list: &[&'static str]| list.iter().map(|name| (*name, ())).collect::<Vec<_>>();
    match shape {
        Shape::Boolean => boolean(node).map(drop),
        Shape::Integer => integer(0..=i128::from(u64::MAX))(node).map(drop),
        Shape::Time => time(node).map(drop),
        Shape::TimeOrNothing => nullable(time)(node).map(drop),
        Shape::Size => size(node).map(drop),
        Shape::Word(list) => word(&words(list))(node),
        Shape::Words(list) => match &node.value {
            Value::List(_) => list_of(node, "", word(&words(list))).map(drop),
            _ => Err(Mismatch::new(format!("a list of some of {}", list.join(", ")))),
        },
    }
}
