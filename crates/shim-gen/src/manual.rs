//! `man/*.3`: a page of the manual for each function, from the comment above its declaration.
//!
//! The headers that [`crate::headers`] made in, pages in man(7)'s macros out. Always true: a page says
//! what the header says, in the order in which manual pages say it; nothing is added but the names of
//! sections. The page of the concepts, shim(7), is written by hand and not made here.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::files::Made;
use crate::headers::library_of;

/// The day on which the contents of the pages last changed much; no build may depend on its own day.
const DATE: &str = "2026-11-24";
/// Longest line of a page's source.
const WIDTH: usize = 78;
/// What can stand before a colon beside the names of parameters, and the section that it becomes.
const LABELS: &[(&str, &str)] = &[
    ("Ownership", ""),
    ("Returns", "RETURN VALUE"),
    ("Errors", "ERRORS"),
    ("Threads and signals", "THREADS AND SIGNALS"),
    ("Outside a simulation", "OUTSIDE A SIMULATION"),
    ("Since", "HISTORY"),
];

/// A function as its header declares it.
#[derive(Debug)]
struct Function {
    header: String,
    name: String,
    /// What it returns.
    result: String,
    /// Type and name of each.
    parameters: Vec<(String, String)>,
    /// The sentence that opens its comment.
    summary: String,
    paragraphs: Vec<String>,
    /// Words before a colon, and what stands behind it, in the comment's order.
    labelled: Vec<(String, String)>,
}

/// The pages of all functions that these headers declare.
pub fn pages(headers: &[Made]) -> Vec<Made> {
    let mut functions = Vec::new();
    for made in headers {
        let header = made.path.trim_start_matches("include/");
        for piece in made.text.split("/**\n").skip(1) {
            let Some((comment, code)) = piece.split_once("*/\n") else { continue };
            if code.starts_with("SHIM_API") {
                functions.push(function(header, comment, code));
            }
        }
    }
    let names: BTreeSet<String> = functions.iter().map(|f| f.name.clone()).collect();
    functions
        .iter()
        .map(|f| Made { path: format!("man/{}.3", f.name), text: page(f, &names) })
        .collect()
}

fn function(header: &str, comment: &str, code: &str) -> Function {
    let declaration = code.split(';').next().unwrap_or_default();
    let words: Vec<&str> = declaration
        .split_whitespace()
        .filter(|word| !word.starts_with("SHIM_") || word.contains('('))
        .collect();
    let declaration = words.join(" ");
    let (before, list) = declaration.split_once('(').expect("it is a function");
    let (result, name) = split_name(before);
    let list = list.trim_end_matches(')');
    let parameters: Vec<(String, String)> = list
        .split(", ")
        .filter(|parameter| !matches!(*parameter, "void" | ""))
        .map(split_name)
        .collect();
    let mut function = Function {
        header: header.into(),
        name,
        result,
        parameters,
        summary: String::new(),
        paragraphs: Vec::new(),
        labelled: Vec::new(),
    };
    read_comment(&mut function, comment);
    function
}

/// `const char *text` is `const char *` and `text`.
fn split_name(declaration: &str) -> (String, String) {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let at = declaration.rfind(|c| !is_name(c)).map_or(0, |at| at + 1);
    (declaration[..at].to_owned(), declaration[at..].to_owned())
}

fn read_comment(function: &mut Function, comment: &str) {
    let lines = comment.lines().map(|line| line.trim_start().trim_start_matches('*').trim());
    let mut is_new = true;
    for line in lines {
        let label = line.split_once(": ").filter(|(word, _)| is_label(function, word));
        if let Some((word, text)) = label {
            function.labelled.push((word.to_owned(), text.to_owned()));
        } else if line.is_empty() {
            is_new = true;
        } else if let Some((_, text)) = function.labelled.last_mut() {
            _ = write!(text, " {line}");
        } else if is_new {
            function.paragraphs.push(line.to_owned());
            is_new = false;
        } else if let Some(text) = function.paragraphs.last_mut() {
            _ = write!(text, " {line}");
        }
    }
    function.summary = function.paragraphs.remove(0);
}

fn is_label(function: &Function, word: &str) -> bool {
    let is_parameter = |word: &str| function.parameters.iter().any(|(_, name)| name == word);
    LABELS.iter().any(|(label, _)| *label == word)
        || is_parameter(word)
        || word.split_once(" to ").is_some_and(|(a, b)| is_parameter(a) && is_parameter(b))
}

fn page(function: &Function, names: &BTreeSet<String>) -> String {
    let name = &function.name;
    let library = library_of(&function.header);
    let mut page = format!(
        ".\\\" SPDX-License-Identifier: MIT OR Apache-2.0\n\
         .\\\" Made from {} by `cargo run -p shim-gen`; do not edit.\n",
        library.folder
    );
    let version = env!("CARGO_PKG_VERSION");
    _ = writeln!(page, ".TH {name} 3 \"{DATE}\" \"libshim {version}\" \"libshim\"");
    let short = function.summary.trim_end_matches('.');
    _ = writeln!(page, ".SH NAME\n{name} \\- {}", escape(&lower(short)));
    let linked = escape(&library.name.replacen("lib", "-l", 1));
    _ = writeln!(
        page,
        ".SH LIBRARY\n{}\n.RI ( {} \", \" {linked} )",
        library.purpose,
        escape(library.name)
    );
    _ = writeln!(
        page,
        ".SH SYNOPSIS\n.nf\n.B #include <{}>\n.PP\n{}.fi",
        function.header,
        synopsis(function)
    );

    page.push_str(".SH DESCRIPTION\n");
    let others = |text: &str| text_of(text, name, names);
    for (i, paragraph) in std::iter::once(&function.summary).chain(&function.paragraphs).enumerate()
    {
        _ = write!(page, "{}{}", if i == 0 { "" } else { ".PP\n" }, others(paragraph));
    }
    for (word, text) in function.labelled.iter().filter(|(word, _)| section(word).is_none()) {
        if word == "Ownership" {
            continue;
        }
        _ = write!(page, ".TP\n.I {word}\n{}", others(&upper(text)));
    }
    if let Some((_, text)) = function.labelled.iter().find(|(word, _)| word == "Ownership") {
        _ = write!(page, ".PP\nOwnership:\n{}", others(text));
    }
    for (label, title) in LABELS.iter().filter(|(_, title)| !title.is_empty()) {
        let Some((_, text)) = function.labelled.iter().find(|(word, _)| word == label) else {
            continue;
        };
        let text = match *label {
            "Since" => format!("Since libshim {text}"),
            _ => upper(text),
        };
        _ = write!(page, ".SH {title}\n{}", others(&text));
    }
    page.push_str(".SH SEE ALSO\n");
    for other in mentioned(function, names) {
        _ = writeln!(page, ".BR {other} (3),");
    }
    _ = writeln!(page, ".BR {} (7)", escape(library.concepts));
    page
}

fn section(label: &str) -> Option<&'static str> {
    LABELS.iter().find(|(word, title)| *word == label && !title.is_empty()).map(|(_, title)| *title)
}

/// The prototype, one parameter a line if it is long.
fn synopsis(function: &Function) -> String {
    let Function { name, result, parameters, .. } = function;
    if parameters.is_empty() {
        return format!(".BI \"{result}{name}(void);\"\n");
    }
    let plain: usize = parameters.iter().map(|(kind, name)| kind.len() + name.len() + 2).sum();
    let between = if result.len() + name.len() + plain > WIDTH { ",\"\n.BI \"    " } else { ", " };
    let list: Vec<String> =
        parameters.iter().map(|(kind, parameter)| format!("{kind}\" {parameter} \"")).collect();
    format!(".BI \"{result}{name}({});\"\n", list.join(between))
}

fn mentioned<'a>(function: &Function, names: &'a BTreeSet<String>) -> Vec<&'a str> {
    let mut text = function.summary.clone() + " " + &function.paragraphs.join(" ");
    for (_, more) in &function.labelled {
        _ = write!(text, " {more}");
    }
    let words: BTreeSet<&str> = words(&text).collect();
    names.iter().map(String::as_str).filter(|n| *n != function.name && words.contains(n)).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

fn first_word_is_code(text: &str) -> bool {
    let word = text.split(' ').next().unwrap_or_default();
    word.contains('_') || word.chars().skip(1).any(char::is_uppercase)
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(c) if !first_word_is_code(text) => c.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(c) if !first_word_is_code(text) => c.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// Running text: a sentence begins a line, functions of this library are set as references.
fn text_of(text: &str, own: &str, names: &BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let bare: String =
            word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let shown = if names.contains(&bare) {
            let after = &word[bare.len()..];
            let reference = if bare == own || after.starts_with('(') { "" } else { "(3)" };
            format!("\\fB{bare}\\fP{reference}{}", escape(after))
        } else {
            escape(word)
        };
        if !line.is_empty() && line.len() + 1 + shown.len() > WIDTH {
            out.push_str(&std::mem::take(&mut line));
            out.push('\n');
        }
        if !line.is_empty() {
            line.push(' ');
        } else if shown.starts_with(['.', '\'']) {
            line.push_str("\\&");
        }
        line.push_str(&shown);
        if shown.ends_with(['.', '?']) {
            out.push_str(&std::mem::take(&mut line));
            out.push('\n');
        }
    }
    if !line.is_empty() {
        out.push_str(&line);
        out.push('\n');
    }
    out
}
