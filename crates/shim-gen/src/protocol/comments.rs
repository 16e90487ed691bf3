//! What the comments of a source file say about its items.
//!
//! A file of `shim-abi` in, sentences in Markdown out. Always true: a comment that is looked for and is not
//! there ends the tool, so that no description is lost in silence; links of rustdoc become plain code. What is done
//! with the sentences is not here.

use std::io;

use crate::files::root;

/// A source file.
#[derive(Debug)]
pub struct Source {
    name: &'static str,
    text: String,
}

impl Source {
    /// A file of `shim-abi`, such as `host.rs`.
    pub fn read(name: &'static str) -> io::Result<Source> {
        let path = root().join("crates/shim-abi/src").join(name);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Source { name, text })
    }

    /// What stands above the item whose line begins with `declaration`, such as `pub struct HostBlock`.
    pub fn of_item(&self, declaration: &str) -> String {
        self.above(self.line_of(0, declaration), declaration)
    }

    /// What stands above the line that begins with `member` in the item whose line begins with `declaration`.
    pub fn of_member(&self, declaration: &str, member: &str) -> String {
        self.above(self.line_of(self.line_of(0, declaration) + 1, member), member)
    }

    fn line_of(&self, from: usize, beginning: &str) -> usize {
        let begins = |line: &str| {
            let rest = line.trim_start().strip_prefix(beginning);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        let found = self.text.lines().enumerate().skip(from).find(|(_, line)| begins(line));
        found.unwrap_or_else(|| panic!("{}: nothing begins with {beginning}", self.name)).0
    }

    fn above(&self, line: usize, what: &str) -> String {
        let lines: Vec<&str> = self.text.lines().take(line).map(str::trim_start).collect();
        let comment = lines
            .iter()
            .rev()
            .skip_while(|line| line.starts_with("#["))
            .map_while(|line| line.strip_prefix("///"));
        let mut comment: Vec<&str> = comment.collect();
        comment.reverse();
        assert!(!comment.is_empty(), "{}: {what} has no comment", self.name);
        let words: Vec<&str> = comment.iter().flat_map(|line| line.split_whitespace()).collect();
        plain(&words.join(" "))
    }
}

/// Text with the links of rustdoc as code: what links to `crate::host::HostBlock::rate` is `HostBlock::rate`.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("[`") {
        let Some((path, behind)) = after.split_once("`]") else { break };
        let parts: Vec<&str> = path.split("::").collect();
        let is_module = |part: &&&str| part.starts_with(|c: char| c.is_lowercase());
        let modules = parts[..parts.len() - 1].iter().take_while(is_module).count();
        out += before;
        out += &format!("`{}`", parts[modules..].join("::"));
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_found_by_what_stands_below_them() {
        let text = "\
/// Not this.
pub struct BlockKind {}

/// Of the
/// whole, see [`super::Other`].
#[repr(C)]
pub struct Block {
    /// Its [`crate::host::HostBlock::rate`], [`kind`](x).
    #[doc(hidden)]
    pub kind: u32,
    pub silent: u32,
}
";
        let source = Source { name: "example", text: text.to_owned() };
        assert_eq!(source.of_item("pub struct Block"), "Of the whole, see `Other`.");
        let member = source.of_member("pub struct Block", "pub kind");
        assert_eq!(member, "Its `HostBlock::rate`, `kind`(x).");
        for missing in ["pub silent", "pub nothing"] {
            let search = || source.of_member("pub struct Block", missing);
            assert!(std::panic::catch_unwind(search).is_err(), "{missing}");
        }
    }
}
