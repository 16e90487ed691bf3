//! Where the text of a graph comes from, and where its lines are.
//!
//! The mapping `network.graph` in, a [`Graph`] out. Always true: a problem in a graph that stands in the
//! configuration itself names the configuration's line; a file is read only if it is a regular one, and
//! never more than [`MAX_BYTES`] of it, unpacked. What the text says is not here (`graph.rs`).
//!
//! Why `lzma-rust2` for xz: it is pure Rust, maintained, and without its `optimization` feature free of
//! unsafe code; bindings to liblzma need a C library at build or run time for a file that is read once.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::document::{Node, Scalar, Value};
use super::gml::Position;
use super::graph::{self, Graph};
use super::keys;
use super::problem::{Place, Report};
use super::programs::Surroundings;
use super::reader::{Mismatch, Section, nullable, text, word};

/// Longest text of a graph: a complete graph of 2,500 nodes fits.
pub(super) const MAX_BYTES: u64 = 1 << 30;

/// Memory that unpacking may take, in KiB.
const MAX_XZ_KIB: u32 = 256 * 1024;

/// How every file begins that xz wrote.
const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];

/// Finds the place of a position in the text of a graph.
pub(super) enum Locator<'t> {
    /// The text is a file.
    File(Arc<Path>),
    /// The text is a value in the configuration.
    Inline {
        /// The value.
        node: &'t Node,
        /// The value's text.
        text: &'t str,
        /// The configuration's text, if the value's lines are lines of it.
        source: Option<&'t str>,
    },
}

impl Locator<'_> {
    /// For a text that is a file.
    pub(super) fn of_file(file: Arc<Path>) -> Locator<'static> {
        Locator::File(file)
    }

    /// Report a problem at `position`.
    pub(super) fn problem(&self, position: Position, message: &str, report: &mut Report) {
        let (place, message) = self.locate(position, message);
        report.problem(&place, message);
    }

    /// Report a warning at `position`.
    pub(super) fn warning(&self, position: Position, message: &str, report: &mut Report) {
        let (place, message) = self.locate(position, message);
        report.warning(&place, message);
    }

    fn locate<'m>(&self, position: Position, message: &'m str) -> (Place, Cow<'m, str>) {
        let Position { line, column } = position;
        match self {
            Locator::File(file) => {
                (Place::Position { file: file.clone(), line, column }, Cow::Borrowed(message))
            }
            Locator::Inline { node, text, source } => {
                match source.and_then(|source| find_line(node, text, source, position)) {
                    Some(place) => (place, Cow::Borrowed(message)),
                    None => {
                        let message = format!("in line {line} of the graph: {message}");
                        (node.place.clone(), Cow::Owned(message))
                    }
                }
            }
        }
    }
}

/// The line of the configuration that became line `position.line` of a block of lines. The block's
/// indentation is gone from `text`; it is found again by comparing the two lines.
fn find_line(node: &Node, text: &str, source: &str, position: Position) -> Option<Place> {
    let Place::Position { file, line, .. } = &node.place else { return None };
    let line = line + position.line - 1;
    let inner = text.lines().nth(position.line - 1).unwrap_or("");
    let outer = source.lines().nth(line - 1).unwrap_or("");
    let indentation = outer.strip_suffix(inner)?;
    indentation.chars().all(|c| c == ' ').then(|| Place::Position {
        file: file.clone(),
        line,
        column: indentation.len() + position.column,
    })
}

/// Read `network.graph`; `source` is the text of the configuration.
pub(super) fn read(
    section: &Section<'_>,
    source: &str,
    surroundings: &Surroundings,
    report: &mut Report,
) -> Option<Graph> {
    #[derive(Clone, Copy, PartialEq)]
    enum Type {
        Gml,
        Switch,
    }
    let types = [("gml", Type::Gml), ("1_gbit_switch", Type::Switch)];
    let kind = section.required("type", "gml or 1_gbit_switch", word(&types), report)?;
    let inline = section.entry("inline");
    let file = section.entry("file");
    match (kind, inline, file) {
        (Type::Switch, None, None) => Some(graph::one_gbit_switch()),
        (Type::Switch, Some(entry), _) | (Type::Switch, None, Some(entry)) => {
            report.problem(
                &entry.place,
                format!("the graph 1_gbit_switch is built in and takes no {}", entry.key),
            );
            None
        }
        (Type::Gml, None, None) => {
            report.problem(
                section.place(),
                "a graph of type gml needs 'inline: |' and its text, or 'file: {path: ...}'",
            );
            None
        }
        (Type::Gml, Some(_), Some(entry)) => {
            report.problem(&entry.place, "a graph is inline or in a file, not both");
            None
        }
        (Type::Gml, Some(entry), None) => {
            let expected = "the text of a graph after 'inline: |'";
            section.optional("inline", |node| text(node, expected), report)?;
            let Value::Scalar(Scalar { text, is_literal, .. }) = &entry.node.value else {
                return None;
            };
            let source = is_literal.then_some(source);
            graph::read(text, &Locator::Inline { node: &entry.node, text, source }, report)
        }
        (Type::Gml, None, Some(entry)) => {
            let path = section.name("file");
            let section =
                Section::open(&entry.node, &entry.place, &path, &keys::GRAPH_FILE, report)?;
            read_file(&section, surroundings, report)
        }
    }
}

fn read_file(
    section: &Section<'_>,
    surroundings: &Surroundings,
    report: &mut Report,
) -> Option<Graph> {
    const EXPECTED: &str = "the path of a file such as ./graph.gml";
    let is_xz = section.optional("compression", nullable(word(&[("xz", ())])), report);
    let read_path = |node: &Node| {
        let path = text(node, EXPECTED)?;
        surroundings.expand(&path).map_err(|reason| Mismatch::because(EXPECTED, reason))
    };
    let path = section.required("path", EXPECTED, read_path, report)?;
    let is_xz = is_xz.flatten().is_some();
    match load(&path, is_xz) {
        Ok(text) => graph::read(&text, &Locator::of_file(path.into()), report),
        Err(reason) => {
            let path = path.display();
            report.problem(
                &section.place_of("path"),
                format!("the graph cannot be read from '{path}': {reason}"),
            );
            None
        }
    }
}

fn load(path: &Path, is_xz: bool) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let bytes = if is_xz {
        let reader = lzma_rust2::XzReader::new_mem_limit(&mut file, true, MAX_XZ_KIB);
        read_limited(reader).map_err(|reason| format!("unpacking it with xz failed: {reason}"))?
    } else {
        read_limited(&mut file)?
    };
    if !is_xz && bytes.starts_with(&XZ_MAGIC) {
        return Err("it is compressed: say so with 'compression: xz'".to_owned());
    }
    text_of(bytes)
}

/// All of `reader`, if it is not too much.
pub(super) fn read_limited(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is longer than {} MiB", MAX_BYTES >> 20));
    }
    Ok(bytes)
}

/// `bytes` as text.
pub(super) fn text_of(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is not text in UTF-8")
    })
}
