//! The keys of a configuration, as tables.
//!
//! Data only. Always true: a key that Shadow knows (3.2 and before) is in one of a table's lists, so that a
//! file of Shadow meets no "unknown key": it is used, or it is not and that is told with a reason, or Shadow
//! itself gave it up and the table says what to write instead. Used keys are read in `settings.rs`,
//! `hosts.rs` and `graph.rs`; to use one more is to move it from one list to another and to read it there.

/// The keys of one mapping.
pub(super) struct Table {
    /// Keys that are read.
    pub(super) used: &'static [&'static str],
    /// Keys that Shadow reads and we do not.
    pub(super) unused: &'static [Unused],
    /// Keys that Shadow read once, and what to write today.
    pub(super) gone: &'static [(&'static str, &'static str)],
}

/// A key that Shadow reads and we do not.
pub(super) struct Unused {
    /// The key.
    pub(super) key: &'static str,
    /// What its value must be all the same.
    pub(super) shape: Shape,
    /// Why it has no effect.
    pub(super) why: &'static str,
}

/// What a value must be.
pub(super) enum Shape {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A length of time.
    Time,
    /// A length of time or `null`.
    TimeOrNothing,
    /// A number of bytes.
    Size,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words.
    Words(&'static [&'static str]),
}

const fn unused(key: &'static str, shape: Shape, why: &'static str) -> Unused {
    Unused { key, shape, why }
}

/// The file.
pub(super) const ROOT: Table = Table {
    used: &["general", "network", "experimental", "host_option_defaults", "hosts", "shim"],
    unused: &[],
    gone: &[("host_defaults", "write host_option_defaults")],
};

/// `general`.
pub(super) const GENERAL: Table = Table {
    used: &[
        "stop_time",
        "bootstrap_end_time",
        "seed",
        "parallelism",
        "data_directory",
        "template_directory",
        "log_level",
        "heartbeat_interval",
        "progress",
        "model_unblocked_syscall_latency",
    ],
    unused: &[],
    gone: &[("workers", "write parallelism")],
};

/// `network`.
pub(super) const NETWORK: Table =
    Table { used: &["graph", "use_shortest_path"], unused: &[], gone: &[] };

/// `network.graph`.
pub(super) const GRAPH: Table = Table {
    used: &["type", "inline", "file"],
    unused: &[],
    gone: &[("path", "write file: {path: ...}")],
};

/// `network.graph.file`.
pub(super) const GRAPH_FILE: Table =
    Table { used: &["path", "compression"], unused: &[], gone: &[] };

/// `hosts.<name>.host_options`.
pub(super) const HOST_OPTIONS: Table = Table {
    used: &["log_level", "pcap_enabled", "pcap_capture_size"],
    unused: &[],
    gone: GONE_HOST_OPTIONS,
};

/// `host_option_defaults`.
pub(super) const HOST_OPTION_DEFAULTS: Table = Table {
    used: &["log_level", "pcap_enabled", "pcap_capture_size", "shim"],
    unused: &[],
    gone: GONE_HOST_OPTIONS,
};

const GONE_HOST_OPTIONS: &[(&str, &str)] = &[
    ("pcap_directory", "write pcap_enabled: true"),
    ("ip_address_hint", "give the host an ip_addr"),
    ("country_code_hint", "give the host a network_node_id"),
    ("city_code_hint", "give the host a network_node_id"),
];

/// `host_option_defaults.shim`.
pub(super) const SHIM_DEFAULTS: Table =
    Table { used: &["private", "overlay"], unused: &[], gone: &[] };

/// `hosts.<name>`.
pub(super) const HOST: Table = Table {
    used: &[
        "network_node_id",
        "processes",
        "ip_addr",
        "bandwidth_down",
        "bandwidth_up",
        "host_options",
        "shim",
    ],
    unused: &[],
    gone: &[
        ("options", "write host_options"),
        ("quantity", "write one entry per host; an anchor repeats it: 'client2: *client1'"),
    ],
};

/// `hosts.<name>.processes[...]`.
pub(super) const PROCESS: Table = Table {
    used: &[
        "path",
        "args",
        "environment",
        "start_time",
        "shutdown_time",
        "shutdown_signal",
        "expected_final_state",
    ],
    unused: &[],
    gone: &[
        ("stop_time", "write shutdown_time, and shutdown_signal: SIGKILL if it must not be caught"),
        ("quantity", "write one entry per process"),
    ],
};

/// `hosts.<name>.processes[...].expected_final_state`.
pub(super) const FINAL_STATE: Table =
    Table { used: &["exited", "signaled"], unused: &[], gone: &[] };

/// `shim`.
pub(super) const SHIM: Table = Table {
    used: &[
        "start_time",
        "syscall_latency",
        "vdso_latency",
        "emulate_tsc",
        "patching",
        "kernel_in_guest",
        "strict",
        "watchdog",
        "watchdog_quantum",
        "faults",
    ],
    unused: &[],
    gone: &[],
};

/// `hosts.<name>.shim`.
pub(super) const HOST_SHIM: Table = Table {
    used: &["cpus", "memory", "clock", "aliases", "private", "overlay"],
    unused: &[],
    gone: &[],
};

/// `hosts.<name>.shim.clock`.
pub(super) const CLOCK: Table =
    Table { used: &["offset", "rate_ppm", "jumps"], unused: &[], gone: &[] };

/// `hosts.<name>.shim.clock.jumps[...]`.
pub(super) const JUMP: Table = Table { used: &["at", "by"], unused: &[], gone: &[] };

/// `shim.faults[...]`.
pub(super) const FAULT: Table = Table {
    used: &[
        "at",
        "link",
        "cut",
        "partition",
        "crash",
        "kill",
        "jump",
        "latency",
        "jitter",
        "packet_loss",
        "for",
        "restart_after",
    ],
    unused: &[],
    gone: &[],
};

/// `shim.faults[...].link` and `cut`.
pub(super) const FAULT_LINK: Table =
    Table { used: &["source", "target", "one_way"], unused: &[], gone: &[] };

/// `shim.faults[...].kill`.
pub(super) const FAULT_KILL: Table =
    Table { used: &["host", "process", "signal"], unused: &[], gone: &[] };

/// `shim.faults[...].jump`.
pub(super) const FAULT_JUMP: Table = Table { used: &["host", "by"], unused: &[], gone: &[] };

const WORKERS: &str = "how workers share the machine is decided by the engine";
const BUFFERS: &str = "socket buffers are those of the simulated kernel";
const PRELOAD: &str = "nothing of this kind is preloaded";
const COUNTERS: &str = "the summary always counts";
const MEMORY: &str = "the memory of guests is reached in another way";
const HEARTBEAT: &str = "hosts log no heartbeats of their own";
const CHANNEL: &str = "how long a waiting side spins is decided by the supervisor";
const STDERR: &str = "errors are always written to standard error";
const LEVELS: &[&str] = &["error", "warning", "info", "debug", "trace"];

/// `experimental`.
pub(super) const EXPERIMENTAL: Table = Table {
    used: &[
        "runahead",
        "strace_logging_mode",
        "unblocked_syscall_latency",
        "unblocked_vdso_latency",
        "native_preemption_enabled",
        "native_preemption_native_interval",
        "native_preemption_sim_interval",
    ],
    unused: &[
        unused("host_heartbeat_interval", Shape::TimeOrNothing, HEARTBEAT),
        unused("host_heartbeat_log_info", Shape::Words(&["node", "socket", "ram"]), HEARTBEAT),
        unused("host_heartbeat_log_level", Shape::Word(LEVELS), HEARTBEAT),
        unused("interface_buffer", Shape::Size, "interfaces have no buffer of their own"),
        unused(
            "interface_qdisc",
            Shape::Word(&["fifo", "round-robin", "roundrobin"]),
            "packets leave an interface in the order in which they were sent",
        ),
        unused("log_errors_to_tty", Shape::Boolean, STDERR),
        unused("log_errors_to_stderr", Shape::Boolean, STDERR),
        unused("max_concurrency", Shape::Integer, WORKERS),
        unused(
            "max_unapplied_cpu_latency",
            Shape::Time,
            "latencies are charged at once, which costs nothing",
        ),
        unused("preload_spin_max", Shape::Integer, CHANNEL),
        unused("report_errors_to_stderr", Shape::Boolean, STDERR),
        unused("scheduler", Shape::Word(&["thread-per-core", "thread-per-host"]), WORKERS),
        unused("socket_recv_autotune", Shape::Boolean, BUFFERS),
        unused("socket_recv_buffer", Shape::Size, BUFFERS),
        unused("socket_send_autotune", Shape::Boolean, BUFFERS),
        unused("socket_send_buffer", Shape::Size, BUFFERS),
        unused("use_cpu_pinning", Shape::Boolean, WORKERS),
        unused(
            "use_dynamic_runahead",
            Shape::Boolean,
            "rounds are as long as the latencies between hosts allow",
        ),
        unused("use_explicit_block_message", Shape::Boolean, CHANNEL),
        unused("use_extended_yaml", Shape::Boolean, "merge keys and x- keys are always understood"),
        unused(
            "use_legacy_working_dir",
            Shape::Boolean,
            "processes start in the data directory of their host",
        ),
        unused("use_memory_manager", Shape::Boolean, MEMORY),
        unused("use_new_tcp", Shape::Boolean, "there is one implementation of TCP"),
        unused("use_object_counters", Shape::Boolean, COUNTERS),
        unused("use_preload_libc", Shape::Boolean, PRELOAD),
        unused("use_preload_openssl_crypto", Shape::Boolean, PRELOAD),
        unused("use_preload_openssl_rng", Shape::Boolean, PRELOAD),
        unused("use_sched_fifo", Shape::Boolean, WORKERS),
        unused(
            "use_seccomp",
            Shape::Boolean,
            "system calls are intercepted without seccomp filters",
        ),
        unused("use_shim_syscall_handler", Shape::Boolean, "what can be answered in a guest is"),
        unused("use_syscall_counters", Shape::Boolean, COUNTERS),
        unused("use_worker_spinning", Shape::Boolean, WORKERS),
        unused("worker_threads", Shape::Integer, WORKERS),
    ],
    gone: &[],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_in_two_lists() {
        for table in [ROOT, GENERAL, NETWORK, GRAPH, HOST_OPTIONS, HOST, PROCESS, EXPERIMENTAL] {
            let mut keys: Vec<&str> = table
                .used
                .iter()
                .copied()
                .chain(table.unused.iter().map(|unused| unused.key))
                .chain(table.gone.iter().map(|(gone, _)| *gone))
                .collect();
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), count);
        }
    }
}
