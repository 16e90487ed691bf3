//! Sockets with IP addresses on one host: UDP and TCP over the loopback interface.
//!
//! Parts of small C programs and whole programs come in; what they print natively and as guests is compared. Always true:
//! every part is one run, so that one behaviour that is missing hides no other; ports are asked for as 0, so that runs
//! side by side do not disturb each other.

use shim_testkit::compare::{assert_part, assert_same};
use shim_testkit::guest::compile;
use shim_testkit::{Libc, Run};

#[test]
fn datagram_sockets_have_names() {
    assert_part("inet_udp", "names", "connected: peer 0 127.0.0.2, its port (16 bytes)");
}

#[test]
fn datagrams_arrive_whole_or_cut() {
    assert_part("inet_udp", "messages", "flags 20, name 16 bytes, 'long'");
}

#[test]
fn datagrams_for_nobody_are_told_of() {
    assert_part("inet_udp", "errors", "the next send = -111");
}

#[test]
fn ports_are_shared_by_those_that_say_so() {
    assert_part("inet_udp", "sharing", "a group gets 200, 0 get none");
    assert_part("inet_tcp", "again", "they share 90, none is idle 1");
}

#[test]
fn room_for_datagrams_is_counted_as_linux_counts_it() {
    assert_part("inet_udp", "room", "of 400 by 1000: 92 arrive");
}

#[test]
fn datagrams_are_waited_for() {
    assert_part("inet_udp", "waiting", "in time = -11");
}

#[test]
fn connections_begin() {
    assert_part("inet_tcp", "begin", "connect a listener = -106");
    assert_part("inet_tcp", "unhurried", "of a queue for two: 0");
}

#[test]
fn connections_are_refused() {
    assert_part("inet_tcp", "refused", "without waiting = -115");
}

#[test]
fn bytes_flow() {
    assert_part("inet_tcp", "flow", "thrown away: 9 5 4");
    assert_part("inet_tcp", "urgent", "is '!'");
}

#[test]
fn connections_end() {
    assert_part("inet_tcp", "ends", "closed with something unread: 215d");
}

#[test]
fn options_are_kept_and_checked() {
    assert_part("inet_tcp", "options", "state 1, unacked 0, retransmits 0");
}

#[test]
fn event_loops_see_connections() {
    assert_part("inet_tcp", "events", "read again: writable 1");
}

#[test]
fn processes_talk() {
    assert_part("inet_tcp", "processes", "with itself = 0");
}

#[test]
fn both_families_live_together() {
    assert_part("inet6", "names", "other family: -97 -97");
    assert_part("inet6", "both", "only IPv6: 0 0 1 0 0");
}

#[test]
fn datagrams_tell_how_they_came() {
    assert_part("inet6", "notes", "  level 0, type 8: 010000007f0000057f000005");
}

#[test]
fn senders_say_how_a_datagram_goes() {
    assert_part("inet6", "said", "from 127.0.0.9, its port (16 bytes)");
    assert_part("inet6", "stamps", "level 1, type 35, 32 bytes");
}

#[test]
fn programs_serve_each_other() {
    let script = "import threading, http.server, urllib.request, subprocess, asyncio, socketserver, socket\n\
                  class Page(http.server.BaseHTTPRequestHandler):\n    \
                      def do_GET(self):\n        \
                          self.send_response(200); self.end_headers(); self.wfile.write(self.path.encode())\n    \
                      def log_message(self, *words): pass\n\
                  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Page)\n\
                  threading.Thread(target=server.serve_forever, daemon=True).start()\n\
                  url = 'http://localhost:%d/' % server.server_port\n\
                  print([urllib.request.urlopen(url + str(i)).read() for i in range(3)])\n\
                  print(subprocess.run(['curl', '-s', url + 'curl'], capture_output=True).stdout)\n\
                  async def echo(reader, writer):\n    \
                      while data := await reader.read(9): writer.write(data)\n    \
                      writer.close()\n\
                  async def ask(port, i):\n    \
                      reader, writer = await asyncio.open_connection('::1', port)\n    \
                      writer.write(b'%d' % i); data = await reader.read(9); writer.close()\n    \
                      return data\n\
                  async def all():\n    \
                      server = await asyncio.start_server(echo, '::1', 0)\n    \
                      port = server.sockets[0].getsockname()[1]\n    \
                      print(await asyncio.gather(*[ask(port, i) for i in range(50)]))\n\
                  asyncio.run(all())\n\
                  class Upper(socketserver.BaseRequestHandler):\n    \
                      def handle(self): self.request[1].sendto(self.request[0].upper(), self.client_address)\n\
                  server = socketserver.UDPServer(('127.0.0.1', 0), Upper)\n\
                  threading.Thread(target=server.serve_forever, daemon=True).start()\n\
                  client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                  client.sendto(b'shout', server.server_address); print(client.recv(9))\n";
    let run = Run::native("/usr/bin/python3").args(["-c", script]);
    let outcome = assert_same(&run, &[]).expect_success();
    assert!(outcome.text().ends_with("b'SHOUT'\n"), "{}", outcome.text());
}

#[test]
fn what_is_not_there_is_named() {
    let script = "import socket\n\
                  def no(f, *x):\n    \
                      try: f(*x)\n    \
                      except OSError as e: print(e.errno)\n\
                  s = socket.socket()\n\
                  no(s.connect, ('203.0.113.1', 80))\n\
                  no(s.setsockopt, 6, 99, 1)\n\
                  no(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)\n";
    let run = Run::native("/usr/bin/python3").args(["-c", script]).as_guest::<&str>([]);
    let outcome = run.finish().expect_success();
    assert_eq!(outcome.text(), "101\n92\n1\n");
    let stderr = String::from_utf8_lossy(&outcome.stderr).into_owned();
    for what in ["a way to another host", "setsockopt option 99 of level 6", "raw socket"] {
        let line = format!("shim: python3: {what} (once)");
        assert_eq!(stderr.lines().filter(|l| *l == line).count(), 1, "{line}:\n{stderr}");
    }
}

#[test]
fn failures_are_told_in_detail() {
    assert_part(
        "inet_extras",
        "failures",
        "  level 0, type 11: errno 111, origin 2, 3.3, info 0, data 0",
    );
}

#[test]
fn groups_and_devices_are_as_on_linux() {
    assert_part("inet_extras", "groups", "both hear: 3 3");
    assert_part("inet_extras", "devices", "'lo' in 3");
    assert_part("inet_extras", "interfaces", "1, by libc 1, none 0");
}

#[test]
fn options_that_linux_has_not_either_are_not_named() {
    assert_part("inet_extras", "precautions", "options of packets: 0 0 0");
    for libc in Libc::ALL {
        let run = Run::native(compile("inet_extras", libc)).args(["precautions"]);
        let said = run.as_guest(["--log-level=warn"]).finish().expect_success().stderr;
        assert_eq!(String::from_utf8_lossy(&said), "");
    }
}

#[test]
fn ten_thousand_connections_live_on_one_host() {
    assert_part("inet_extras", "many", "10500 connections");
}

#[test]
fn echoes_come_back() {
    // Who may ask natively is the machine's affair, so there is nothing to compare with.
    for libc in Libc::ALL {
        let outcome =
            Run::native(compile("pings", libc)).as_guest(["--quiet"]).finish().expect_success();
        let text = outcome.text();
        for line in [
            "type 0, number 3, its identifier 1, 'payload', sum ffff from 127.0.0.1, its port (16 bytes)",
            "another kind = -22",
            "type 129",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}:\n{text}");
        }
    }
}

#[test]
fn ends_are_waited_for_that_linger() {
    assert_part("inet_options", "lingers", "somebody reads later: 0 3");
}

#[test]
fn looks_begin_where_they_are_told() {
    assert_part("inet_options", "looks", "MSG_PEEK9: 2 'ef', then at 6");
    assert_part("unix_urgent", "looks", "  MSG_PEEK 9: 4 'defg', then at 7");
}

#[test]
fn receivers_learn_of_losses_times_and_targets() {
    assert_part("inet_options", "losses", "  lost 27");
    assert_part("inet_options", "stamps", "  stamps of 64 bytes, set 1 0 0");
    assert_part(
        "inet_options",
        "targets",
        "level 0, type 20, 32 bytes: 127.0.0.9, its port (16 bytes)",
    );
}

#[test]
fn datagrams_are_put_together_and_cut() {
    assert_part("inet_options", "corks", "one datagram: 0 6");
    assert_part("inet_options", "cuts", "fits, does not: 1232 -90");
    assert_part("inet_options", "segments", "they come: 1000 1000 1000 500 -11");
}
