/* The protocol between a simulator and libshim.so: structures and numbers. What they mean is in protocol.md. */

/* SPDX-License-Identifier: MIT OR Apache-2.0
   Made from crates/shim-abi/ by `cargo run -p shim-gen`; do not edit.

   For who writes a simulator; nothing of libshim is needed beside it. Structures have no alignment but that of their
   fields: what a field's comment says of alignment is true of offsets in memory files. A word that changes while
   memory is shared is to be read and written with atomic operations. */

#ifndef SHIM_PROTOCOL_H
#define SHIM_PROTOCOL_H

#include <stdint.h>

/* Version. */

#define SHIMPROTO_PROTOCOL_MAJOR 1U
#define SHIMPROTO_PROTOCOL_MINOR 0U
#define SHIMPROTO_NOTE_TYPE 1U

/* Addresses in a guest. */

#define SHIMPROTO_RESERVATION 0x6f0000000000ULL
#define SHIMPROTO_RESERVATION_BYTES 0x80000000U
#define SHIMPROTO_READ_ONLY_REGION 0x6f0000000000ULL
#define SHIMPROTO_NAMES_REGION 0x6f0000100000ULL
#define SHIMPROTO_SHARED_REGION 0x6f0001000000ULL
#define SHIMPROTO_TEXT_BUFFER 0x6f0018000000ULL
#define SHIMPROTO_TEXT_BUFFER_BYTES 0x1000000U
#define SHIMPROTO_PRIVATE 0x6f0020000000ULL
#define SHIMPROTO_PLACE_BYTES 0x40000U
#define SHIMPROTO_ARENAS 0x650000000000ULL
#define SHIMPROTO_ARENA_BYTES 0x40000000U

/* Memory files. */

#define SHIMPROTO_READ_ONLY_BYTES 16384U
#define SHIMPROTO_SHARED_BYTES 114561024U
#define SHIMPROTO_MAX_PROCESSES 1024U
#define SHIMPROTO_MAX_THREADS 4096U
#define SHIMPROTO_PROCESS_STRIDE_BYTES 12288U
#define SHIMPROTO_THREAD_STRIDE_BYTES 24576U
#define SHIMPROTO_MAX_INODE_TIMES 16384U
#define SHIMPROTO_WRITTEN_PATH_BYTES 262080U
#define SHIMPROTO_HANDOFF_BYTES 64U
#define SHIMPROTO_MAX_NAME_BYTES 63U
#define SHIMPROTO_EVERY_HOST 0xffffffffU
#define SHIMPROTO_COMPONENTS 24U
#define SHIMPROTO_COUNTERS_OFFSET 0U
#define SHIMPROTO_BATON_OFFSET 2048U
#define SHIMPROTO_INODE_TIMES_OFFSET 4096U
#define SHIMPROTO_WRITTEN_OFFSET 1052672U
#define SHIMPROTO_PROCESSES_OFFSET 1314816U
#define SHIMPROTO_THREADS_OFFSET 13897728U

/* Kinds of blocks. */

#define SHIMPROTO_BLOCK_MAGIC 0x6b6f6c626d696873ULL
#define SHIMPROTO_KIND_MANAGER 1U
#define SHIMPROTO_KIND_HOST 2U
#define SHIMPROTO_KIND_PROCESS 3U
#define SHIMPROTO_KIND_THREAD 4U
#define SHIMPROTO_KIND_NAMES 5U

/* Manager block. */

#define SHIMPROTO_EMULATE_TSC_NEVER 0U
#define SHIMPROTO_EMULATE_TSC_ALWAYS 1U
#define SHIMPROTO_EMULATE_TSC_AUTO 2U
#define SHIMPROTO_PATCHING_OFF 0U
#define SHIMPROTO_PATCHING_ON 1U

/* Process block. */

#define SHIMPROTO_MAX_DESCRIPTORS 4096U
#define SHIMPROTO_FIRST_HIDDEN_DESCRIPTOR 4096U
#define SHIMPROTO_HIDDEN_DESCRIPTORS 64U
#define SHIMPROTO_KICK_SIGNAL 64U
#define SHIMPROTO_MAX_SIGNAL 64U
#define SHIMPROTO_MAX_CALLS 512U
#define SHIMPROTO_DESCRIPTOR_NATIVE 0U
#define SHIMPROTO_DESCRIPTOR_RANDOM 1U
#define SHIMPROTO_DESCRIPTOR_EXTERNAL 2U
#define SHIMPROTO_DESCRIPTOR_WRITABLE 3U
#define SHIMPROTO_DESCRIPTOR_VIRTUAL 4U
#define SHIMPROTO_DESCRIPTOR_SHOWN 5U

/* Thread block. */

#define SHIMPROTO_DATA_BYTES 2048U
#define SHIMPROTO_CONTROL_SIMULATOR 1U
#define SHIMPROTO_CONTROL_SLEEPER 2U
#define SHIMPROTO_CONTROL_CLOSED 4U
#define SHIMPROTO_PLACE_OUTSIDE 0U
#define SHIMPROTO_PLACE_INSIDE 1U
#define SHIMPROTO_PLACE_HANDS_ON 2U
#define SHIMPROTO_BATON_SIMULATOR 1U
#define SHIMPROTO_BATON_SLEEPER 2U
#define SHIMPROTO_BATON_ALARM 4U

/* Records. */

#define SHIMPROTO_RING_WORDS 2048U
#define SHIMPROTO_MAX_PAYLOAD_BYTES 1024U
#define SHIMPROTO_MAX_CALL_TEXT_BYTES 96U
#define SHIMPROTO_RECORD_LOG 1U
#define SHIMPROTO_RECORD_CALL 2U
#define SHIMPROTO_RECORD_LACK 3U
#define SHIMPROTO_CALL_RECORD_BYTES 64U

/* Results that programs never see. */

#define SHIMPROTO_ERESTARTSYS 512U
#define SHIMPROTO_ERESTARTNOINTR 513U

/* Pseudo calls. */

#define SHIMPROTO_PSEUDO_VIRTUAL_FILE 0x10000U
#define SHIMPROTO_PSEUDO_DUPLICATE 0x10001U
#define SHIMPROTO_PSEUDO_POLL 0x10002U
#define SHIMPROTO_PSEUDO_REOPEN 0x10003U
#define SHIMPROTO_PSEUDO_NAME 0x10004U
#define SHIMPROTO_PSEUDO_OPEN_FIFO 0x10005U
#define SHIMPROTO_PSEUDO_PROCESS_FILE 0x10006U
#define SHIMPROTO_PSEUDO_ATTACHED 0x10007U
#define SHIMPROTO_PSEUDO_LOCK_WAIT 0x10008U
#define SHIMPROTO_PSEUDO_LOCK_RELEASED 0x10009U
#define SHIMPROTO_PSEUDO_REPLACE_IMAGE 0x1000aU
#define SHIMPROTO_PSEUDO_TAKE_RIGHTS 0x1000bU
#define SHIMPROTO_PSEUDO_IMAGES 0x1000cU
#define SHIMPROTO_PSEUDO_MAPS 0x1000dU
#define SHIMPROTO_PSEUDO_BIND_PATH 0x1000eU
#define SHIMPROTO_PSEUDO_POST 0x1000fU
#define SHIMPROTO_PSEUDO_TAKE_FILE 0x10010U
#define SHIMPROTO_PSEUDO_WATCHED 0x10011U
#define SHIMPROTO_PSEUDO_PEEK_PIPE 0x10012U
#define SHIMPROTO_SENT_FILES 0x100000000ULL
#define SHIMPROTO_SENT_REFUSED 0x1000000000000ULL
#define SHIMPROTO_ACCEPT_WAITS 0xfffffffeU
#define SHIMPROTO_ACCEPT_NEEDS_WAIT 0x1U
#define SHIMPROTO_BIND_NEEDS_PATH 0x1U
#define SHIMPROTO_PROCESS_FILE_PROCESSES 0U
#define SHIMPROTO_PROCESS_FILE_THREADS 1U
#define SHIMPROTO_PROCESS_FILE_STAT 2U
#define SHIMPROTO_PROCESS_FILE_STATUS 3U
#define SHIMPROTO_MEMORY_FILE_MAPS 0U
#define SHIMPROTO_MEMORY_FILE_SMAPS 1U
#define SHIMPROTO_MEMORY_FILE_ROLLUP 2U

/* Images. */

#define SHIMPROTO_IMAGE_MAGIC 0x747865746d696873ULL
#define SHIMPROTO_TRAP_BYTE 0xf4U
#define SHIMPROTO_IMAGE_VERSION 2U
#define SHIMPROTO_MAX_TEXTS 16U
#define SHIMPROTO_MAX_IMAGES 64U
#define SHIMPROTO_READS_COUNTER 1U
#define SHIMPROTO_DOOR_CALL 0U
#define SHIMPROTO_DOOR_RDTSC 1U
#define SHIMPROTO_DOOR_RDTSCP 2U
#define SHIMPROTO_DOOR_CPUID 3U

/* Flags of Complete, in word 0. */

#define SHIMPROTO_COMPLETE_CLOCK_ADVANCED 0x100000000ULL
#define SHIMPROTO_COMPLETE_SIGNAL 0x200000000ULL

/* What a guest says: the lower half of word 0. */

#define SHIMPROTO_REQUEST_START 1U
#define SHIMPROTO_REQUEST_SYSCALL 2U
#define SHIMPROTO_REQUEST_SYSCALL_COMPLETE 3U
#define SHIMPROTO_REQUEST_ADD_THREAD_RES 4U
#define SHIMPROTO_REQUEST_LIMIT 5U
#define SHIMPROTO_REQUEST_DRAIN 6U
#define SHIMPROTO_REQUEST_SIGNALS 7U
#define SHIMPROTO_REQUEST_PREEMPTED 8U
#define SHIMPROTO_REQUEST_ANSWERED 9U
#define SHIMPROTO_REQUEST_PARKED 10U
#define SHIMPROTO_REQUEST_WOKEN 11U
#define SHIMPROTO_REQUEST_RESUMED 12U

/* What is said to a guest: the lower half of word 0. */

#define SHIMPROTO_REPLY_STARTED 1U
#define SHIMPROTO_REPLY_COMPLETE 2U
#define SHIMPROTO_REPLY_DO_NATIVE 3U
#define SHIMPROTO_REPLY_ADD_THREAD 4U
#define SHIMPROTO_REPLY_DIE 5U
#define SHIMPROTO_REPLY_GO_ON 6U

/* The first words of every block. Written once by the simulator, before the block is shared. */
struct shimproto_block_header {
    /* BlockHeader::MAGIC. */
    uint64_t magic;
    /* A BlockKind. */
    uint32_t kind;
    /* Size of the whole block. */
    uint32_t size_bytes;
    /* The protocol that laid it out. */
    uint32_t version_major;
    /* See version_major. */
    uint32_t version_minor;
};

/* The whole simulation. One instance per host's memory file, all alike. */
struct shimproto_manager_block {
    /* Recognises the block. */
    struct shimproto_block_header header;
    /* Calendar time of the simulation's start: nanoseconds since 1970-01-01 00:00:00 UTC. */
    int64_t start_realtime_ns;
    /* Real (wall clock) calendar time at which the simulator started: a file whose times are not earlier was
       touched while the simulation ran. */
    int64_t start_wall_ns;
    /* Frequency of the simulated time stamp counter. */
    uint64_t tsc_frequency_hz;
    /* Simulated time that an answered system call costs. */
    uint64_t syscall_latency_ns;
    /* Simulated time that a vDSO call or a read of the time stamp counter costs. */
    uint64_t vdso_latency_ns;
    /* Native process id of the simulator. */
    uint32_t simulator_pid;
    /* An EmulateTsc. */
    uint32_t emulate_tsc;
    /* Number of the simulator's descriptor of the host's read-only memory file. */
    uint32_t read_only_fd;
    /* Number of the simulator's descriptor of the memory file that the host's guests write. */
    uint32_t shared_fd;
    /* Number of the simulator's descriptor of the memory file with the names. */
    uint32_t names_fd;
    /* A Patching. */
    uint32_t patching;
    /* Number of the simulator's descriptor of the arena in which the host's kernel lives; 0 if guests have no
       part in it. */
    uint32_t arena_fd;
    /* Which arena it is: the address is address::ARENAS and so many times address::ARENA_BYTES. */
    uint32_t arena_index;
    /* How the kernel's state is laid out, as a number that only builds of the same kernel share. A library
       with another one forwards every call. */
    uint64_t kernel_layout;
    /* Where each component of the processor's extended state ends in the standard format, as CPUID leaf 0xd
       has it; 0: not known. Guests that ask the processor themselves leave their virtual machine for each. */
    uint32_t component_ends[24];
    /* What guests preload: the absolute path of libshim.so, and behind a colon that of the library beside it
       that replaces functions of the C library, if it is there. */
    char library_path[1024];
    /* Zero; for later minor versions. */
    uint64_t reserved[103];
};

/* One simulated machine. */
struct shimproto_host_block {
    /* Recognises the block. */
    struct shimproto_block_header header;
    /* Simulated now, in nanoseconds since the simulation's start. A guest's own clock is this plus what its
       thread was charged since. */
    uint64_t now_ns;
    /* The instant at which a guest must hand over instead of going on. u64::MAX: never. */
    uint64_t run_until_ns;
    /* Added to simulated time for CLOCK_MONOTONIC, CLOCK_BOOTTIME and the time stamp counter: how long before
       the simulation's start the host was booted. */
    uint64_t uptime_at_start_ns;
    /* Added to the simulation's calendar for CLOCK_REALTIME and CLOCK_TAI at now_ns: the offset at the start
       and the jumps since. A jump is an event of the host, so run_until_ns never lies beyond the next one. */
    int64_t realtime_offset_ns;
    /* realtime_offset_ns at the simulation's start. */
    int64_t realtime_offset_at_start_ns;
    /* Simulated time that a guest charges itself when it is preempted because it makes no call. */
    uint64_t preemption_ns;
    /* How many nanoseconds the host's oscillator counts in a second of simulated time: 1,000,000,000, give or
       take a tenth. All its clocks but those of CPU time are based on it. */
    uint32_t rate;
    /* Number of the host in the simulation, from 0. */
    uint32_t host_id;
    /* The simulated machine's processors. */
    uint32_t cpu_count;
    /* Verbosity of guests' log records: 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace. */
    uint32_t log_level;
    /* 1 if guests write a trace record for each system call. */
    uint32_t is_tracing;
    /* 1 if somebody on this host watches files: guests then tell when they may have changed some
       (PSEUDO_WATCHED). */
    uint32_t is_watching;
    /* IPv4 address of the host's interface, in network byte order; 0 if it has none. */
    uint32_t ipv4;
    /* Bits of ipv4 that name the network. */
    uint32_t ipv4_prefix_bits;
    /* IPv6 address of the host's interface; all zero if it has none. */
    uint8_t ipv6[16];
    /* Bits of ipv6 that name the network. */
    uint32_t ipv6_prefix_bits;
    /* uname -n. */
    char hostname[65];
    /* uname -r. */
    char kernel_release[65];
    /* uname -v. */
    char kernel_version[65];
    /* NIS domain, the last field of uname(2). */
    char domainname[65];
    /* Zero; for later minor versions. */
    uint64_t reserved[80];
};

/* What a guest does on a signal: the words of the kernel's struct sigaction. Written by the process. */
struct shimproto_signal_action {
    /* 0 default, 1 ignore, else the handler's address. */
    uint64_t handler;
    /* SA_*. */
    uint64_t flags;
    /* The restorer's address. */
    uint64_t restorer;
    /* Signals blocked while the handler runs. */
    uint64_t mask;
};

/* One simulated process. */
struct shimproto_process_block {
    /* Recognises the block. */
    struct shimproto_block_header header;
    /* Virtual process id. Written by the simulator before the start. */
    uint32_t pid;
    /* Virtual id of the parent; 0 if outside the simulation. Written by the simulator. */
    uint32_t parent_pid;
    /* Virtual process group. Written by the simulator. */
    uint32_t group;
    /* Virtual session. Written by the simulator. */
    uint32_t session;
    /* Native process id. Written by whoever made the process, and by itself at its start. */
    uint32_t native_pid;
    /* Number of images that have started in this process: 1 after the first. Written by the guest. */
    uint32_t images;
    /* Soft limit of descriptors that the guest sees. Written by the simulator. */
    uint32_t descriptor_limit;
    /* Hard limit of descriptors that the guest sees. Written by the simulator. */
    uint32_t descriptor_limit_hard;
    /* Exit status announced by the guest, -1 before. Written by the guest. */
    int32_t exit_status;
    /* 1 while the process replaces its image. Written by the guest. */
    uint32_t is_executing;
    /* State of the process's random stream. Seeded by the simulator, then written by the guest. */
    uint64_t random[4];
    /* Simulated CPU time of all its threads, in nanoseconds. Written by the guest. */
    uint64_t cpu_ns;
    /* Calls that trapped instead of coming by a patched site. Written by the guest. */
    uint64_t trapped_calls;
    /* Calls that were served. Written by the guest. */
    uint64_t calls;
    /* Virtual id of the process for whose record lock it waits, 0 if none. Written by the guest. */
    uint32_t waits_for_lock_of;
    /* Zero; for later minor versions. */
    uint32_t reserved[97];
    /* Name of the running program, for messages. Written by the guest. */
    char program[64];
    /* One line, if the shim failed in this process: what, where, when. Written by the guest. */
    char failure[512];
    /* How often each call of the table, by number, was refused. Written by the guest. */
    uint32_t refused[512];
    /* Signal dispositions, signal n at n - 1. Written by the guest. */
    struct shimproto_signal_action actions[64];
    /* What each descriptor is: a value of descriptor. Written by the guest. */
    uint8_t descriptors[4096];
};

/* One thread's channel: who has control, and what was said last in each direction. */
struct shimproto_channel {
    /* The control word; see shim-sync. Written by both sides under its rules. */
    uint32_t control;
    /* Keeps the lines apart. */
    uint32_t reserved[15];
    /* The last request. Written by the guest while it has control. */
    uint64_t request[8];
    /* The last reply. Written by the simulator while it has control, or by the guest that hands this thread
       control. */
    uint64_t reply[8];
    /* Payload of the last message, in words. Written by the side that has control. */
    uint64_t data[256];
};

/* The ring of one thread. */
struct shimproto_ring {
    /* Words written so far. Written by the guest. */
    uint32_t head;
    /* Words read so far. Written by the simulator. */
    uint32_t tail;
    /* The records. */
    uint64_t words[2048];
};

/* One simulated thread. */
struct shimproto_thread_block {
    /* Recognises the block. */
    struct shimproto_block_header header;
    /* Virtual thread id. Written by the simulator before the start. */
    uint32_t tid;
    /* Native thread id. Written by whoever made the thread, and by itself at its start. */
    uint32_t native_tid;
    /* Index of the process's block in the host's region. Written by the simulator. */
    uint32_t process_index;
    /* How many calls this thread has made. Written by the guest. */
    uint32_t calls;
    /* Simulated time since HostBlock::now_ns: what the latency model charged, and what passed while guests
       handed control to each other. Written by guests. */
    uint64_t charged_ns;
    /* Simulated CPU time of this thread. Written by the guest. */
    uint64_t cpu_ns;
    /* Blocked signals, signal n at bit n - 1. Written by the guest. */
    uint64_t signal_mask;
    /* Real, effective and saved user id. Written by the guest. */
    uint32_t user_ids[3];
    /* Real, effective and saved group id. Written by the guest. */
    uint32_t group_ids[3];
    /* The guest's alternate signal stack: address. Written by the guest. */
    uint64_t alt_stack_pointer;
    /* The guest's alternate signal stack: size in bytes. Written by the guest. */
    uint64_t alt_stack_bytes;
    /* The guest's alternate signal stack: SS_*. Written by the guest. */
    int32_t alt_stack_flags;
    /* 1 while the shim serves a call of this thread, natively or not: none of the guest's own code runs
       meanwhile. Written by the guest. */
    uint32_t is_serving;
    /* What a libc told the real kernel before there was a shim: the head of its list of robust locks, and the
       word to clear at the end; 0: nothing. Written by the guest before each Request::Start, upon which the
       simulator does what set_robust_list(2) and set_tid_address(2) do. */
    uint64_t first_words[2];
    /* How often the thread looked for control before it slept, when it began its execve. Written by the
       guest. */
    uint32_t spins;
    /* Where the thread is with the host's kernel: see kernel_place. Written by the guest. */
    uint32_t is_in_kernel;
    /* The thread is to hand over with Request::Preempted if it is kicked and the number of its calls still is
       this minus 1; 0: never. Written by the simulator at any time. */
    uint64_t preempt_at;
    /* The instant at which the thread must hand over, as it knows: earlier than HostBlock::run_until_ns if it
       has made another one ready since; u64::MAX: nothing and nobody waits for it. Written by the guest. */
    uint64_t run_until_ns;
    /* CPU time of this thread from which on it lets others go first whom it wakes. Written by whoever has
       control when the thread begins to wait, the simulator or the thread itself. */
    uint64_t gives_way_at_ns;
    /* Signals that wait for this thread, signal n at bit n - 1. Written by the simulator. */
    uint64_t pending_signals;
    /* Zero; for later minor versions. */
    uint64_t reserved[43];
    /* The channel. */
    struct shimproto_channel channel;
    /* Log and trace records. */
    struct shimproto_ring ring;
    uint8_t padding_at_19144[56];
};

/* The file that guests can only read. */
struct shimproto_read_only_region {
    /* The whole simulation. */
    struct shimproto_manager_block manager;
    /* This host. */
    struct shimproto_host_block host;
};

/* What all guests of a host count together. Written by the guest of the host that has control. */
struct shimproto_counters {
    /* How many inodes have got a number of the host's own. */
    uint64_t inodes;
    /* Zero; for later minor versions. */
    uint64_t reserved[31];
};

/* Who has control, in a host whose guests share its kernel and hand control to each other. */
struct shimproto_baton {
    /* Whether guests have control, or the simulator; see shim-sync. A guest that has started hands control
       back by this word, besides its channel's. */
    uint32_t control;
    /* Index of the thread block of the guest that has control, or had it last. Written by whoever hands it
       control. */
    uint32_t holder;
    /* 1: somebody from outside waits to be heard, so that whoever waits hands control to the simulator, not
       to another guest. Written by the simulator, at any time. */
    uint32_t is_wanted;
    /* Zero; for later minor versions. */
    uint32_t reserved[13];
};

/* What Linux keeps for a file but lets nobody set, times and its number: remembered for the files that guests
   of this host changed or made. A slot of an open hash table, keyed by device and inode. Written by the guest
   of the host that has control. */
struct shimproto_inode_times {
    /* Device number, as stat(2) shows it. */
    uint64_t device;
    /* Inode number; 0 marks a free slot. */
    uint64_t inode;
    /* Last change of the inode, in nanoseconds since 1970. */
    uint64_t changed_ns;
    /* Creation of the file, if a guest created it, in nanoseconds since 1970; else 0. */
    uint64_t created_ns;
    /* Last change of the contents by a guest, in nanoseconds since 1970; 0 if unknown. */
    uint64_t modified_ns;
    /* Last access that a guest set, in nanoseconds since 1970; 0 if unknown. */
    uint64_t accessed_ns;
    /* The inode number that guests see; 0 if none has asked yet. */
    uint64_t shown;
    /* 1 if the file stands in WrittenFiles, or there was no room. */
    uint64_t is_listed;
};

/* The paths of regular files that guests of this host opened for writing, as far as there is room: each is
   named once, as the host sees it. Written by the guest of the host that has control. */
struct shimproto_written_files {
    /* How many bytes of paths are used. */
    uint64_t len_bytes;
    /* Zero; for later minor versions. */
    uint64_t reserved[7];
    /* The paths, each with a NUL at its end. */
    uint8_t paths[262080];
};

/* What the file begins with; the entries follow. */
struct shimproto_names_block {
    /* Recognises the block. */
    struct shimproto_block_header header;
    /* Number of entries. */
    uint32_t count;
    /* Zero; for later minor versions. */
    uint32_t reserved;
};

/* One name. An alias is an entry of its own. */
struct shimproto_name_entry {
    /* The name. */
    char name[64];
    /* Its IPv6 address; all zero if it has none. */
    uint8_t ipv6[16];
    /* Its IPv4 address in network byte order; 0 if it has none. */
    uint32_t ipv4;
    /* The host that it names, or EVERY_HOST. */
    uint32_t host_id;
    /* Index of the entry with the canonical name; its own index if it is that. */
    uint32_t canonical;
    /* In entry n: index of the nth entry in the order of IPv4 addresses, canonical names first. */
    uint32_t by_ipv4;
    /* The same for IPv6. */
    uint32_t by_ipv6;
    /* Zero; for later minor versions. */
    uint32_t reserved[3];
};

/* Where a table is. */
struct shimproto_part {
    /* Its offset in the area. */
    uint32_t offset;
    /* How many entries (or bytes, where there are none) it has. */
    uint32_t count;
};

/* Executable memory that is replaced: whole pages of one segment. */
struct shimproto_image_text {
    /* Its address. */
    int64_t address;
    /* Its size; a multiple of a page. */
    uint64_t len_bytes;
    /* Where it is in the image's file. */
    uint64_t image_offset;
    /* Where the original is in the original's file. */
    uint64_t file_offset;
};

/* The first words of an image. */
struct shimproto_image_header {
    /* IMAGE_MAGIC. */
    uint64_t magic;
    /* IMAGE_VERSION. */
    uint32_t version;
    /* Size of the area; a multiple of a page. */
    uint32_t area_bytes;
    /* Where the area has to stand; a multiple of a page, often negative. */
    int64_t area_address;
    /* The entries, in the order of Door. Zero in the file; written by each guest into its own copy. */
    uint64_t doors[4];
    /* The original's build-id, filled up with zeros; all zero if it has none. */
    uint8_t build_id[32];
    /* How many of texts there are. */
    uint64_t text_count;
    /* What is replaced, by address. */
    struct shimproto_image_text texts[16];
    /* The stubs, in bytes. */
    struct shimproto_part stubs;
    /* Table of Place. */
    struct shimproto_part places;
    /* Table of Displaced. */
    struct shimproto_part displaced;
    /* Table of Trap. */
    struct shimproto_part traps;
    /* Call frame information of the stubs in the format of .eh_frame, in bytes, with its terminator. It says
       that whoever is in a stub was called, with the same registers, from where its Place says. */
    struct shimproto_part unwind;
};

/* Code of an image that stands for code of the original. */
struct shimproto_place {
    /* Where it begins: an offset from the start of the area, which for a jump in the text is not inside of
       it. */
    int32_t place;
    /* The instruction of the original that is executed next when control is there: an offset likewise. */
    int32_t original;
    /* How long it is. */
    uint32_t len_bytes;
};

/* An instruction of the original whose bytes are overwritten by a jump before it. */
struct shimproto_displaced {
    /* Where it was: an offset from the start of the area. */
    int32_t original;
    /* Where it is now: an offset likewise. */
    int32_t place;
};

/* An instruction whose first byte is TRAP_BYTE. */
struct shimproto_trap {
    /* Where it is: an offset from the start of the area. */
    int32_t at;
    /* Which it is: a Door. */
    uint32_t door;
};

/* An image and where it goes: what a guest is told. */
struct shimproto_image_record {
    /* The simulator's descriptor of the image's file. */
    uint64_t fd;
    /* Where the area goes. */
    uint64_t area;
    /* Its size. */
    uint64_t area_bytes;
};

/* Where an image finds its blocks. */
struct shimproto_handoff {
    /* The characters shimhand. */
    uint64_t magic;
    /* The simulator's protocol. */
    uint32_t version_major;
    /* See version_major. */
    uint32_t version_minor;
    /* Native process id of the simulator. */
    uint32_t simulator_pid;
    /* The simulator's descriptor of the host's read-only memory file. */
    uint32_t read_only_fd;
    /* The simulator's descriptor of the host's shared memory file. */
    uint32_t shared_fd;
    /* Index of this process's block. */
    uint32_t process_index;
    /* Index of this thread's block. */
    uint32_t thread_index;
    /* Zero; for later minor versions. */
    uint8_t reserved[28];
};

#endif /* SHIM_PROTOCOL_H */
