//! Which pages of a file an image holds.
//!
//! Code with sites at given distances in, the texts of its image out. Always true: every site is in one of them; what
//! lies between sites that are far apart is in none, as long as an image can hold so many.

use shim_abi::image::{IMAGE_PAGE_BYTES, MAX_TEXTS};
use shim_patch::elf::{Elf, Function, Segment};
use shim_patch::image::{self, Image};
use shim_patch::plan::{Plan, Way};

const BASE: u64 = 0x10000;
const PAGE: u64 = IMAGE_PAGE_BYTES as u64;
const RET: u8 = 0xc3;

/// The image of code that makes a call at each of these addresses.
fn image_of(sites: &[u64]) -> Image {
    let end = sites.iter().max().expect("a site") + PAGE;
    let mut code = vec![RET; (end - BASE) as usize];
    for site in sites {
        // mov eax, 39; syscall; ret
        let at = (site - BASE) as usize;
        code[at..at + 8].copy_from_slice(b"\xb8\x27\0\0\0\x0f\x05\xc3");
    }
    let len_bytes = code.len() as u64;
    let function = |start: &u64| Function { start: *start, end: None, has_landing_pads: false };
    let elf = Elf {
        bytes: &code,
        build_id: Vec::new(),
        segments: vec![Segment { offset: 0, address: BASE, len_bytes, is_executable: true }],
        code: std::iter::once(BASE..BASE + len_bytes).collect(),
        functions: sites.iter().map(function).collect(),
        has_text_relocations: false,
        is_fixed: false,
        is_relocated_program: false,
        is_unwind_table_complete: false,
        names: Vec::new(),
    };
    let plan = Plan::of(&elf);
    assert_eq!(plan.sites.iter().map(|site| site.way).collect::<Vec<_>>(), {
        sites.iter().map(|site| Way::Before(*site)).collect::<Vec<_>>()
    });
    let image = image::build(&elf, &plan, image::area_address(&elf)).expect("it can be built");
    let mut end = 0;
    for text in &image.texts {
        assert!(
            text.address as u64 >= end && (text.address as u64).is_multiple_of(PAGE),
            "{text:?}"
        );
        end = text.address as u64 + text.len_bytes;
        let from = text.image_offset as usize;
        let bytes = &image.bytes[from..from + text.len_bytes as usize];
        let original = &code[text.file_offset as usize..][..bytes.len()];
        // Of each site five bytes differ, the jump, and nothing else.
        let changed = bytes.iter().zip(original).filter(|(one, other)| one != other).count() as u64;
        let inside =
            sites.iter().filter(|site| (text.address as u64..end).contains(site)).count() as u64;
        assert!((inside..=inside * 5).contains(&changed), "{changed} bytes of {inside} sites");
    }
    let is_inside = |site: &&u64| {
        image.texts.iter().any(|text| {
            **site >= text.address as u64 && **site + 8 <= text.address as u64 + text.len_bytes
        })
    };
    assert_eq!(sites.iter().filter(is_inside).count(), sites.len());
    image
}

/// Addresses in this distance.
fn spread(count: u64, distance: u64) -> Vec<u64> {
    (0..count).map(|index| BASE + index * distance).collect()
}

fn pages(image: &Image) -> Vec<u64> {
    image.texts.iter().map(|text| text.len_bytes / PAGE).collect()
}

#[test]
fn what_is_near_is_one_piece() {
    assert_eq!(pages(&image_of(&spread(20, 64 << 10))), [19 * 16 + 1]);
}

#[test]
fn what_lies_between_is_left_out() {
    assert_eq!(pages(&image_of(&spread(5, 1 << 20))), [1; 5]);
    assert_eq!(
        pages(&image_of(&[BASE, BASE + 100, BASE + (1 << 20) - 4, BASE + (1 << 20) + 8192])),
        [1, 4]
    );
}

#[test]
fn too_many_pieces_are_joined_where_they_are_nearest() {
    let mut sites = spread(MAX_TEXTS as u64 + 2, 400 << 10);
    assert_eq!(pages(&image_of(&sites)).len(), MAX_TEXTS);
    // Two pairs are nearer than the rest.
    sites[5] = sites[6] - (300 << 10);
    sites[10] = sites[11] - (300 << 10);
    let mut expected = vec![1; MAX_TEXTS];
    (expected[5], expected[9]) = (76, 76);
    assert_eq!(pages(&image_of(&sites)), expected);
}
