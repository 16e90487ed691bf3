//! Guests that are killed, and guests that break every rule: the simulator lives, and nobody else notices.
//!
//! One process, this one, embeds a simulator of two hosts on one launcher. On the first, guests are killed natively at random
//! moments, and others write garbage over everything that they share with their simulator; on the second, the witness prints
//! and is traced, and all that is compared with a run in which nothing happened. Always true: what happens is drawn from a
//! seed, which each failure shows with all that went wrong; waits that do not end fail; one test at a time, because
//! descriptors and processes of this process are counted. Rooms: [`stage`], the two hosts; [`kills`]; [`garbage`], which needs
//! [`plan`]; [`scenario`], both hosts in `shim run`.
//!
//! `SHIM_HOSTILE_SEED` is the seed, `SHIM_HOSTILE_COUNT` how much of it the long tests do; with `SHIM_HOSTILE_SHOW` each
//! thing that is done is shown before it is.

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shim_arena::ScopedAllocator;

mod garbage;
mod kills;
mod plan;
mod scenario;
mod stage;

#[global_allocator]
static ALLOCATOR: ScopedAllocator<System> = ScopedAllocator::new(System);

/// Only one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(otherwise, |value| value.parse().expect("the variable is a number"))
}

/// The seed of all that is random here, shown.
fn seed() -> u64 {
    let seed = number_of("SHIM_HOSTILE_SEED", 1);
    println!("SHIM_HOSTILE_SEED={seed}");
    seed
}

/// How much a long test does.
fn count(otherwise: u64) -> u64 {
    number_of("SHIM_HOSTILE_COUNT", otherwise)
}

/// Show what is done, if somebody wants to see it.
fn show(what: impl FnOnce() -> String) {
    if std::env::var_os("SHIM_HOSTILE_SHOW").is_some() {
        println!("{}", what());
    }
}

/// A seeded sequence (SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len() as u64) as usize]
    }
}
