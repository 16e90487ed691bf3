//! Sleeping on a control word, and waking who sleeps.
//!
//! A [`Futex`] takes the word, and for sleeping the value that it was last seen with. Always true:
//! `control` treats a return from `wait` as a hint only and looks at the word again, so signals and
//! stray wakes need no care. Not here: any implementation; a guest may make system calls through its
//! gate only, and a simulator makes them through libc.

/// How one side sleeps and wakes the other.
///
/// The word is shared between processes, so a futex of Linux is used without `FUTEX_PRIVATE_FLAG`.
pub trait Futex<W> {
    /// Sleep if, and as long as, `word` holds `expected`, until a [`Futex::wake`].
    ///
    /// May return at any time for any reason. Comparing and falling asleep is one step as far as a
    /// `wake` is concerned: a `wake` after the word changed is never lost.
    fn wait(&self, word: &W, expected: u32);
    /// Wake everybody who sleeps on `word`.
    fn wake(&self, word: &W);
}

impl<W, F: Futex<W>> Futex<W> for &F {
    fn wait(&self, word: &W, expected: u32) {
        (**self).wait(word, expected);
    }
    fn wake(&self, word: &W) {
        (**self).wake(word);
    }
}
