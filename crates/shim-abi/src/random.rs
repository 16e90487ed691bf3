//! The simulation's randomness: one seed, named streams, a small generator.
//!
//! A seed and names in; bytes out. Always true: the same seed and names give the same bytes on every
//! machine, and no stream can be had from another by shifting it. It is repeatable on purpose and so
//! is no source of secrets. Whoever owns a stream keeps its state: in a guest that is four words of
//! the process block.
//!
//! The generator is xoshiro256++ (Blackman and Vigna, "Scrambled linear pseudorandom number
//! generators", 2021); its states come from splitmix64 over an FNV-1a hash of the names.

/// State of one stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The stream that `names` select from `seed`: `Stream::named(seed, &["host", "alice"])`.
    pub fn named(seed: u64, names: &[&str]) -> Stream {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for name in names {
            // The separator keeps ["ab", "c"] and ["a", "bc"] apart.
            for &byte in name.as_bytes().iter().chain(&[0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        let mut mix = seed ^ hash.rotate_left(32);
        let mut state = [0; 4];
        for word in &mut state {
            mix = mix.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            *word = z ^ (z >> 31);
        }
        Stream { state }
    }

    /// The stream that continues from a state taken by [`Stream::state`]. The all-zero state, which
    /// the generator cannot leave, is replaced by a fixed other one.
    pub fn from_state(state: [u64; 4]) -> Stream {
        if state == [0; 4] { Stream { state: [1, 2, 3, 4] } } else { Stream { state } }
    }

    /// The state, to be kept somewhere.
    pub fn state(&self) -> [u64; 4] {
        self.state
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Fill `out` with the next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let bytes = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
