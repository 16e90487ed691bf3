//! What unwinders and debuggers need to know of stubs.
//!
//! The parts of stubs in, call frame information in the format of `.eh_frame` out. Always true: it is independent
//! of where the image is mapped, and contains no relocations. See the DWARF standard (version 5, section 6.4),
//! and the Linux Standard Base for the format.
//!
//! A stub has no frame: the stack is as the function has it in which the site stands. But what that function's
//! frame looks like *there* is known to the original's own table, for the address of the original instruction.
//! So a stub is described as something that this instruction was interrupted by, as signal handlers are: its
//! caller's stack pointer is its own, all registers are unchanged, and the return address is a constant distance
//! from the instruction pointer. Nothing of the original's table is copied.

use gimli::constants::{DW_EH_PE_pcrel, DW_EH_PE_sdata4};
use gimli::write::{
    Address, CallFrameInstruction, CommonInformationEntry, EhFrame, EndianVec, Expression,
    FrameDescriptionEntry, FrameTable,
};
use gimli::{DwEhPe, Encoding, Format, LittleEndian, X86_64};

/// Call frame information that will stand at `at`, of stubs: for each where it stands, and its parts as in
/// [`crate::stub::Stub::parts`].
pub fn describe<'a>(
    at: i64,
    stubs: impl Iterator<Item = (i64, &'a [(u32, i64)])>,
) -> gimli::write::Result<Vec<u8>> {
    let encoding = Encoding { address_size: 8, format: Format::Dwarf32, version: 1 };
    let mut common = CommonInformationEntry::new(encoding, 1, 1, X86_64::RA);
    common.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
    common.signal_trampoline = true;
    common.add_instruction(CallFrameInstruction::Cfa(X86_64::RSP, 0));
    let mut table = FrameTable::default();
    let common = table.add_cie(common);
    for (start, parts) in stubs {
        let len_bytes = parts.iter().map(|(len, _)| len).sum();
        // Addresses are relative to this section, which is what the encoding stores.
        let address = Address::Constant((start - at) as u64);
        let mut entry = FrameDescriptionEntry::new(address, len_bytes);
        let mut offset = 0;
        for (len, original) in parts {
            let mut caller = Expression::new();
            caller.op_breg(X86_64::RA, original - (start + i64::from(offset)));
            entry.add_instruction(offset, CallFrameInstruction::ValExpression(X86_64::RA, caller));
            offset += len;
        }
        table.add_fde(common, entry);
    }
    let mut section = EhFrame(EndianVec::new(LittleEndian));
    table.write_eh_frame(&mut section)?;
    let mut bytes = section.0.into_vec();
    bytes.extend([0; 4]); // The terminator.
    Ok(bytes)
}
