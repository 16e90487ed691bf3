/* That C lays the protocol's structures out as libshim does: compiled, never run. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-abi/ by `cargo run -p shim-gen`; do not edit. */

#include "../../docs/protocol.h"

#include <stddef.h>

#ifdef __cplusplus
#define SHIMPROTO_ASSERT(condition) static_assert(condition, #condition)
#else
#define SHIMPROTO_ASSERT(condition) _Static_assert(condition, #condition)
#endif

#define SHIMPROTO_FIELD(structure, field, offset, size)                    \
    SHIMPROTO_ASSERT(offsetof(struct structure, field) == (offset)); \
    SHIMPROTO_ASSERT(sizeof(((struct structure *)0)->field) == (size))

SHIMPROTO_ASSERT(sizeof(struct shimproto_block_header) == 24);
SHIMPROTO_FIELD(shimproto_block_header, magic, 0, 8);
SHIMPROTO_FIELD(shimproto_block_header, kind, 8, 4);
SHIMPROTO_FIELD(shimproto_block_header, size_bytes, 12, 4);
SHIMPROTO_FIELD(shimproto_block_header, version_major, 16, 4);
SHIMPROTO_FIELD(shimproto_block_header, version_minor, 20, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_manager_block) == 2048);
SHIMPROTO_FIELD(shimproto_manager_block, header, 0, 24);
SHIMPROTO_FIELD(shimproto_manager_block, start_realtime_ns, 24, 8);
SHIMPROTO_FIELD(shimproto_manager_block, start_wall_ns, 32, 8);
SHIMPROTO_FIELD(shimproto_manager_block, tsc_frequency_hz, 40, 8);
SHIMPROTO_FIELD(shimproto_manager_block, syscall_latency_ns, 48, 8);
SHIMPROTO_FIELD(shimproto_manager_block, vdso_latency_ns, 56, 8);
SHIMPROTO_FIELD(shimproto_manager_block, simulator_pid, 64, 4);
SHIMPROTO_FIELD(shimproto_manager_block, emulate_tsc, 68, 4);
SHIMPROTO_FIELD(shimproto_manager_block, read_only_fd, 72, 4);
SHIMPROTO_FIELD(shimproto_manager_block, shared_fd, 76, 4);
SHIMPROTO_FIELD(shimproto_manager_block, names_fd, 80, 4);
SHIMPROTO_FIELD(shimproto_manager_block, patching, 84, 4);
SHIMPROTO_FIELD(shimproto_manager_block, arena_fd, 88, 4);
SHIMPROTO_FIELD(shimproto_manager_block, arena_index, 92, 4);
SHIMPROTO_FIELD(shimproto_manager_block, kernel_layout, 96, 8);
SHIMPROTO_FIELD(shimproto_manager_block, component_ends, 104, 96);
SHIMPROTO_FIELD(shimproto_manager_block, library_path, 200, 1024);
SHIMPROTO_FIELD(shimproto_manager_block, reserved, 1224, 824);

SHIMPROTO_ASSERT(sizeof(struct shimproto_host_block) == 1024);
SHIMPROTO_FIELD(shimproto_host_block, header, 0, 24);
SHIMPROTO_FIELD(shimproto_host_block, now_ns, 24, 8);
SHIMPROTO_FIELD(shimproto_host_block, run_until_ns, 32, 8);
SHIMPROTO_FIELD(shimproto_host_block, uptime_at_start_ns, 40, 8);
SHIMPROTO_FIELD(shimproto_host_block, realtime_offset_ns, 48, 8);
SHIMPROTO_FIELD(shimproto_host_block, realtime_offset_at_start_ns, 56, 8);
SHIMPROTO_FIELD(shimproto_host_block, preemption_ns, 64, 8);
SHIMPROTO_FIELD(shimproto_host_block, rate, 72, 4);
SHIMPROTO_FIELD(shimproto_host_block, host_id, 76, 4);
SHIMPROTO_FIELD(shimproto_host_block, cpu_count, 80, 4);
SHIMPROTO_FIELD(shimproto_host_block, log_level, 84, 4);
SHIMPROTO_FIELD(shimproto_host_block, is_tracing, 88, 4);
SHIMPROTO_FIELD(shimproto_host_block, is_watching, 92, 4);
SHIMPROTO_FIELD(shimproto_host_block, ipv4, 96, 4);
SHIMPROTO_FIELD(shimproto_host_block, ipv4_prefix_bits, 100, 4);
SHIMPROTO_FIELD(shimproto_host_block, ipv6, 104, 16);
SHIMPROTO_FIELD(shimproto_host_block, ipv6_prefix_bits, 120, 4);
SHIMPROTO_FIELD(shimproto_host_block, hostname, 124, 65);
SHIMPROTO_FIELD(shimproto_host_block, kernel_release, 189, 65);
SHIMPROTO_FIELD(shimproto_host_block, kernel_version, 254, 65);
SHIMPROTO_FIELD(shimproto_host_block, domainname, 319, 65);
SHIMPROTO_FIELD(shimproto_host_block, reserved, 384, 640);

SHIMPROTO_ASSERT(sizeof(struct shimproto_signal_action) == 32);
SHIMPROTO_FIELD(shimproto_signal_action, handler, 0, 8);
SHIMPROTO_FIELD(shimproto_signal_action, flags, 8, 8);
SHIMPROTO_FIELD(shimproto_signal_action, restorer, 16, 8);
SHIMPROTO_FIELD(shimproto_signal_action, mask, 24, 8);

SHIMPROTO_ASSERT(sizeof(struct shimproto_process_block) == 9280);
SHIMPROTO_FIELD(shimproto_process_block, header, 0, 24);
SHIMPROTO_FIELD(shimproto_process_block, pid, 24, 4);
SHIMPROTO_FIELD(shimproto_process_block, parent_pid, 28, 4);
SHIMPROTO_FIELD(shimproto_process_block, group, 32, 4);
SHIMPROTO_FIELD(shimproto_process_block, session, 36, 4);
SHIMPROTO_FIELD(shimproto_process_block, native_pid, 40, 4);
SHIMPROTO_FIELD(shimproto_process_block, images, 44, 4);
SHIMPROTO_FIELD(shimproto_process_block, descriptor_limit, 48, 4);
SHIMPROTO_FIELD(shimproto_process_block, descriptor_limit_hard, 52, 4);
SHIMPROTO_FIELD(shimproto_process_block, exit_status, 56, 4);
SHIMPROTO_FIELD(shimproto_process_block, is_executing, 60, 4);
SHIMPROTO_FIELD(shimproto_process_block, random, 64, 32);
SHIMPROTO_FIELD(shimproto_process_block, cpu_ns, 96, 8);
SHIMPROTO_FIELD(shimproto_process_block, trapped_calls, 104, 8);
SHIMPROTO_FIELD(shimproto_process_block, calls, 112, 8);
SHIMPROTO_FIELD(shimproto_process_block, waits_for_lock_of, 120, 4);
SHIMPROTO_FIELD(shimproto_process_block, reserved, 124, 388);
SHIMPROTO_FIELD(shimproto_process_block, program, 512, 64);
SHIMPROTO_FIELD(shimproto_process_block, failure, 576, 512);
SHIMPROTO_FIELD(shimproto_process_block, refused, 1088, 2048);
SHIMPROTO_FIELD(shimproto_process_block, actions, 3136, 2048);
SHIMPROTO_FIELD(shimproto_process_block, descriptors, 5184, 4096);

SHIMPROTO_ASSERT(sizeof(struct shimproto_channel) == 2240);
SHIMPROTO_FIELD(shimproto_channel, control, 0, 4);
SHIMPROTO_FIELD(shimproto_channel, reserved, 4, 60);
SHIMPROTO_FIELD(shimproto_channel, request, 64, 64);
SHIMPROTO_FIELD(shimproto_channel, reply, 128, 64);
SHIMPROTO_FIELD(shimproto_channel, data, 192, 2048);

SHIMPROTO_ASSERT(sizeof(struct shimproto_ring) == 16392);
SHIMPROTO_FIELD(shimproto_ring, head, 0, 4);
SHIMPROTO_FIELD(shimproto_ring, tail, 4, 4);
SHIMPROTO_FIELD(shimproto_ring, words, 8, 16384);

SHIMPROTO_ASSERT(sizeof(struct shimproto_thread_block) == 19200);
SHIMPROTO_FIELD(shimproto_thread_block, header, 0, 24);
SHIMPROTO_FIELD(shimproto_thread_block, tid, 24, 4);
SHIMPROTO_FIELD(shimproto_thread_block, native_tid, 28, 4);
SHIMPROTO_FIELD(shimproto_thread_block, process_index, 32, 4);
SHIMPROTO_FIELD(shimproto_thread_block, calls, 36, 4);
SHIMPROTO_FIELD(shimproto_thread_block, charged_ns, 40, 8);
SHIMPROTO_FIELD(shimproto_thread_block, cpu_ns, 48, 8);
SHIMPROTO_FIELD(shimproto_thread_block, signal_mask, 56, 8);
SHIMPROTO_FIELD(shimproto_thread_block, user_ids, 64, 12);
SHIMPROTO_FIELD(shimproto_thread_block, group_ids, 76, 12);
SHIMPROTO_FIELD(shimproto_thread_block, alt_stack_pointer, 88, 8);
SHIMPROTO_FIELD(shimproto_thread_block, alt_stack_bytes, 96, 8);
SHIMPROTO_FIELD(shimproto_thread_block, alt_stack_flags, 104, 4);
SHIMPROTO_FIELD(shimproto_thread_block, is_serving, 108, 4);
SHIMPROTO_FIELD(shimproto_thread_block, first_words, 112, 16);
SHIMPROTO_FIELD(shimproto_thread_block, spins, 128, 4);
SHIMPROTO_FIELD(shimproto_thread_block, is_in_kernel, 132, 4);
SHIMPROTO_FIELD(shimproto_thread_block, preempt_at, 136, 8);
SHIMPROTO_FIELD(shimproto_thread_block, run_until_ns, 144, 8);
SHIMPROTO_FIELD(shimproto_thread_block, gives_way_at_ns, 152, 8);
SHIMPROTO_FIELD(shimproto_thread_block, pending_signals, 160, 8);
SHIMPROTO_FIELD(shimproto_thread_block, reserved, 168, 344);
SHIMPROTO_FIELD(shimproto_thread_block, channel, 512, 2240);
SHIMPROTO_FIELD(shimproto_thread_block, ring, 2752, 16392);

SHIMPROTO_ASSERT(sizeof(struct shimproto_read_only_region) == 3072);
SHIMPROTO_FIELD(shimproto_read_only_region, manager, 0, 2048);
SHIMPROTO_FIELD(shimproto_read_only_region, host, 2048, 1024);

SHIMPROTO_ASSERT(sizeof(struct shimproto_counters) == 256);
SHIMPROTO_FIELD(shimproto_counters, inodes, 0, 8);
SHIMPROTO_FIELD(shimproto_counters, reserved, 8, 248);

SHIMPROTO_ASSERT(sizeof(struct shimproto_baton) == 64);
SHIMPROTO_FIELD(shimproto_baton, control, 0, 4);
SHIMPROTO_FIELD(shimproto_baton, holder, 4, 4);
SHIMPROTO_FIELD(shimproto_baton, is_wanted, 8, 4);
SHIMPROTO_FIELD(shimproto_baton, reserved, 12, 52);

SHIMPROTO_ASSERT(sizeof(struct shimproto_inode_times) == 64);
SHIMPROTO_FIELD(shimproto_inode_times, device, 0, 8);
SHIMPROTO_FIELD(shimproto_inode_times, inode, 8, 8);
SHIMPROTO_FIELD(shimproto_inode_times, changed_ns, 16, 8);
SHIMPROTO_FIELD(shimproto_inode_times, created_ns, 24, 8);
SHIMPROTO_FIELD(shimproto_inode_times, modified_ns, 32, 8);
SHIMPROTO_FIELD(shimproto_inode_times, accessed_ns, 40, 8);
SHIMPROTO_FIELD(shimproto_inode_times, shown, 48, 8);
SHIMPROTO_FIELD(shimproto_inode_times, is_listed, 56, 8);

SHIMPROTO_ASSERT(sizeof(struct shimproto_written_files) == 262144);
SHIMPROTO_FIELD(shimproto_written_files, len_bytes, 0, 8);
SHIMPROTO_FIELD(shimproto_written_files, reserved, 8, 56);
SHIMPROTO_FIELD(shimproto_written_files, paths, 64, 262080);

SHIMPROTO_ASSERT(sizeof(struct shimproto_names_block) == 32);
SHIMPROTO_FIELD(shimproto_names_block, header, 0, 24);
SHIMPROTO_FIELD(shimproto_names_block, count, 24, 4);
SHIMPROTO_FIELD(shimproto_names_block, reserved, 28, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_name_entry) == 112);
SHIMPROTO_FIELD(shimproto_name_entry, name, 0, 64);
SHIMPROTO_FIELD(shimproto_name_entry, ipv6, 64, 16);
SHIMPROTO_FIELD(shimproto_name_entry, ipv4, 80, 4);
SHIMPROTO_FIELD(shimproto_name_entry, host_id, 84, 4);
SHIMPROTO_FIELD(shimproto_name_entry, canonical, 88, 4);
SHIMPROTO_FIELD(shimproto_name_entry, by_ipv4, 92, 4);
SHIMPROTO_FIELD(shimproto_name_entry, by_ipv6, 96, 4);
SHIMPROTO_FIELD(shimproto_name_entry, reserved, 100, 12);

SHIMPROTO_ASSERT(sizeof(struct shimproto_part) == 8);
SHIMPROTO_FIELD(shimproto_part, offset, 0, 4);
SHIMPROTO_FIELD(shimproto_part, count, 4, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_image_text) == 32);
SHIMPROTO_FIELD(shimproto_image_text, address, 0, 8);
SHIMPROTO_FIELD(shimproto_image_text, len_bytes, 8, 8);
SHIMPROTO_FIELD(shimproto_image_text, image_offset, 16, 8);
SHIMPROTO_FIELD(shimproto_image_text, file_offset, 24, 8);

SHIMPROTO_ASSERT(sizeof(struct shimproto_image_header) == 648);
SHIMPROTO_FIELD(shimproto_image_header, magic, 0, 8);
SHIMPROTO_FIELD(shimproto_image_header, version, 8, 4);
SHIMPROTO_FIELD(shimproto_image_header, area_bytes, 12, 4);
SHIMPROTO_FIELD(shimproto_image_header, area_address, 16, 8);
SHIMPROTO_FIELD(shimproto_image_header, doors, 24, 32);
SHIMPROTO_FIELD(shimproto_image_header, build_id, 56, 32);
SHIMPROTO_FIELD(shimproto_image_header, text_count, 88, 8);
SHIMPROTO_FIELD(shimproto_image_header, texts, 96, 512);
SHIMPROTO_FIELD(shimproto_image_header, stubs, 608, 8);
SHIMPROTO_FIELD(shimproto_image_header, places, 616, 8);
SHIMPROTO_FIELD(shimproto_image_header, displaced, 624, 8);
SHIMPROTO_FIELD(shimproto_image_header, traps, 632, 8);
SHIMPROTO_FIELD(shimproto_image_header, unwind, 640, 8);

SHIMPROTO_ASSERT(sizeof(struct shimproto_place) == 12);
SHIMPROTO_FIELD(shimproto_place, place, 0, 4);
SHIMPROTO_FIELD(shimproto_place, original, 4, 4);
SHIMPROTO_FIELD(shimproto_place, len_bytes, 8, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_displaced) == 8);
SHIMPROTO_FIELD(shimproto_displaced, original, 0, 4);
SHIMPROTO_FIELD(shimproto_displaced, place, 4, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_trap) == 8);
SHIMPROTO_FIELD(shimproto_trap, at, 0, 4);
SHIMPROTO_FIELD(shimproto_trap, door, 4, 4);

SHIMPROTO_ASSERT(sizeof(struct shimproto_image_record) == 24);
SHIMPROTO_FIELD(shimproto_image_record, fd, 0, 8);
SHIMPROTO_FIELD(shimproto_image_record, area, 8, 8);
SHIMPROTO_FIELD(shimproto_image_record, area_bytes, 16, 8);

SHIMPROTO_ASSERT(sizeof(struct shimproto_handoff) == 64);
SHIMPROTO_FIELD(shimproto_handoff, magic, 0, 8);
SHIMPROTO_FIELD(shimproto_handoff, version_major, 8, 4);
SHIMPROTO_FIELD(shimproto_handoff, version_minor, 12, 4);
SHIMPROTO_FIELD(shimproto_handoff, simulator_pid, 16, 4);
SHIMPROTO_FIELD(shimproto_handoff, read_only_fd, 20, 4);
SHIMPROTO_FIELD(shimproto_handoff, shared_fd, 24, 4);
SHIMPROTO_FIELD(shimproto_handoff, process_index, 28, 4);
SHIMPROTO_FIELD(shimproto_handoff, thread_index, 32, 4);
SHIMPROTO_FIELD(shimproto_handoff, reserved, 36, 28);
