//! RTM_GETRULE: which table of routes is asked first.
//!
//! A question in, the rules out that Linux makes by itself.

use shim_abi::Errno;

use super::message::flag;
use super::request::{List, Question};
use crate::net::interfaces::{LOCAL_TABLE, MAIN_TABLE};

const NEW_RULE: u16 = 32;
/// FR_ACT_TO_TBL: look into a table.
const LOOK_UP: u8 = 1;
const DEFAULT_TABLE: u32 = 253;
/// Places of the rules; the first is at 0, which is not said.
const MAIN_PLACE: u32 = 32_766;
const DEFAULT_PLACE: u32 = 32_767;
const KERNEL_PROTOCOL: u8 = 2;
/// `FRA_*`.
const PRIORITY: u16 = 6;
const SUPPRESSED_BITS: u16 = 14;
const TABLE: u16 = 15;
const PROTOCOL: u16 = 21;

pub(super) fn list(question: &Question<'_>) -> Result<List, Errno> {
    const HEADER_BYTES: usize = 12;
    question.check_size(HEADER_BYTES)?;
    let asked = question.message.family();
    if !matches!(asked, libc::AF_UNSPEC | libc::AF_INET | libc::AF_INET6) {
        return Err(Errno::EAFNOSUPPORT);
    }
    let mut list = List { is_whole: asked != libc::AF_UNSPEC, ..List::default() };
    let all = [(LOCAL_TABLE, 0), (MAIN_TABLE, MAIN_PLACE), (DEFAULT_TABLE, DEFAULT_PLACE)];
    for family in [libc::AF_INET, libc::AF_INET6] {
        if asked != family && asked != libc::AF_UNSPEC {
            continue;
        }
        for (table, place) in all {
            if family == libc::AF_INET6 && table == DEFAULT_TABLE {
                continue;
            }
            question.write(&mut list.writer, NEW_RULE, flag::MULTI, |writer| {
                writer.put(&[family as u8, 0, 0, 0, table as u8, 0, 0, LOOK_UP]);
                writer.put(&[0; 4]);
                writer.number(TABLE, table);
                writer.number(SUPPRESSED_BITS, u32::MAX);
                writer.byte(PROTOCOL, KERNEL_PROTOCOL);
                if place != 0 {
                    writer.number(PRIORITY, place);
                }
            });
        }
    }
    Ok(list)
}
