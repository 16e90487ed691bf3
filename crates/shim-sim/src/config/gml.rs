//! The grammar of GML, as far as graphs of networks use it.
//!
//! Text in, the records of its one graph out, or the first place where the text is none. Always true: no
//! recursion, so that no text is too deep; every record and field knows its line and column. What keys
//! mean is not here (`graph.rs`). Taken beyond what Shadow takes: `#` comments, keys before and after the
//! graph (`Creator`, `Version`), several keys in one line, and lists under keys of no interest, which are
//! skipped, because other tools write all of these.

use std::iter::Peekable;
use std::str::Chars;

/// Line and column, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Why a text is no graph, and where.
pub(super) type SyntaxError = (Position, String);

/// A part of the graph.
#[derive(Debug)]
pub(super) enum Part {
    /// A key of the graph itself.
    Field(Field),
    /// A node.
    Node(Record),
    /// An edge.
    Edge(Record),
}

/// A node or an edge.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) position: Position,
    pub(super) fields: Vec<Field>,
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) key: String,
    pub(super) position: Position,
    pub(super) value: Value,
}

/// What a value is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Integer(i64),
    Real(f64),
    Text(String),
    /// A list, whose content nobody asks for.
    List,
}

/// Read the one graph of `text`: `take` gets its parts in the order of the text, one by one, because graphs
/// with millions of edges exist.
pub(super) fn parse(text: &str, mut take: impl FnMut(Part)) -> Result<(), SyntaxError> {
    let mut lexer = Lexer::new(text);
    let mut has_graph = false;
    loop {
        let (position, token) = lexer.next()?;
        match token {
            Token::End => break,
            Token::Word(key) if key == "graph" => {
                if has_graph {
                    return Err((position, "a second graph begins here".to_owned()));
                }
                lexer.expect_open("graph")?;
                has_graph = true;
                read_graph(&mut lexer, &mut take)?;
            }
            Token::Word(key) => drop(lexer.value(&key)?),
            token => return Err((position, format!("expected 'graph [', not {token}"))),
        }
    }
    if has_graph {
        Ok(())
    } else {
        Err((lexer.position, "there is no 'graph [ ... ]' in it".to_owned()))
    }
}

fn read_graph(lexer: &mut Lexer<'_>, take: &mut impl FnMut(Part)) -> Result<(), SyntaxError> {
    loop {
        let (position, token) = lexer.next()?;
        match token {
            Token::Close => return Ok(()),
            Token::Word(key) if key == "node" || key == "edge" => {
                lexer.expect_open(&key)?;
                let record = Record { position, fields: read_fields(lexer, &key)? };
                take(if key == "node" { Part::Node(record) } else { Part::Edge(record) });
            }
            Token::Word(key) => {
                let (position, value) = lexer.value(&key)?;
                take(Part::Field(Field { key, position, value }));
            }
            token => {
                let expected = "expected 'node [', 'edge [' or the graph's ']'";
                return Err((position, format!("{expected}, not {token}")));
            }
        }
    }
}

fn read_fields(lexer: &mut Lexer<'_>, what: &str) -> Result<Vec<Field>, SyntaxError> {
    let mut fields = Vec::new();
    loop {
        let (position, token) = lexer.next()?;
        match token {
            Token::Close => return Ok(fields),
            Token::Word(key) => {
                let (position, value) = lexer.value(&key)?;
                fields.push(Field { key, position, value });
            }
            token => {
                return Err((position, format!("expected a key or the {what}'s ']', not {token}")));
            }
        }
    }
}

#[derive(PartialEq, Debug)]
enum Token {
    Open,
    Close,
    Word(String),
    Number(String),
    Text(String),
    End,
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Token::Open => f.write_str("'['"),
            Token::Close => f.write_str("']'"),
            Token::Word(text) | Token::Number(text) => {
                write!(f, "'{}'", super::reader::shorten(text))
            }
            Token::Text(text) => write!(f, "\"{}\"", super::reader::shorten(text)),
            Token::End => f.write_str("the end of the text"),
        }
    }
}

struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    position: Position,
}

impl<'t> Lexer<'t> {
    fn new(text: &'t str) -> Lexer<'t> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Lexer { rest: text.chars().peekable(), position: Position { line: 1, column: 1 } }
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.position = Position { line: self.position.line + 1, column: 1 };
        } else {
            self.position.column += 1;
        }
        Some(c)
    }

    fn take_while(&mut self, text: &mut String, test: impl Fn(char) -> bool) {
        while let Some(&c) = self.rest.peek()
            && test(c)
        {
            text.push(c);
            self.bump();
        }
    }

    fn next(&mut self) -> Result<(Position, Token), SyntaxError> {
        while let Some(&c) = self.rest.peek() {
            if c == '#' {
                self.take_while(&mut String::new(), |c| c != '\n');
            } else if c.is_whitespace() {
                self.bump();
            } else {
                break;
            }
        }
        let position = self.position;
        let token = match self.bump() {
            None => Token::End,
            Some('[') => Token::Open,
            Some(']') => Token::Close,
            Some('"') => Token::Text(self.text(position)?),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                let mut word = c.to_string();
                self.take_while(&mut word, |c| c.is_ascii_alphanumeric() || c == '_');
                Token::Word(word)
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '.' | '-' | '+') => {
                let mut number = c.to_string();
                self.take_while(&mut number, |c| {
                    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+')
                });
                Token::Number(number)
            }
            Some(c) => {
                let message = format!("the character '{}' has no place here", c.escape_debug());
                return Err((position, message));
            }
        };
        Ok((position, token))
    }

    fn text(&mut self, start: Position) -> Result<String, SyntaxError> {
        let mut text = String::new();
        loop {
            match self.bump() {
                Some('"') => return Ok(text),
                Some('\\') => match self.bump() {
                    Some(c @ ('"' | '\\')) => text.push(c),
                    Some(c) => text.extend(['\\', c]),
                    None => {}
                },
                Some(c) => text.push(c),
                None => return Err((start, "the quotation mark is never closed".to_owned())),
            }
        }
    }

    fn expect_open(&mut self, key: &str) -> Result<(), SyntaxError> {
        match self.next()? {
            (_, Token::Open) => Ok(()),
            (position, token) => {
                Err((position, format!("expected '[' after '{key}', not {token}")))
            }
        }
    }

    fn value(&mut self, key: &str) -> Result<(Position, Value), SyntaxError> {
        let (position, token) = self.next()?;
        let value = match token {
            Token::Text(text) => Value::Text(text),
            Token::Number(text) => {
                let integer = text.parse().ok().map(Value::Integer);
                let real = || text.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Real);
                integer.or_else(real).ok_or_else(|| (position, format!("'{text}' is no number")))?
            }
            Token::Open => {
                self.skip_list(position)?;
                Value::List
            }
            token => {
                let expected = format!("expected a number or a \"text\" after '{key}'");
                return Err((position, format!("{expected}, not {token}")));
            }
        };
        Ok((position, value))
    }

    fn skip_list(&mut self, start: Position) -> Result<(), SyntaxError> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.next()?.1 {
                Token::Open => depth += 1,
                Token::Close => depth -= 1,
                Token::End => return Err((start, "this '[' is never closed".to_owned())),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        let (position, message) = parse(text, drop).unwrap_err();
        format!("{}:{}: {message}", position.line, position.column)
    }

    #[test]
    fn graphs_of_several_tools_are_read() {
        let text = "Creator \"me\"\nVersion 1\n# a comment\ngraph [ directed 1\n  node [ id 0 label \"a \\\"b\\\"\" ]\n  node [\n    id 1\n    graphics [ x 1.0 inner [ y 2 ] ]\n  ]\n  edge [ source 0 target 1 weight -1.5e3 ]\n]\n";
        let (mut fields, mut nodes, mut edges) = (Vec::new(), Vec::new(), Vec::new());
        parse(text, |part| match part {
            Part::Field(field) => fields.push(field),
            Part::Node(record) => nodes.push(record),
            Part::Edge(record) => edges.push(record),
        })
        .unwrap();
        assert_eq!((fields.len(), nodes.len(), edges.len()), (1, 2, 1));
        assert_eq!(nodes[0].fields[1].value, Value::Text("a \"b\"".to_owned()));
        assert_eq!(nodes[1].fields[1].value, Value::List);
        assert_eq!(nodes[1].fields[0].position, Position { line: 7, column: 8 });
        assert_eq!(edges[0].fields[2].value, Value::Real(-1500.0));
    }

    #[test]
    fn what_is_no_graph_is_refused_at_its_place() {
        let table = [
            ("", "1:1: there is no 'graph"),
            ("graph", "1:6: expected '[' after 'graph', not the end"),
            ("graph [\n  node [\n    id\n  ]\n]", "4:3: expected a number"),
            ("graph [\n  node [ id 0 ]\n", "3:1: expected 'node ['"),
            ("graph [\n  label \"x\n]", "2:9: the quotation mark"),
            ("graph [ a 1x ]", "1:11: '1x' is no number"),
            ("graph [ a [ ", "1:11: this '['"),
            ("graph [ ] graph [ ]", "1:11: a second graph"),
            ("graph [ { ]", "1:9: the character '{'"),
            ("graph [ node 3 ]", "1:14: expected '[' after 'node'"),
            ("graph [ 5 ]", "1:9: expected 'node ['"),
            ("[ graph ]", "1:1: expected 'graph ['"),
            ("graph [ a 1e999 ]", "1:11: '1e999' is no number"),
        ];
        for (text, expected) in table {
            assert!(why(text).starts_with(expected), "{text:?}: {}", why(text));
        }
        assert!(why(&format!("graph [ a {}", "[".repeat(1_000_000))).contains("never closed"));
    }
}
