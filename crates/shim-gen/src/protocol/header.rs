//! `docs/protocol.h` and `tests/abi/protocol-layout.c`: the structures in C, and the proof that C lays them out so.
//!
//! Structures, messages and numbers in, two texts out. Always true: the header needs nothing but `stdint.h`, and
//! says nothing that a compiler for C11 or C++11 could understand in another way; every field has an assertion of its
//! offset and size, whose numbers are those of the Rust compiler.

use std::fmt::Write;

use super::Parts;
use super::constants::Constant;
use super::messages::Message;
use super::structures::{CPiece, Structure};

const HEAD: &str = r#"/* The protocol between a simulator and libshim.so: structures and numbers. What they mean is in protocol.md. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-abi/ by `cargo run -p shim-gen`; do not edit.

   For who writes a simulator; nothing of libshim is needed beside it. Structures have no alignment but that of their
   fields: what a field's comment says of alignment is true of offsets in memory files. A word that changes while
   memory is shared is to be read and written with atomic operations. */

#ifndef SHIM_PROTOCOL_H
#define SHIM_PROTOCOL_H

#include <stdint.h>
"#;

const SOURCE_HEAD: &str = r#"/* That C lays the protocol's structures out as libshim does: compiled, never run. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-abi/ by `cargo run -p shim-gen`; do not edit. */

#include "../../docs/protocol.h"

#include <stddef.h>

#ifdef __cplusplus
#define SHIMPROTO_ASSERT(condition) static_assert(condition, #condition)
#else
#define SHIMPROTO_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define SHIMPROTO_FIELD(structure, field, offset, size)                    \
    SHIMPROTO_ASSERT(offsetof(struct structure, field) == (offset)); \
    SHIMPROTO_ASSERT(sizeof(((struct structure *)0)->field) == (size))
"#;

/// Longest line of a comment.
const WIDTH: usize = 110;

/// The header.
pub fn header(parts: &Parts) -> String {
    let mut text = String::from(HEAD);
    for group in &parts.constants {
        _ = writeln!(text, "\n/* {}. */\n", group.title);
        group.constants.iter().for_each(|constant| define(&mut text, constant));
    }
    for (title, prefix, messages) in [
        ("What a guest says: the lower half of word 0", "REQUEST_", &parts.requests),
        ("What is said to a guest: the lower half of word 0", "REPLY_", &parts.replies),
    ] {
        _ = writeln!(text, "\n/* {title}. */\n");
        messages.iter().for_each(|message| define_message(&mut text, prefix, message));
    }
    for structure in &parts.structures {
        declare(&mut text, structure);
    }
    text.push_str("\n#endif /* SHIM_PROTOCOL_H */\n");
    text
}

fn define(text: &mut String, constant: &Constant) {
    let Constant { c_name, value, is_hex, .. } = constant;
    let suffix = if *value > u32::MAX.into() { "ULL" } else { "U" };
    match is_hex {
        true => _ = writeln!(text, "#define SHIMPROTO_{c_name} {value:#x}{suffix}"),
        false => _ = writeln!(text, "#define SHIMPROTO_{c_name} {value}{suffix}"),
    }
}

fn define_message(text: &mut String, prefix: &str, message: &Message) {
    _ = writeln!(text, "#define SHIMPROTO_{prefix}{} {}U", message.c_name, message.tag);
}

fn declare(text: &mut String, structure: &Structure) {
    text.push('\n');
    comment(text, "", &structure.text);
    _ = writeln!(text, "struct {} {{", structure.c_name());
    for piece in structure.with_padding() {
        match piece {
            CPiece::Field(field) => {
                comment(text, "    ", &field.text);
                _ = writeln!(text, "    {};", field.c.declare(&field.name));
            }
            CPiece::Padding { offset, size } => {
                _ = writeln!(text, "    uint8_t padding_at_{offset}[{size}];");
            }
        }
    }
    text.push_str("};\n");
}

/// A comment, in lines that are not too long.
fn comment(text: &mut String, indent: &str, sentences: &str) {
    let mut line = format!("{indent}/*");
    for word in sentences.replace('`', "").split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            text.push_str(&line);
            text.push('\n');
            line = format!("{indent}  ");
        }
        line.push(' ');
        line.push_str(word);
    }
    _ = writeln!(text, "{line} */");
}

/// The assertions.
pub fn assertions(parts: &Parts) -> String {
    let mut text = String::from(SOURCE_HEAD);
    for structure in &parts.structures {
        let name = structure.c_name();
        _ = writeln!(text, "\nSHIMPROTO_ASSERT(sizeof(struct {name}) == {});", structure.size);
        for field in &structure.fields {
            let (field_name, offset, size) = (&field.name, field.offset, field.size);
            _ = writeln!(text, "SHIMPROTO_FIELD({name}, {field_name}, {offset}, {size});");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_broken_between_words() {
        let mut text = String::new();
        comment(&mut text, "    ", &"`word` and ".repeat(30));
        assert!(
            text.lines().count() > 2 && text.lines().all(|line| line.len() <= WIDTH + 3),
            "{text}"
        );
        assert!(text.starts_with("    /* word and ") && text.ends_with(" */\n"), "{text}");
    }
}
