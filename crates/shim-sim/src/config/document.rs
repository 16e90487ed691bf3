//! Turns a YAML text into a tree whose nodes know where they stand.
//!
//! Text in, the root [`Node`] out, or problems. Always true: anchors, aliases and merge keys (`<<`) are
//! resolved, so that readers see lists, mappings and scalars only; no mapping has a key twice; a tree is
//! at most [`MAX_DEPTH`] deep and stands for at most [`MAX_VALUES`] values, aliases counted each time, so
//! that readers may recurse and repeat without a care. What keys and values mean is not here (`reader.rs`).
//!
//! Why events of `saphyr-parser` and not a loader with serde: messages need the place of every key and
//! value, also where the value itself is fine and only disagrees with another, and all problems are told
//! at once. The crate is the maintained heir of `yaml-rust`, passes the YAML test suite, holds no unsafe
//! code, does not recurse, and gives a span with each event. A tree with places and aliases takes a
//! page on top of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};

pub(super) use super::schema::Kind;

use super::problem::{Place, Report};
use super::schema::resolve;

/// Deepest nesting of lists and mappings that is accepted.
pub(super) const MAX_DEPTH: u32 = 64;

/// Most values that a file may stand for after aliases have been followed.
pub(super) const MAX_VALUES: u64 = 20_000_000;

/// One value of the document.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Where it begins.
    pub(super) place: Place,
    /// What it is.
    pub(super) value: Value,
    depth: u32,
    values: u64,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Anything that is one word or text.
    Scalar(Scalar),
    /// A list.
    List(Vec<Rc<Node>>),
    /// A mapping, in the order of the file; merged entries come last.
    Map(Vec<Entry>),
}

/// A word or text.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Scalar {
    /// As it was written, quotes and escapes resolved.
    pub(super) text: String,
    /// What YAML takes it for.
    pub(super) kind: Kind,
    /// Whether it is a block of lines that is taken as it stands (`|`).
    pub(super) is_literal: bool,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// Where the key stands.
    pub(super) place: Place,
    /// The value.
    pub(super) node: Rc<Node>,
}

impl Node {
    fn new(place: Place, value: Value) -> Node {
        let (depth, values) = match &value {
            Value::Scalar(_) => (0, 0),
            Value::List(items) => measure(items.iter()),
            Value::Map(entries) => measure(entries.iter().map(|entry| &entry.node)),
        };
        Node { place, value, depth: depth + 1, values: values.saturating_add(1) }
    }

    /// A scalar from the command line.
    pub(super) fn given(option: &'static str, text: &str) -> Node {
        let kind = if text == "null" { Kind::Null } else { Kind::Given };
        let scalar = Scalar { text: text.to_owned(), kind, is_literal: false };
        Node::new(Place::Option(option), Value::Scalar(scalar))
    }

    /// Nothing, at a place.
    pub(super) fn null(place: Place) -> Node {
        let scalar = Scalar { text: String::new(), kind: Kind::Null, is_literal: false };
        Node::new(place, Value::Scalar(scalar))
    }

    /// Whether it is nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { kind: Kind::Null, .. }))
    }

    /// The same document with the value at `path` replaced; sections that lack are made, and what is no
    /// section stays as it is, for readers to complain about.
    pub(super) fn with(self: &Rc<Node>, path: &[&str], value: Node) -> Rc<Node> {
        let Some((first, rest)) = path.split_first() else { return Rc::new(value) };
        let mut entries = match &self.value {
            Value::Map(entries) => entries.clone(),
            _ if self.is_null() => Vec::new(),
            _ => return self.clone(),
        };
        let place = value.place.clone();
        match entries.iter_mut().find(|entry| entry.key == *first) {
            Some(entry) => entry.node = entry.node.with(rest, value),
            None => {
                let node = Rc::new(Node::null(place.clone())).with(rest, value);
                entries.push(Entry { key: (*first).to_owned(), place, node });
            }
        }
        Rc::new(Node::new(self.place.clone(), Value::Map(entries)))
    }
}

fn measure<'n>(children: impl Iterator<Item = &'n Rc<Node>>) -> (u32, u64) {
    children.fold((0, 0), |(depth, values), child| {
        (depth.max(child.depth), values.saturating_add(child.values))
    })
}

/// Read the one document of `text`. Nothing is returned only if a problem was reported.
pub(super) fn parse(file: &Arc<Path>, text: &str, report: &mut Report) -> Option<Rc<Node>> {
    let mut builder = Builder {
        file: file.clone(),
        report,
        open: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.take(event, &span.start),
            Err(error) => {
                let place = builder.place(error.marker());
                Err((place, format!("this is not YAML: {}", error.info())))
            }
        };
        if let Err((place, message)) = taken {
            report.problem(&place, message);
            return None;
        }
    }
    let root = builder.root;
    if root.is_none() {
        report.problem(
            &Place::File(file.clone()),
            "the file is empty: it must have the sections general, network and hosts",
        );
    }
    root
}

/// What ends the reading of the document at once.
type Fatal = (Place, String);

struct Builder<'r> {
    file: Arc<Path>,
    report: &'r mut Report,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    root: Option<Rc<Node>>,
}

/// A list or mapping whose end has not come yet.
struct Open {
    anchor: usize,
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map {
        entries: Vec<Entry>,
        lines: BTreeMap<String, Place>,
        key: Option<(String, Place, bool)>,
        merged: Vec<Rc<Node>>,
    },
}

impl Builder<'_> {
    fn place(&self, marker: &Marker) -> Place {
        Place::Position {
            file: self.file.clone(),
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }

    fn take(&mut self, event: Event<'_>, start: &Marker) -> Result<(), Fatal> {
        let place = self.place(start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = resolve(&text, style, tag.as_deref())
                    .map_err(|message| (place.clone(), message))?;
                let is_literal = style == ScalarStyle::Literal;
                let is_plain = style == ScalarStyle::Plain;
                let scalar = Scalar { text: text.into_owned(), kind, is_literal };
                self.finish(Node::new(place, Value::Scalar(scalar)), anchor, is_plain)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = node.clone();
                    self.attach(node, &place, false)
                }
                None => Err((place, "this alias stands inside the value that it names".to_owned())),
            },
            Event::SequenceStart(anchor, tag) => {
                self.start(anchor, tag.as_deref(), place, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    lines: BTreeMap::new(),
                    key: None,
                    merged: Vec::new(),
                };
                self.start(anchor, tag.as_deref(), place, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((place, "a second document begins here, but only one is read".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn start(
        &mut self,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
        content: Content,
    ) -> Result<(), Fatal> {
        if let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) {
            return Err((place, format!("the tag '{tag}' means nothing here")));
        }
        if self.open.len() >= MAX_DEPTH as usize {
            return Err((place, format!("lists and mappings are nested deeper than {MAX_DEPTH}")));
        }
        self.open.push(Open { anchor, place, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fatal> {
        let Some(Open { anchor, place, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { mut entries, lines, merged, .. } => {
                let mut seen: BTreeSet<String> = lines.into_keys().collect();
                for node in merged {
                    self.merge(&node, &mut entries, &mut seen, true);
                }
                Value::Map(entries)
            }
        };
        self.finish(Node::new(place, value), anchor, false)
    }

    /// Add what `node` has and `entries` lack; of several sources the first wins.
    fn merge(
        &mut self,
        node: &Node,
        entries: &mut Vec<Entry>,
        seen: &mut BTreeSet<String>,
        may_list: bool,
    ) {
        match &node.value {
            Value::Map(more) => {
                for entry in more {
                    if seen.insert(entry.key.clone()) {
                        entries.push(entry.clone());
                    }
                }
            }
            Value::List(sources) if may_list => {
                for source in sources {
                    self.merge(source, entries, seen, false);
                }
            }
            _ => self.report.problem(
                &node.place,
                "the key << merges a mapping or a list of mappings, such as <<: *name",
            ),
        }
    }

    /// A value is complete: remember it under its anchor, and put it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize, is_plain: bool) -> Result<(), Fatal> {
        let place = node.place.clone();
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node, &place, is_plain)
    }

    fn attach(&mut self, node: Rc<Node>, place: &Place, is_plain: bool) -> Result<(), Fatal> {
        if node.depth > MAX_DEPTH {
            return Err((place.clone(), "anchors are nested too deeply".to_owned()));
        }
        if node.values > MAX_VALUES {
            return Err((
                place.clone(),
                format!("with its anchors the file stands for more than {MAX_VALUES} values"),
            ));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, lines, key, merged }) => match key.take() {
                None => {
                    let Value::Scalar(scalar) = &node.value else {
                        return Err((
                            place.clone(),
                            "a key must be a word, not a list or mapping".to_owned(),
                        ));
                    };
                    *key = Some((scalar.text.clone(), place.clone(), is_plain));
                }
                Some((name, _, true)) if name == "<<" => merged.push(node),
                Some((name, place, _)) => match lines.get(&name) {
                    Some(first) => {
                        let line = match first {
                            Place::Position { line, .. } => *line,
                            _ => 0,
                        };
                        self.report.problem(
                            &place,
                            format!("the key '{name}' was given already in line {line}"),
                        );
                    }
                    None => {
                        lines.insert(name.clone(), place.clone());
                        entries.push(Entry { key: name, place, node });
                    }
                },
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rc<Node>, Vec<String>> {
        let file: Arc<Path> = Path::new("f").into();
        let mut report = Report::default();
        let root = parse(&file, text, &mut report);
        let problems: Vec<String> =
            report.into_problems().iter().map(ToString::to_string).collect();
        match root {
            Some(root) if problems.is_empty() => Ok(root),
            _ => Err(problems),
        }
    }

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => format!("{:?} {}", scalar.kind, scalar.text),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| show(item)).collect::<Vec<_>>().join(", "))
            }
            Value::Map(entries) => {
                let show = |entry: &Entry| format!("{}: {}", entry.key, show(&entry.node));
                format!("{{{}}}", entries.iter().map(show).collect::<Vec<_>>().join(", "))
            }
        }
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let root = read(
            "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\nz: {<<: [*x, *y], c: 5}\nw: *x\nv:\n  <<: *x\n  a: 9\n",
        )
        .unwrap();
        let Value::Map(entries) = &root.value else { panic!() };
        assert_eq!(show(&entries[2].node), "{c: Integer(5) 5, a: Integer(1) 1, b: Integer(2) 2}");
        assert_eq!(show(&entries[3].node), show(&entries[0].node));
        assert_eq!(show(&entries[4].node), "{a: Integer(9) 9, b: Integer(2) 2}");
        assert!(read("a: {<<: 1}\n").unwrap_err()[0].contains("<<"));
        assert!(read("a: &x [*x]\n").unwrap_err()[0].contains("inside"));
    }

    #[test]
    fn places_count_from_one() {
        assert_eq!(
            read("a: 1\nb: 2\na: 3\n").unwrap_err(),
            ["f:3:1: the key 'a' was given already in line 1"]
        );
        let root = read("a:\n  b: c\n").unwrap();
        let Value::Map(entries) = &root.value else { panic!() };
        let Value::Map(inner) = &entries[0].node.value else { panic!() };
        assert_eq!(inner[0].place.to_string(), "f:2:3");
        assert_eq!(inner[0].node.place.to_string(), "f:2:6");
    }

    #[test]
    fn bombs_are_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
        }
        assert!(read(&text).unwrap_err()[0].contains("values"));
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..100_000 {
            text += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
        }
        assert!(read(&text).unwrap_err()[0].contains("deeply"));
        assert!(read(&"[".repeat(100)).unwrap_err()[0].contains("deeper"));
        assert!(read(&"- ".repeat(100_000)).unwrap_err()[0].contains("deeper"));
    }

    #[test]
    fn values_can_be_replaced() {
        let root = read("a: {b: 1}\n").unwrap();
        let root = root.with(&["a", "b"], Node::given("--b", "2"));
        let root = root.with(&["a", "c"], Node::given("--c", "null"));
        let root = root.with(&["d", "e"], Node::given("--e", "x"));
        assert_eq!(show(&root), "{a: {b: Given 2, c: Null null}, d: {e: Given x}}");
    }
}
