//! What is made of the protocol: a page of tables, a header, assertions.
//!
//! The types and constants of `shim-abi`, and their comments, in; the made files out. Always true: numbers come from
//! the compiler, so that a page and a header cannot say what is not so. Rooms: [`comments`] reads descriptions,
//! [`structures`], [`messages`] and [`constants`] list what there is, [`page`] and [`header`] word it. Not here:
//! `docs/protocol.md`, which is written by hand and says what it all means.

pub mod comments;
pub mod constants;
pub mod header;
pub mod messages;
pub mod page;
pub mod structures;

use std::io;

use crate::files::Made;
use constants::Group;
use messages::Message;
use structures::Structure;

/// All that there is to tell.
#[derive(Debug)]
pub struct Parts {
    /// The structures, each behind those that it contains.
    pub structures: Vec<Structure>,
    /// What guests say.
    pub requests: Vec<Message>,
    /// What is said to guests.
    pub replies: Vec<Message>,
    /// Numbers.
    pub constants: Vec<Group>,
}

/// Page, header and assertions.
pub fn all() -> io::Result<Vec<Made>> {
    let parts = Parts {
        structures: structures::all()?,
        requests: messages::requests()?,
        replies: messages::replies()?,
        constants: constants::all()?,
    };
    let made = |path: &str, text| Made { path: path.to_owned(), text };
    Ok(vec![
        made("docs/protocol-layout.md", page::page(&parts)),
        made("docs/protocol.h", header::header(&parts)),
        made("tests/abi/protocol-layout.c", header::assertions(&parts)),
    ])
}
