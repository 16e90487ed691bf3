//! What YAML takes a word for: the core schema of YAML 1.2.
//!
//! The text of a scalar, its style and its tag in, a [`Kind`] out. Always true: quoted text is text, and so
//! is every plain word that is nothing else; `yes`, `on` and `1:30` are words, as in Shadow. What the word
//! must be is not here (`reader.rs`).

use saphyr_parser::{ScalarStyle, Tag};

/// What YAML takes a scalar for (core schema of YAML 1.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float,
    /// Text.
    Text,
    /// A word of the command line, where nothing has a type: it suits whatever it can be read as.
    Given,
}

/// What a scalar is, by the core schema of YAML 1.2 and its tags.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Kind, String> {
    let plain = || match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => number(text).unwrap_or(Kind::Text),
    };
    match tag {
        None if style == ScalarStyle::Plain => Ok(plain()),
        None => Ok(Kind::Text),
        Some(tag) if tag.is_yaml_core_schema() => match (tag.suffix.as_str(), plain()) {
            ("str", _) => Ok(Kind::Text),
            ("null", kind @ Kind::Null)
            | ("bool", kind @ Kind::Bool(_))
            | ("int", kind @ Kind::Integer(_))
            | ("float", kind @ (Kind::Float | Kind::Integer(_))) => Ok(kind),
            (suffix, _) => Err(format!("'{text}' does not suit its tag !!{suffix}")),
        },
        // "!" alone says: not what a plain word would be.
        Some(tag) if tag.handle.is_empty() && tag.suffix == "!" => Ok(Kind::Text),
        Some(tag) => Err(format!("the tag '{tag}' means nothing here")),
    }
}

fn number(text: &str) -> Option<Kind> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let is_all =
        |text: &str, test: fn(&char) -> bool| !text.is_empty() && text.chars().all(|c| test(&c));
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return is_all(hexadecimal, char::is_ascii_hexdigit)
            .then(|| i128::from_str_radix(hexadecimal, 16).map_or(Kind::Float, Kind::Integer));
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return is_all(octal, |c| ('0'..='7').contains(c))
            .then(|| i128::from_str_radix(octal, 8).map_or(Kind::Float, Kind::Integer));
    }
    if is_all(digits, char::is_ascii_digit) {
        return Some(text.parse().map_or(Kind::Float, Kind::Integer));
    }
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && text.parse::<f64>().is_ok();
    let is_special =
        matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    (is_number || is_special).then_some(Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_are_what_yaml_says() {
        let table = [
            ("1", Kind::Integer(1)),
            ("-7", Kind::Integer(-7)),
            ("+7", Kind::Integer(7)),
            ("0x1f", Kind::Integer(31)),
            ("0o17", Kind::Integer(15)),
            ("1.5", Kind::Float),
            (".5", Kind::Float),
            ("1e3", Kind::Float),
            ("-.inf", Kind::Float),
            (".nan", Kind::Float),
            ("inf", Kind::Text),
            ("-", Kind::Text),
            (".", Kind::Text),
            ("1.2.3", Kind::Text),
            ("1:30", Kind::Text),
            ("10s", Kind::Text),
            ("0x", Kind::Text),
            ("0xg", Kind::Text),
            ("yes", Kind::Text),
            ("True", Kind::Bool(true)),
            ("false", Kind::Bool(false)),
            ("~", Kind::Null),
            ("", Kind::Null),
            ("99999999999999999999999999999999999999999", Kind::Float),
        ];
        for (text, kind) in table {
            assert_eq!(resolve(text, ScalarStyle::Plain, None), Ok(kind), "{text}");
            assert_eq!(resolve(text, ScalarStyle::SingleQuoted, None), Ok(Kind::Text), "{text}");
        }
    }

    #[test]
    fn tags_have_the_last_word() {
        let core = |suffix: &str| Tag {
            handle: "tag:yaml.org,2002:".to_owned(),
            suffix: suffix.to_owned(),
        };
        let with = |text, suffix| resolve(text, ScalarStyle::Plain, Some(&core(suffix)));
        assert_eq!(with("1", "str"), Ok(Kind::Text));
        assert_eq!(with("1", "int"), Ok(Kind::Integer(1)));
        assert_eq!(with("1", "float"), Ok(Kind::Integer(1)));
        assert!(with("x", "int").unwrap_err().contains("!!int"));
        let mine = Tag { handle: "!".to_owned(), suffix: "mine".to_owned() };
        assert!(resolve("1", ScalarStyle::Plain, Some(&mine)).unwrap_err().contains("!mine"));
    }
}
