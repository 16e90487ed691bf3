//! Small pieces of code, and what is planned for them.
//!
//! Bytes with one site in, the way of the site out. Always true: each reason for which a site is left as it is, and
//! each way in which one is replaced, has a line here; what the replaced code does is the business of
//! `neighbourhoods.rs`.

use shim_patch::elf::{Elf, Function, Segment};
use shim_patch::image;
use shim_patch::plan::{Plan, Reason, Site, Way};
use shim_patch::scan::Kind;

const BASE: u64 = 0x1000;

/// Code at [`BASE`], one function of it, and changes to what is known of the file.
fn plan_of(code: &[u8], change: impl FnOnce(&mut Elf<'_>)) -> Vec<Site> {
    let len_bytes = code.len() as u64;
    let mut elf = Elf {
        bytes: code,
        build_id: Vec::new(),
        segments: vec![Segment { offset: 0, address: BASE, len_bytes, is_executable: true }],
        code: std::iter::once(BASE..BASE + len_bytes).collect(),
        functions: vec![Function { start: BASE, end: None, has_landing_pads: false }],
        has_text_relocations: false,
        is_fixed: false,
        is_relocated_program: false,
        is_unwind_table_complete: false,
        names: Vec::new(),
    };
    change(&mut elf);
    let plan = Plan::of(&elf);
    if elf.segments[0].offset == 0 {
        // Whatever is planned can be carried out.
        let image = image::build(&elf, &plan, image::area_address(&elf));
        let is_left = plan.sites.iter().all(|site| matches!(site.way, Way::Left(_)));
        assert_eq!(image.err().is_some(), is_left);
    }
    plan.sites
}

fn way(code: &[u8]) -> Way {
    let sites = plan_of(code, |_| ());
    assert_eq!(sites.len(), 1, "{sites:?}");
    sites[0].way
}

#[test]
fn room_before_a_site() {
    // mov eax, 39; syscall; ret
    assert_eq!(way(b"\xb8\x27\0\0\0\x0f\x05\xc3"), Way::Before(BASE));
    // mov eax, 39; xor edi, edi; syscall; ret
    assert_eq!(way(b"\xb8\x27\0\0\0\x31\xff\x0f\x05\xc3"), Way::Before(BASE));
    // mov rdi, rax; mov rsi, rax; syscall; ret
    assert_eq!(way(b"\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3"), Way::Before(BASE));
    // lea rdi, [rip + 0]; syscall; ret
    assert_eq!(way(b"\x48\x8d\x3d\0\0\0\0\x0f\x05\xc3"), Way::Before(BASE));
    // push rbx; lea rdi, [rip + 0]; push rbx; cpuid; ret
    assert_eq!(way(b"\x53\x48\x8d\x3d\0\0\0\0\x53\x0f\xa2\xc3"), Way::Before(BASE + 1));
}

#[test]
fn room_in_padding() {
    // syscall; ret; 5-byte nop
    assert_eq!(way(b"\x0f\x05\xc3\x0f\x1f\x44\0\0"), Way::Hop(BASE + 3));
    // syscall; jmp to the ret; 5 times int3; ret
    assert_eq!(way(b"\x0f\x05\xeb\x05\xcc\xcc\xcc\xcc\xcc\xc3"), Way::Hop(BASE + 4));
    // A site that has room before it leaves the padding to others.
    let code = b"\xb8\x27\0\0\0\x0f\x05\x0f\x05\xc3\x0f\x1f\x44\0\0";
    let ways: Vec<Way> = plan_of(code, |_| ()).iter().map(|site| site.way).collect();
    assert_eq!(ways, [Way::Before(BASE), Way::Hop(BASE + 10)]);
    // Two sites, one room.
    let code = b"\x0f\x05\x0f\x05\xc3\x0f\x1f\x44\0\0";
    let ways: Vec<Way> = plan_of(code, |_| ()).iter().map(|site| site.way).collect();
    assert_eq!(ways, [Way::Hop(BASE + 5), Way::Left(Reason::NoRoom)]);
    // Too far.
    let mut code = b"\x0f\x05".to_vec();
    code.extend([0x31; 2 * 64]); // xor ecx, esi
    code.extend(b"\xc3\x0f\x1f\x44\0\0");
    assert_eq!(way(&code), Way::Left(Reason::NoRoom));
    code.drain(2..4);
    assert_eq!(way(&code), Way::Hop(BASE + 2 + 126 + 1));
}

#[test]
fn padding_that_is_none() {
    // syscall; 5-byte nop; ret: control goes through.
    assert_eq!(way(b"\x0f\x05\x0f\x1f\x44\0\0\xc3"), Way::Left(Reason::NoRoom));
    // syscall; jz to the nop; ret; 5-byte nop; ret
    assert_eq!(way(b"\x0f\x05\x74\x01\xc3\x0f\x1f\x44\0\0\xc3"), Way::Left(Reason::NoRoom));
    // A function that begins in what looks like padding.
    let code = b"\x0f\x05\xc3\x90\x90\x90\x90\x90\x90\x90\xc3";
    let begin = |start| {
        plan_of(code, |elf| {
            elf.functions.push(Function { start, end: None, has_landing_pads: false });
        })[0]
            .way
    };
    assert_eq!(begin(BASE + 7), Way::Left(Reason::NoRoom));
    assert_eq!(begin(BASE + 8), Way::Hop(BASE + 3));
}

#[test]
fn padding_that_may_be_data() {
    // syscall; ret. Behind the function: its padding, or a ret and then the bytes of padding.
    let behind = |code, is_complete| {
        plan_of(code, |elf| {
            elf.functions[0].end = Some(BASE + 3);
            elf.is_unwind_table_complete = is_complete;
        })[0]
            .way
    };
    let own = b"\x0f\x05\xc3\x90\x90\x90\x90\x90\xc3";
    assert_eq!(behind(own.as_slice(), true), Way::Hop(BASE + 3));
    let other = b"\x0f\x05\xc3\xc3\x90\x90\x90\x90\x90\xc3";
    assert_eq!(behind(other, true), Way::Left(Reason::NoRoom));
    assert_eq!(behind(other, false), Way::Hop(BASE + 4));
    // Behind what makes no sense.
    assert_eq!(way(b"\x0f\x05\xc3\x06\xc3\x90\x90\x90\x90\x90"), Way::Left(Reason::NoRoom));
}

#[test]
fn branches_into_what_would_be_replaced() {
    // jz to the second mov; mov rdi, rax; mov rsi, rax; syscall; ret
    let code = b"\x74\x03\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3";
    assert_eq!(way(code), Way::Left(Reason::BranchInside));
    // The same, to the first.
    assert_eq!(way(b"\x74\x00\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3"), Way::Before(BASE + 2));
    // The same, to the site.
    assert_eq!(way(b"\x74\x06\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3"), Way::Before(BASE + 2));
    // Of the instructions that trap by no other means, none is left.
    let code = b"\x74\x03\x48\x89\xc7\x48\x89\xc6\x0f\x31\xc3";
    assert_eq!(way(code), Way::Trap);
}

#[test]
fn jump_tables_and_pointers_are_branches() {
    // lea rdx, [rip + table]; mov rdi, rax; mov rsi, rax; syscall; ret. Behind the code: the table.
    let code = b"\x48\x8d\x15\x40\0\0\0\x90\xc3\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3";
    let table = BASE + 7 + 0x40;
    let way_with = |words: &[u8]| {
        let mut bytes = code.to_vec();
        bytes.resize((table - BASE) as usize, 0xcc);
        bytes.extend(words);
        let len = bytes.len() as u64 - (table - BASE);
        let bytes: &'static [u8] = bytes.leak();
        plan_of(bytes, |elf| {
            elf.code = std::iter::once(BASE..BASE + code.len() as u64).collect();
            let text = Segment { len_bytes: table - BASE, ..elf.segments[0].clone() };
            let data = Segment {
                offset: table - BASE,
                address: table,
                len_bytes: len,
                is_executable: false,
            };
            elf.segments = vec![text, data];
        })[0]
            .way
    };
    let (first, second) = (BASE + 9, BASE + 12);
    assert_eq!(way_with(&[0; 8]), Way::Before(first));
    let entry = |to: u64| (to.wrapping_sub(table) as i32).to_le_bytes();
    assert_eq!(way_with(&entry(first)), Way::Before(first));
    assert_eq!(way_with(&[entry(first), entry(second)].concat()), Way::Left(Reason::BranchInside));
    // A pointer; the first word is at an odd address.
    let mut words = vec![0xff; table.next_multiple_of(8) as usize - table as usize];
    words.extend(second.to_le_bytes());
    assert_eq!(way_with(&words), Way::Left(Reason::BranchInside));
}

#[test]
fn a_loop_does_not_pass_the_jump_by() {
    // nop (7 bytes); mov rax, rbx; syscall; dec rcx; jne mov; ret; padding
    let code = b"\x0f\x1f\x80\0\0\0\0\x48\x89\xd8\x0f\x05\x48\xff\xc9\x75\xf6\xc3\x0f\x1f\x44\0\0";
    assert_eq!(way(code), Way::Hop(BASE + 18));
    // Without padding it is still better than nothing: the loop is entered from above.
    assert_eq!(way(&code[..18]), Way::Before(BASE));
    // Nobody comes back.
    let code = b"\x0f\x1f\x80\0\0\0\0\x48\x89\xd8\x0f\x05\x48\xff\xc9\x90\x90\xc3\x0f\x1f\x44\0\0";
    assert_eq!(way(code), Way::Before(BASE));
}

#[test]
fn reasons_to_leave_a_site_alone() {
    for (code, reason) in [
        (b"\x48\xc7\xc0\x0f\0\0\0\x0f\x05\xc3".as_slice(), Reason::SignalReturn),
        (b"\xb8\x0f\0\0\0\x0f\x05\xc3", Reason::SignalReturn),
        (b"\x0f\x05\xc3", Reason::NoRoom),
        (b"\xf3\x0f\x1e\xfa\x90\x0f\x05\xc3", Reason::NoRoom), // endbr64 stays where it is
        (b"\xe8\0\0\0\0\x0f\x05\xc3", Reason::NoRoom),         // so does a call
        (b"\x06\xb8\x27\0\0\0\x0f\x05\xc3", Reason::NotUnderstood), // no such instruction
    ] {
        assert_eq!(way(code), Way::Left(reason), "{code:02x?}");
    }
    // The number that counts is the last.
    assert_eq!(way(b"\xb8\x38\0\0\0\xb8\x27\0\0\0\x0f\x05\xc3"), Way::Before(BASE + 5));

    let code = b"\xb8\x27\0\0\0\x0f\x05\xc3";
    let sites = plan_of(code, |elf| elf.has_text_relocations = true);
    assert_eq!(sites[0].way, Way::Left(Reason::TextRelocations));
    // Behind a function's end, in a file whose tables know its functions.
    let code = b"\xc3\xb8\x27\0\0\0\x0f\x05\xc3";
    let behind = |is_complete| {
        plan_of(code, |elf| {
            elf.functions[0].end = Some(BASE + 1);
            elf.is_unwind_table_complete = is_complete;
        })[0]
            .way
    };
    assert_eq!(behind(true), Way::Left(Reason::NotUnderstood));
    assert_eq!(behind(false), Way::Before(BASE + 1));
    // If nothing there can be executed as a whole, it is data. Before and behind the site:
    for code in [b"\xc3\x06\xb8\x27\0\0\0\x0f\x05\xc3".as_slice(), b"\xc3\x0f\x31\xc3\x06"] {
        let sites = plan_of(code, |elf| {
            elf.functions[0].end = Some(BASE + 1);
            elf.is_unwind_table_complete = true;
        });
        assert!(sites.is_empty(), "{sites:?}");
    }
    // A function before it is none.
    let code = b"\xb8\x27\0\0\0\x0f\x05\xc3\x06";
    let sites = plan_of(code, |elf| {
        elf.functions[0].end = Some(BASE + 8);
        elf.is_unwind_table_complete = true;
    });
    assert_eq!(sites[0].way, Way::Before(BASE));
    // Where exceptions land is in no table of targets.
    let landing =
        |code: &[u8]| plan_of(code, |elf| elf.functions[0].has_landing_pads = true)[0].way;
    let short = b"\x48\x89\xc7\x48\x89\xc6\x0f\x05\xc3";
    assert_eq!(landing(short), Way::Left(Reason::LandingPads));
    assert_eq!(landing(b"\xb8\x27\0\0\0\x0f\x05\xc3"), Way::Before(BASE));
}

#[test]
fn every_instruction_is_known() {
    let code = b"\x0f\x05\x0f\x31\x0f\x01\xf9\x0f\xa2\xc3";
    let sites: Vec<_> = plan_of(code, |_| ()).iter().map(|s| (s.address - BASE, s.kind)).collect();
    let all = [(0, Kind::Syscall), (2, Kind::Rdtsc), (4, Kind::Rdtscp), (7, Kind::Cpuid)];
    assert_eq!(sites, all);
    // The same bytes within other instructions are nothing.
    assert!(plan_of(b"\xb8\x0f\x05\x0f\x31\xba\x0f\xa2\x0f\x05\xc3", |_| ()).is_empty());
}
