//! Random surroundings of sites, executed as they are and rewritten: no difference.
//!
//! Code is drawn from a seed: instructions that compilers put around system calls, branches among them, padding
//! as compilers leave it. Each case is executed from every instruction of it, also from those that no branch
//! leads to, natively and through its stub; all registers, the flags and the stack must be the same. Always true:
//! the calls that are made have no effect, whatever the registers hold. The code that executes is
//! `common/machine.rs`.

#[path = "common/machine.rs"]
mod machine;

use std::ops::Range;

use machine::{Registers, STACK, STACK_BYTES};
use shim_abi::image::{original_of, place_of};
use shim_patch::elf::{Elf, Function, Segment};
use shim_patch::image;
use shim_patch::plan::{Plan, Site, Way};
use shim_patch::scan::Kind;

/// Where the code is mapped.
const TEXT: u64 = 0x1_0000_0000;
/// Cases that are rewritten together.
const BATCH: usize = 100;
const BATCHES: u64 = 100;
/// Those kinds of instructions (see [`Batch::add_instruction`]) that are shorter than a jump.
const SHORT: [usize; 8] = [0, 1, 2, 3, 14, 15, 18, 19];
/// Calls that do nothing, or do not exist.
const CALLS: [u32; 9] = [24, 39, 102, 104, 107, 108, 110, 186, 999];

/// Marsaglia's xorshift: enough for tests, the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 8) as usize % limit
    }
    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// One piece of code with one site in it.
struct Case {
    range: Range<u64>,
    /// Its instructions.
    starts: Vec<u64>,
    site: u64,
}

#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    cases: Vec<Case>,
    /// Where branches are that have no target yet: the place of their distance.
    branches: Vec<usize>,
    is_padded: bool,
}

impl Batch {
    fn new(random: &mut Random) -> Batch {
        let is_padded = random.one_in(2);
        let mut batch = Batch { is_padded, ..Batch::default() };
        // What code reads relative to rip, and where it leaves through.
        batch.bytes.extend(machine::exit_address().to_le_bytes());
        for _ in 0..31 {
            batch.bytes.extend(random.next().to_le_bytes());
        }
        for _ in 0..BATCH {
            batch.add_case(random);
        }
        let end = batch.bytes.len().next_multiple_of(4096);
        batch.bytes.resize(end, 0xcc);
        batch
    }

    fn add_case(&mut self, random: &mut Random) {
        let start = self.here();
        let mut starts = Vec::new();
        let kind = random.of(&[
            Kind::Syscall,
            Kind::Syscall,
            Kind::Syscall,
            Kind::Rdtsc,
            Kind::Rdtscp,
            Kind::Cpuid,
        ]);
        for _ in 0..random.of(&[0, 1, 1, 1, 2, 2, 4, 8]) {
            starts.push(self.here());
            self.add_instruction(random);
        }
        if random.one_in(3) {
            starts.push(self.here());
            self.add_number(random);
        }
        let site = self.here();
        starts.push(site);
        self.bytes.extend(kind.bytes());
        if kind != Kind::Syscall {
            // What the processor answers is not the same twice: eax, ebx, ecx, edx := constants.
            for opcode in [0xb8, 0xbb, 0xb9, 0xba] {
                starts.push(self.here());
                self.bytes.push(opcode);
                self.bytes.extend((random.next() as u32).to_le_bytes());
            }
        } else if random.one_in(2) {
            starts.push(self.here());
            self.bytes.extend([0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff]); // cmp rax, -4096
        }
        for _ in 0..random.below(6) {
            starts.push(self.here());
            self.add_instruction(random);
        }
        starts.push(self.here());
        let distance = TEXT as i64 - (self.here() as i64 + 6);
        self.bytes.extend([0xff, 0x25]); // jmp [rip + DISTANCE]
        self.bytes.extend((distance as i32).to_le_bytes());
        self.aim_branches(random, &starts);
        self.cases.push(Case { range: start..self.here(), starts, site });
        if self.is_padded {
            self.pad(random);
        }
    }

    /// Branches lead forward, to any instruction of their case.
    fn aim_branches(&mut self, random: &mut Random, starts: &[u64]) {
        for place in std::mem::take(&mut self.branches) {
            let behind = TEXT + place as u64 + 1;
            let ahead: Vec<u64> = starts.iter().copied().filter(|s| *s >= behind).collect();
            self.bytes[place] = (random.of(&ahead) - behind) as u8;
        }
    }

    fn pad(&mut self, random: &mut Random) {
        const NOPS: [&[u8]; 4] = [
            &[0x90],
            &[0x66, 0x90],
            &[0x0f, 0x1f, 0x44, 0x00, 0x00],
            &[0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00],
        ];
        for _ in 0..random.of(&[0, 0, 1, 2, 4]) {
            self.bytes.extend(random.of(&NOPS));
        }
    }

    fn add_number(&mut self, random: &mut Random) {
        let number = random.of(&CALLS);
        match random.below(3) {
            0 | 1 => self.bytes.push(0xb8),
            _ => self.bytes.extend([0x48, 0xc7, 0xc0]),
        }
        self.bytes.extend(number.to_le_bytes());
    }

    /// One instruction that does not write rax or rsp, but for moving the latter by a push or pop.
    fn add_instruction(&mut self, random: &mut Random) {
        // Registers by number; not rax (0) and rsp (4).
        let [to, from] =
            [0; 2].map(|_| random.of(&[1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]));
        let (word, high) = (random.next() as u32, |r: u8| r >> 3);
        let direct = 0xc0 | (from & 7) << 3 | to & 7;
        let wide = 0x48 | high(from) << 2 | high(to);
        let narrow = 0x40 | high(from) << 2 | high(to);
        let b = &mut self.bytes;
        let kind = if random.one_in(2) { random.of(&SHORT) } else { random.below(20) };
        match kind {
            0 => b.extend([wide, 0x89, direct]),   // mov to, from
            1 => b.extend([narrow, 0x31, direct]), // xor to32, from32
            2 => b.extend([wide, random.of(&[0x01, 0x29, 0x39, 0x85]), direct]), // add sub cmp test
            3 => b.extend([wide, 0x83, 0xc0 | to & 7, word as u8]), // add to, imm8
            4 => {
                b.extend([0x40 | high(to), 0xb8 | to & 7]); // mov to32, imm32
                b.extend(word.to_le_bytes());
            }
            5 => {
                b.extend([0x48 | high(to), 0xc7, 0xc0 | to & 7]); // mov to, imm32
                b.extend(word.to_le_bytes());
            }
            6 => b.extend([
                0x48 | high(to) << 2,
                0x8b,
                0x44 | (to & 7) << 3,
                0x24,
                word as u8 & 0x78,
            ]),
            7 => b.extend([
                0x48 | high(to) << 2,
                0x89,
                0x44 | (to & 7) << 3,
                0x24,
                word as u8 & 0xf8,
            ]),
            8 => b.extend([0x48 | high(to) << 2, 0x8d, 0x44 | (to & 7) << 3, 0x24, word as u8]), // lea
            9 | 10 => {
                // mov or lea relative to rip, from the words at the start
                let op = random.of(&[0x8b, 0x8d]);
                b.extend([0x48 | high(to) << 2, op, 0x05 | (to & 7) << 3]);
                let at = (random.below(30) + 1) as i64 * 8;
                let distance = at - (b.len() as i64 + 4);
                b.extend((distance as i32).to_le_bytes());
            }
            11 => b.extend([
                0x48 | high(to),
                0xc1,
                random.of(&[0xc0, 0xe0, 0xe8]) | to & 7,
                word as u8 & 63,
            ]),
            12 => b.extend([0x40 | high(to), 0x0f, 0x90 | word as u8 & 15, 0xc0 | to & 7]), // setcc
            13 => b.extend([
                0x48 | high(from) | high(to) << 2,
                0x0f,
                0x40 | word as u8 & 15,
                0xc0 | (to & 7) << 3 | from & 7,
            ]), // cmovcc
            14 => b.extend([0x40 | high(to), 0x50 | to & 7]),                               // push
            15 => b.extend([0x40 | high(to), 0x58 | to & 7]),                               // pop
            16 => b.extend([0x66, 0x48 | high(to), 0x0f, 0x6e, 0xc8 | to & 7]), // movq xmm1, to
            17 => b.extend([0x66, 0x48 | high(to), 0x0f, 0x7e, 0xc8 | to & 7]), // movq to, xmm1
            18 => {
                b.extend([[0x90].as_slice(), &[0x66, 0x90], &[0x0f, 0x1f, 0x00]][random.below(3)])
            }
            _ => {
                b.push(0x70 | word as u8 & 15); // jcc
                self.branches.push(b.len());
                b.push(0);
            }
        }
    }

    fn here(&self) -> u64 {
        TEXT + self.bytes.len() as u64
    }

    fn elf(&self) -> Elf<'_> {
        let len_bytes = self.bytes.len() as u64;
        Elf {
            bytes: &self.bytes,
            build_id: Vec::new(),
            segments: vec![Segment { offset: 0, address: TEXT, len_bytes, is_executable: true }],
            code: std::iter::once(TEXT + 256..TEXT + len_bytes).collect(),
            functions: self
                .cases
                .iter()
                .map(|case| Function {
                    start: case.range.start,
                    end: Some(case.range.end),
                    has_landing_pads: false,
                })
                .collect(),
            has_text_relocations: false,
            is_fixed: true,
            is_relocated_program: false,
            is_unwind_table_complete: true,
            names: Vec::new(),
        }
    }
}

fn registers(random: &mut Random) -> Registers {
    let mut registers = Registers { rsp: (STACK + STACK_BYTES / 2) as u64, ..Registers::default() };
    registers.general = std::array::from_fn(|_| random.next());
    registers.general[14] = random.of(&CALLS).into(); // rax
    registers.flags = random.next() & 0x8d5 | 0x202;
    registers
}

#[test]
fn rewritten_code_does_what_it_did() {
    machine::prepare();
    let stack: Vec<u8> = (0..STACK_BYTES).map(|i| (i * 7) as u8).collect();
    let (mut runs, mut displaced_count, mut ways) = (0_u64, 0, [0_u64; 4]);
    for seed in 1..=BATCHES {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let batch = Batch::new(&mut random);
        let elf = batch.elf();
        let plan = Plan::of(&elf);
        let sites: Vec<u64> = plan.sites.iter().map(|site| site.address).collect();
        assert_eq!(sites, batch.cases.iter().map(|case| case.site).collect::<Vec<_>>());
        for site in &plan.sites {
            ways[match site.way {
                Way::Before(_) => 0,
                Way::Hop(_) => 1,
                Way::Trap => 2,
                Way::Left(_) => 3,
            }] += 1;
        }
        let image = image::build(&elf, &plan, image::area_address(&elf));
        let image = image.expect("it can be built").bytes;

        machine::unmap_image();
        machine::map(TEXT as usize, &batch.bytes, true);
        let mut expected = Vec::new();
        for (index, case) in batch.cases.iter().enumerate() {
            for (from, start) in case.starts.iter().enumerate() {
                let before = registers(&mut random);
                let trying = [seed, index as u64, from as u64];
                expected.push((before, machine::run(&before, &stack, *start, trying)));
            }
        }
        let header = machine::map_image(&image);
        let (places, displaced, _) = machine::tables().expect("it is mapped");
        displaced_count += displaced.len();
        let mut expected = expected.into_iter();
        for (index, (case, site)) in batch.cases.iter().zip(&plan.sites).enumerate() {
            for (from, start) in case.starts.iter().enumerate() {
                let (before, (after, memory)) = expected.next().expect("as many");
                let offset = (*start as i64 - header.area_address) as i32;
                let place = place_of(displaced, offset);
                assert_eq!(original_of(places, place), offset, "there and back");
                let entered = machine::entered();
                let place = header.area_address as u64 + place as u64;
                let trying = [seed, index as u64, from as u64];
                let (found, found_memory) = machine::run(&before, &stack, place, trying);
                if must_enter(&batch, case, *start, site) {
                    assert_eq!(machine::entered(), entered + 1, "{trying:?} {site:?}: not entered");
                }
                assert_eq!(found, after, "{trying:?} {:?} {site:?}", case.range);
                let used = STACK_BYTES / 2 - 512..;
                assert!(found_memory[used.clone()] == memory[used], "{trying:?} {site:?}: memory");
                runs += 1;
            }
        }
    }
    let [before, hop, trap, left] = ways;
    println!(
        "{runs} runs; before {before}, hop {hop}, trap {trap}, left {left}; {displaced_count}"
    );
    let all_ways = before > 3000 && hop > 300 && trap > 100 && left > 100;
    assert!(all_ways && displaced_count > 300, "{ways:?} {displaced_count}");
}

/// Whether control that starts at `start` must reach an entry, or the trap of an instruction that does not trap by
/// itself: nothing branches over the site, and the site is replaced in a way that shows from there.
fn must_enter(batch: &Batch, case: &Case, start: u64, site: &Site) -> bool {
    let before = case.starts.iter().filter(|at| (start..case.site).contains(*at));
    let has_branch = before.copied().any(|at| batch.bytes[(at - TEXT) as usize] & 0xf0 == 0x70);
    let is_seen = match site.way {
        Way::Left(_) => false,
        Way::Before(first) => start <= first || site.kind != Kind::Syscall,
        Way::Hop(_) | Way::Trap => true,
    };
    start <= case.site && !has_branch && is_seen
}
