//! What the command line changes in a configuration.
//!
//! Words of the command line in, a document with these words in it out. Always true: a word is read by
//! the same code as the file's value, and complaints about it name its option instead of a line. The
//! command line's own grammar is not here (`shim-cli`).

use std::rc::Rc;

use super::document::Node;

/// The words given for each option, as they were given; `null` where a key may be `null`.
///
/// Fields are named as the keys are; what an option means and may be is told there.
#[derive(Clone, Default, Debug)]
pub struct Overrides {
    /// `general.stop_time`.
    pub stop_time: Option<String>,
    /// `general.bootstrap_end_time`.
    pub bootstrap_end_time: Option<String>,
    /// `general.seed`.
    pub seed: Option<String>,
    /// `general.parallelism`.
    pub parallelism: Option<String>,
    /// `general.data_directory`.
    pub data_directory: Option<String>,
    /// `general.template_directory`.
    pub template_directory: Option<String>,
    /// `general.log_level`.
    pub log_level: Option<String>,
    /// `general.heartbeat_interval`.
    pub heartbeat_interval: Option<String>,
    /// `general.progress`.
    pub progress: Option<String>,
    /// `general.model_unblocked_syscall_latency`.
    pub model_unblocked_syscall_latency: Option<String>,
    /// `network.use_shortest_path`.
    pub use_shortest_path: Option<String>,
    /// `host_option_defaults.log_level`.
    pub host_log_level: Option<String>,
    /// `host_option_defaults.pcap_enabled`.
    pub pcap_enabled: Option<String>,
    /// `host_option_defaults.pcap_capture_size`.
    pub pcap_capture_size: Option<String>,
    /// `experimental.runahead`.
    pub runahead: Option<String>,
    /// `experimental.strace_logging_mode`.
    pub strace_logging_mode: Option<String>,
    /// `shim.start_time`.
    pub start_time: Option<String>,
    /// `shim.syscall_latency`.
    pub syscall_latency: Option<String>,
    /// `shim.vdso_latency`.
    pub vdso_latency: Option<String>,
    /// `shim.emulate_tsc`.
    pub emulate_tsc: Option<String>,
    /// `shim.patching`.
    pub patching: Option<String>,
    /// `shim.kernel_in_guest`.
    pub kernel_in_guest: Option<String>,
    /// `shim.strict`.
    pub strict: Option<String>,
    /// `shim.watchdog`.
    pub watchdog: Option<String>,
    /// `shim.watchdog_quantum`.
    pub watchdog_quantum: Option<String>,
}

/// An option, the key that it stands for, and the word given for it.
type Given<'a> = (&'static str, [&'static str; 2], Option<&'a String>);

impl Overrides {
    /// The options that were given, in an order of their own, and their words.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.table().into_iter().filter_map(|(option, _, word)| Some((option, word?.as_str())))
    }

    /// `root` with all that was given.
    pub(super) fn apply(&self, root: Rc<Node>) -> Rc<Node> {
        self.table().into_iter().fold(root, |root, (option, path, word)| match word {
            Some(word) => root.with(&path, Node::given(option, word)),
            None => root,
        })
    }

    fn table(&self) -> [Given<'_>; 25] {
        [
            ("--stop-time", ["general", "stop_time"], &self.stop_time),
            ("--bootstrap-end-time", ["general", "bootstrap_end_time"], &self.bootstrap_end_time),
            ("--seed", ["general", "seed"], &self.seed),
            ("--parallelism", ["general", "parallelism"], &self.parallelism),
            ("--data-directory", ["general", "data_directory"], &self.data_directory),
            ("--template-directory", ["general", "template_directory"], &self.template_directory),
            ("--log-level", ["general", "log_level"], &self.log_level),
            ("--heartbeat-interval", ["general", "heartbeat_interval"], &self.heartbeat_interval),
            ("--progress", ["general", "progress"], &self.progress),
            (
                "--model-unblocked-syscall-latency",
                ["general", "model_unblocked_syscall_latency"],
                &self.model_unblocked_syscall_latency,
            ),
            ("--use-shortest-path", ["network", "use_shortest_path"], &self.use_shortest_path),
            ("--host-log-level", ["host_option_defaults", "log_level"], &self.host_log_level),
            ("--pcap-enabled", ["host_option_defaults", "pcap_enabled"], &self.pcap_enabled),
            (
                "--pcap-capture-size",
                ["host_option_defaults", "pcap_capture_size"],
                &self.pcap_capture_size,
            ),
            ("--runahead", ["experimental", "runahead"], &self.runahead),
            (
                "--strace-logging-mode",
                ["experimental", "strace_logging_mode"],
                &self.strace_logging_mode,
            ),
            ("--start-time", ["shim", "start_time"], &self.start_time),
            ("--syscall-latency", ["shim", "syscall_latency"], &self.syscall_latency),
            ("--vdso-latency", ["shim", "vdso_latency"], &self.vdso_latency),
            ("--emulate-tsc", ["shim", "emulate_tsc"], &self.emulate_tsc),
            ("--no-patch", ["shim", "patching"], &self.patching),
            ("--kernel-in-guest", ["shim", "kernel_in_guest"], &self.kernel_in_guest),
            ("--strict", ["shim", "strict"], &self.strict),
            ("--watchdog", ["shim", "watchdog"], &self.watchdog),
            ("--watchdog-quantum", ["shim", "watchdog_quantum"], &self.watchdog_quantum),
        ]
        .map(|(option, path, word): (_, _, &Option<String>)| (option, path, word.as_ref()))
    }
}
