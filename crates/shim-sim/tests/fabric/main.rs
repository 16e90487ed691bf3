//! The network between hosts, against slower and simpler models of itself.
//!
//! `paths`: against trying all ways; `lines`: against a queue that is simulated event by event; `datagrams`: any
//! bytes at all, and what routers say about them; `captures`: their records, read again. Worked examples stand beside
//! the code.

mod captures;
mod datagrams;
mod fuzz;
mod lines;
mod paths;
