//! What the kernel tells of its network by netlink and ioctl, and the programs that ask.
//!
//! Parts of a small C program, and commands, come in; what they print natively and as guests is compared. Always true:
//! natively they run in a network namespace of their own, whose loopback interface is up, so that what they are told is a simulated
//! host's but for its one further interface; what is told of that is written down here.

use shim_testkit::compare::difference;
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Outcome, Run};

/// Run it natively, alone with its loopback interface.
fn natively(program: &str, words: &[&str]) -> Outcome {
    // Who is not the machine's owner may be one's own.
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-rn" };
    let begin = "ip link set lo up && exec \"$@\"";
    Run::native("/usr/bin/unshare")
        .args([flags, "/bin/sh", "-c", begin, "sh", program])
        .args(words)
        .finish()
}

fn as_guest(program: &str, words: &[&str]) -> Outcome {
    Run::native(program).args(words).as_guest(["--quiet"]).finish()
}

/// A part prints the same natively and as a guest, this line among it.
#[track_caller]
fn assert_part(part: &str, line: &str) {
    assert_part_of("netlinks", part, line);
}

/// The same of another program.
#[track_caller]
fn assert_part_of(program: &str, part: &str, line: &str) {
    for libc in Libc::ALL {
        let program = compile(program, libc).display().to_string();
        let native = natively(&program, &[part]);
        let guest = as_guest(&program, &[part]);
        if let Some(words) = difference(&native, &guest) {
            panic!("{part}, {libc:?}: {words}");
        }
        let text = guest.expect_success().text();
        assert!(text.lines().any(|it| it == line), "{line}:\n{text}");
    }
}

#[test]
fn sockets_are_told() {
    assert_part_of("socket_lists", "inet", "by conditions: 92");
    assert_part_of("socket_lists", "unix", "who listens: 40");
}

#[test]
fn sockets_have_ports() {
    assert_part("names", "second, negative: 0 1");
}

#[test]
fn options_are_kept() {
    assert_part("options", "in groups: 10");
}

#[test]
fn interfaces_are_told() {
    assert_part("links", "  3: 6c6f00");
}

#[test]
fn addresses_are_told() {
    assert_part("addresses", "  0a8080fe01000000");
}

#[test]
fn routes_are_told() {
    assert_part("routes", "  02200000fe00000200020080");
}

#[test]
fn messages_are_checked_and_taken_apart() {
    assert_part("messages", "errors -16");
}

#[test]
fn interfaces_are_told_by_ioctl() {
    assert_part("controls", "  netmask: 0 02000000ff00000000000000000000000000000000000000");
}

/// Commands that show nothing but the loopback interface.
const COMMANDS: &[&str] = &[
    "ip -d link show dev lo",
    "ip addr show dev lo",
    "ip -o addr show dev lo",
    "ip -br -4 addr show dev lo",
    "ip -6 addr show dev lo",
    "ip -s link show dev lo",
    "ip route show table all dev lo",
    "ip -6 route show table all dev lo",
    "ip rule",
    "ip -6 rule",
    "ip neigh",
    "ip route get 127.0.0.1",
    "ip -6 route get ::1",
    "ip route get 203.0.113.1",
    "ip -6 route get 2001:db8::1",
    "ip route get 255.255.255.255",
    "ip link show dev none",
    "ip addr show dev none",
    "ip link show type veth",
    "ip -json addr show dev lo",
    "busybox ip addr show dev lo",
    "busybox ip link show dev lo",
    "busybox ifconfig lo",
    "getent ahosts localhost",
    "python3 -c 'import socket; print(socket.if_nametoindex(\"lo\"), socket.if_indextoname(1), socket.if_nameindex()[0])'",
    "node -e 'console.log(require(\"os\").networkInterfaces().lo.map(it => it.cidr + it.netmask + it.mac))'",
];

#[test]
fn programs_see_the_loopback_interface() {
    let mut wrong = String::new();
    for command in COMMANDS {
        let (native, guest) =
            (natively("/bin/sh", &["-c", command]), as_guest("/bin/sh", &["-c", command]));
        if let Some(words) = difference(&native, &guest) {
            wrong += &format!("== {command}\n{words}");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_host_has_an_interface_to_others() {
    let show = |command: &str| as_guest("/bin/sh", &["-c", command]).expect_success().text();
    let link = "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc pfifo_fast state UP group default qlen 1000\n    \
                link/ether 02:00:0b:00:00:01 brd ff:ff:ff:ff:ff:ff\n    \
                inet 11.0.0.1/8 brd 11.255.255.255 scope global eth0\n       \
                valid_lft forever preferred_lft forever\n";
    assert_eq!(show("ip addr show dev eth0"), link);
    assert_eq!(show("ip route"), "11.0.0.0/8 dev eth0 proto kernel scope link src 11.0.0.1 \n");
    let way = "11.0.0.2 dev eth0 src 11.0.0.1 uid 0 \n    cache \n";
    assert_eq!(
        show("ip route get 11.0.0.2")
            .replace(&format!("uid {}", rustix::process::geteuid().as_raw()), "uid 0"),
        way
    );
    let list = "import socket; print(socket.if_nameindex())";
    assert_eq!(show(&format!("python3 -c '{list}'")), "[(1, 'lo'), (2, 'eth0')]\n");
}

/// A file, without what Linux counts and chooses.
const FILES: &str = r#"
    cut() { sed -E 's/ +$//' | cut -c "$1"; }
    cat /proc/net/raw /proc/net/raw6 /proc/net/packet /proc/net/arp
    grep -E 'lo:|face' /proc/net/dev; grep -w lo /proc/net/if_inet6
    grep -w lo /proc/net/igmp6; grep -A1 -w lo /proc/net/igmp; head -n 1 /proc/net/route /proc/net/igmp
    awk 'NR % 2' /proc/net/snmp /proc/net/netstat; awk '{ print $1 }' /proc/net/snmp6
    grep -c . /proc/net/netlink > /dev/null; head -n 1 /proc/net/netlink
    python3 -c '
import socket, subprocess
def made(family, kind, address):
    it = socket.socket(family, kind); it.bind(address); return it
a = made(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 8080)); a.listen(5)
b = socket.create_connection(("127.0.0.1", 8080), source_address=("127.0.0.1", 8090)); c, _ = a.accept(); b.send(b"abc")
d = socket.create_connection(("127.0.0.1", 8080), source_address=("127.0.0.1", 8091))
e, _ = a.accept(); d.close(); e.close()
f = made(socket.AF_INET6, socket.SOCK_STREAM, ("::", 8081)); f.listen(7)
g = socket.create_connection(("::1", 8081), source_address=("::1", 8092))
h = socket.create_connection(("127.0.0.1", 8081), source_address=("127.0.0.1", 8093))
i = made(socket.AF_INET, socket.SOCK_DGRAM, ("0.0.0.0", 53)); i2 = made(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 8094))
i2.connect(("127.0.0.1", 53)); i2.send(b"hello"); k = made(socket.AF_INET6, socket.SOCK_DGRAM, ("::1", 54))
def show(name, columns):
    heading, *lines = open("/proc/net/" + name).read().splitlines()
    print(name, repr(heading), {len(line) for line in lines if name in ("tcp", "udp")})
    for line in sorted(line.split(": ", 1)[1] for line in lines): print("  ", line[:columns])
show("tcp", 45); show("tcp6", 93); show("udp", 45); show("udp6", 93); show("udplite", 45)
sockstat = open("/proc/net/sockstat").read().split("alloc")[0]  # orphans are those of the whole machine
print(__import__("re").sub("orphan [0-9]+", "orphan", sockstat)); print(open("/proc/net/sockstat6").read())
print(all(str(it.fileno()) and open("/proc/net/tcp").read().count(" %d " % __import__("os").fstat(it.fileno()).st_ino) == 1 for it in (a, b, c)))
for command in ("ss -Htn", "ss -Hltn", "netstat -tn", "netstat -ltun"):
    print(*sorted(" ".join(line.split()) for line in subprocess.run(command.split(), capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}).stdout.splitlines()), sep="\n")
'
"#;

#[test]
fn sockets_and_interfaces_are_told_by_files() {
    let (native, guest) =
        (natively("/bin/sh", &["-c", FILES]), as_guest("/bin/sh", &["-c", FILES]));
    if let Some(words) = difference(&native, &guest) {
        panic!("{words}");
    }
    assert!(guest.expect_success().text().contains("0100007F:1F90 00000000:0000 0A"));
}

#[test]
fn changes_and_what_is_not_there_are_refused_by_name() {
    let refused = [
        ("ip link set lo down", "ip: netlink request of type 16 (once)"),
        ("ip addr add 10.0.0.1/8 dev eth0", "ip: netlink request of type 20 (once)"),
        ("ip route add 10.0.0.0/8 dev eth0", "ip: netlink request of type 24 (once)"),
        (
            "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
            "python3: packet socket (once)",
        ),
        (
            "python3 -c 'import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)'",
            "python3: netlink socket of protocol 15 (once)",
        ),
    ];
    for (command, line) in refused {
        let run = Run::native("/bin/sh").args(["-c", command]).as_guest::<&str>([]);
        let outcome = run.finish();
        let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
        assert!(stderr.lines().any(|it| it == format!("shim: {line}")), "{command}:\n{stderr}");
    }
}

#[test]
fn interfaces_have_folders() {
    let files = "cd /sys/class/net/lo && cat address addr_len broadcast carrier flags ifindex iflink mtu operstate";
    let own = "for it in address addr_len broadcast carrier flags ifindex iflink mtu operstate; do \
               cat /sys/class/net/lo/$it; done";
    let native = Run::native("/bin/sh").args(["-c", files]).finish().expect_success().text();
    assert_eq!(as_guest("/bin/sh", &["-c", own]).expect_success().text(), native);
    let list = "import os; print(sorted(os.listdir('/sys/class/net')), len(list(os.scandir('/sys/class/net'))))\n\
                for it in 'address', 'flags', 'ifindex', 'mtu', 'operstate', 'type', 'statistics/rx_bytes':\n    \
                    print(open('/sys/class/net/eth0/' + it).read(), end='')\n";
    let shown = as_guest("/usr/bin/python3", &["-c", list]).expect_success().text();
    let expected = "['eth0', 'lo'] 2\n02:00:0b:00:00:01\n0x1003\n2\n1500\nup\n1\n0\n";
    assert_eq!(shown, expected);
}
