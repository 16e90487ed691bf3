//! `docs/protocol-layout.md`: the structures, messages and numbers of the protocol, as tables.
//!
//! Structures, messages and numbers in, a page of Markdown out. Always true: every one of them is on the page once.
//! What they mean together is `docs/protocol.md`, which is written by hand.

use std::fmt::Write;

use super::Parts;
use super::constants::{Constant, Group};
use super::messages::Message;
use super::structures::{CPiece, Structure};

const HEAD: &str = "\
# The protocol's layout

Made from `crates/shim-abi/` by `cargo run -p shim-gen`; do not edit. The normative text is [protocol.md](protocol.md), of
which these tables are a part; [protocol.h](protocol.h) has the same in C, with `SHIMPROTO_` before each number's name
and `struct shimproto_` before each structure's.

All numbers are little-endian. What a table calls reserved, or does not name at all, is zero when it is written and not
looked at when it is read. Offsets and sizes are in bytes, in decimal.
";

/// The page.
pub fn page(parts: &Parts) -> String {
    let mut page = String::from(HEAD);
    page.push_str("\n## Structures\n");
    parts.structures.iter().for_each(|structure| structure_table(&mut page, structure));
    page.push_str(
        "\n## Messages\n\nA message is eight 64-bit words. The lower half of word 0 is the tag; the column *0, upper* is its upper \
         half.\n`a / b`: `a` is the lower half of the word, `b` the upper. Words without a name are zero.\n",
    );
    messages_table(&mut page, "Requests: what a guest says", &parts.requests);
    messages_table(&mut page, "Replies: what is said to a guest", &parts.replies);
    page.push_str("\n## Numbers\n");
    parts.constants.iter().for_each(|group| group_table(&mut page, group));
    page
}

fn structure_table(page: &mut String, structure: &Structure) {
    let Structure { name, text, size, align, .. } = structure;
    let in_memory = if *align > 8 { format!(", at multiples of {align}") } else { String::new() };
    _ = write!(page, "\n### {name}\n\n{text} {size} bytes{in_memory}.\n\n");
    page.push_str("| Offset | Size | Field | Type | Meaning |\n|---:|---:|---|---|---|\n");
    for piece in structure.with_padding() {
        match piece {
            CPiece::Field(field) => {
                let (name, offset, size) = (&field.name, field.offset, field.size);
                let kind = field.c.declare("").replace(' ', "");
                let kind = kind.strip_prefix("structshimproto_").unwrap_or(&kind);
                let text = cell(&field.text);
                _ = writeln!(page, "| {offset} | {size} | `{name}` | `{kind}` | {text} |");
            }
            CPiece::Padding { offset, size } => {
                _ = writeln!(page, "| {offset} | {size} | | | Reserved. |");
            }
        }
    }
}

fn messages_table(page: &mut String, title: &str, messages: &[Message]) {
    _ = write!(page, "\n### {title}\n\n");
    page.push_str("| Tag | Name | 0, upper | 1 | 2 | 3 | 4 | 5 | 6 | 7 | Meaning |\n");
    page.push_str("|---:|---|---|---|---|---|---|---|---|---|---|\n");
    for message in messages {
        let words: String = message.words.iter().map(|word| format!(" {word} |")).collect();
        let text = cell(&message.text);
        _ = writeln!(page, "| {} | `{}` |{words} {text} |", message.tag, message.c_name);
    }
}

fn group_table(page: &mut String, group: &Group) {
    _ = write!(page, "\n### {}\n\n| Name | Value | Meaning |\n|---|---:|---|\n", group.title);
    for Constant { c_name, value, is_hex, text } in &group.constants {
        let text = cell(text);
        match is_hex {
            true => _ = writeln!(page, "| `{c_name}` | {value:#x} | {text} |"),
            false => _ = writeln!(page, "| `{c_name}` | {value} | {text} |"),
        }
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
