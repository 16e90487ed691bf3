//! Addresses of images as addresses of the original, and back.
//!
//! An instruction's address in, that of its equal out; what no image knows is its own equal. Always true: what a
//! guest is shown (in a signal frame) is an address of the original, and what it says (when its handler returns) is
//! one. The tables are the image's (`shim_abi::image`).
//!
//! # Safety
//!
//! Reads tables at the offsets that an image's header gives.
#![allow(unsafe_code)]

use shim_abi::image::{self, Displaced, Door, Part, Trap};

use super::map::{Image, all};

impl Image {
    fn table<T>(self, part: Part) -> &'static [T] {
        let start = (self.area() + u64::from(part.offset)) as *const T;
        // SAFETY: the supervisor's image has so many entries there, aligned, in pages that nobody writes.
        unsafe { core::slice::from_raw_parts(start, part.count as usize) }
    }

    /// An address as the tables have it.
    fn offset(self, address: u64) -> i32 {
        address.wrapping_sub(self.area()) as i32
    }

    fn address(self, offset: i32) -> u64 {
        self.area().wrapping_add_signed(offset.into())
    }
}

fn of(address: u64) -> Option<Image> {
    all().find(|image| image.holds(address))
}

/// What is executed next in the original when control is at `address`.
pub fn original(address: u64) -> u64 {
    match of(address) {
        Some(image) => {
            let places = image.table(image.header().places);
            image.address(image::original_of(places, image.offset(address)))
        }
        None => address,
    }
}

/// Where control has to go to go on at `original`.
pub fn place(original: u64) -> u64 {
    match of(original) {
        Some(image) => {
            let displaced: &[Displaced] = image.table(image.header().displaced);
            image.address(image::place_of(displaced, image.offset(original)))
        }
        None => original,
    }
}

/// The instruction that stood at `address` and is to be emulated: an image made it trap.
pub fn emulated_at(address: u64) -> Option<Door> {
    let image = of(address)?;
    let traps: &[Trap] = image.table(image.header().traps);
    image::is_trap(traps, image.offset(address))
}
