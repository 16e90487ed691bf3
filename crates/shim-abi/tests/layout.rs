//! Where every word of shared memory lies, recorded for the protocol's version.
//!
//! The layouts in; differences from `layout.list` out. Always true: a field that is missing here does not
//! compile, and a layout that differs from the recorded one is a new protocol version. Run with
//! `SHIM_BLESS=1` to record anew after the version has changed. What the words mean stands on the types.

use std::fmt::Write;
use std::mem::{align_of, offset_of, size_of};
use std::path::Path;

use shim_abi::block::BlockHeader;
use shim_abi::host::HostBlock;
use shim_abi::manager::ManagerBlock;
use shim_abi::names::{NameEntry, NamesBlock};
use shim_abi::process::{ProcessBlock, SignalAction};
use shim_abi::region::{Baton, Counters, InodeTimes, ReadOnlyRegion, WrittenFiles};
use shim_abi::ring::Ring;
use shim_abi::thread::{Channel, ThreadBlock};
use shim_abi::version::{PROTOCOL_MAJOR, PROTOCOL_MINOR};

fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout {
    ($($name:ident { $($field:ident),* $(,)? })*) => {{
        let mut text = String::new();
        $(
            // A field that is not listed is an error here.
            let _ = |$name { $($field: _),* }: &$name| {};
            let (size, align) = (size_of::<$name>(), align_of::<$name>());
            _ = writeln!(text, "{} {size} bytes, aligned to {align}", stringify!($name));
            $(
                let size = size_of_field(|value: &$name| &value.$field);
                let name = stringify!($field);
                _ = writeln!(text, "    {:>6} {name} {size}", offset_of!($name, $field));
            )*
        )*
        text
    }};
}

fn layout() -> String {
    layout! {
        BlockHeader { magic, kind, size_bytes, version_major, version_minor }
        ReadOnlyRegion { manager, host }
        ManagerBlock {
            header, start_realtime_ns, start_wall_ns, tsc_frequency_hz, syscall_latency_ns,
            vdso_latency_ns, simulator_pid, emulate_tsc, read_only_fd, shared_fd, names_fd, patching,
            arena_fd, arena_index, kernel_layout, component_ends, library_path, reserved,
        }
        HostBlock {
            header, now_ns, run_until_ns, uptime_at_start_ns, realtime_offset_ns,
            realtime_offset_at_start_ns, preemption_ns, rate, host_id, cpu_count, log_level,
            is_tracing, is_watching, ipv4, ipv4_prefix_bits, ipv6, ipv6_prefix_bits, hostname, kernel_release,
            kernel_version, domainname, reserved,
        }
        ProcessBlock {
            header, pid, parent_pid, group, session, native_pid, images, descriptor_limit,
            descriptor_limit_hard, exit_status, is_executing, random,
            cpu_ns, trapped_calls, calls, waits_for_lock_of, reserved, program, failure, refused, actions, descriptors,
        }
        SignalAction { handler, flags, restorer, mask }
        ThreadBlock {
            header, tid, native_tid, process_index, calls, charged_ns, cpu_ns, signal_mask,
            user_ids, group_ids, alt_stack_pointer, alt_stack_bytes, alt_stack_flags, is_serving, first_words,
            spins, is_in_kernel, preempt_at, run_until_ns, gives_way_at_ns, pending_signals, reserved, channel, ring,
        }
        Channel { control, reserved, request, reply, data }
        Ring { head, tail, words }
        InodeTimes { device, inode, changed_ns, created_ns, modified_ns, accessed_ns, shown, is_listed }
        WrittenFiles { len_bytes, reserved, paths }
        Counters { inodes, reserved }
        Baton { control, holder, is_wanted, reserved }
        NamesBlock { header, count, reserved }
        NameEntry { name, ipv6, ipv4, host_id, canonical, by_ipv4, by_ipv6, reserved }
    }
}

#[test]
fn the_layout_is_the_recorded_one_of_this_protocol() {
    let version = format!("protocol {PROTOCOL_MAJOR}.{PROTOCOL_MINOR}\n");
    let head =
        "# Offset, name and size of every field of shared memory; recorded by tests/layout.rs.\n";
    let expected = head.to_owned() + &version + &layout();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layout.list");
    let recorded = std::fs::read_to_string(&path).unwrap_or_default();
    let is_same_version = recorded.contains(&format!("\n{version}"));
    if std::env::var_os("SHIM_BLESS").is_some() && (recorded.is_empty() || !is_same_version) {
        std::fs::write(&path, expected).expect("it can be written");
        return;
    }
    if let Some((now, was)) = expected.lines().zip(recorded.lines()).find(|(now, was)| now != was) {
        panic!(
            "the layout is another one than that of {version}now: {now}\nwas: {was}\n\
             see docs/abi-policy.md: into reserved places, PROTOCOL_MINOR up, then record with SHIM_BLESS=1"
        );
    }
    assert_eq!(expected.lines().count(), recorded.lines().count());
}
