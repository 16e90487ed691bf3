//! The same work for many things, as many at a time as there are processors.
//!
//! Things and work in, what the work has to say about each out, in the things' order. Always true: a panic of the work
//! is the caller's panic, after all the others have been done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What `work` says about each of `things`, where it says something.
pub fn each<T: Sync, W: Send>(things: &[T], work: impl Fn(&T) -> Option<W> + Sync) -> Vec<W> {
    let (next, said) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Relaxed);
                    let Some(thing) = things.get(number) else { break };
                    if let Some(words) = work(thing) {
                        said.lock().expect("nobody panics with it").push((number, words));
                    }
                }
            });
        }
    });
    let mut said = said.into_inner().expect("nobody panicked with it");
    said.sort_by_key(|(number, _)| *number);
    said.into_iter().map(|(_, words)| words).collect()
}
