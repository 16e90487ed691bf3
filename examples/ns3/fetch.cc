// SPDX-License-Identifier: GPL-2.0-only
/*
 * curl fetches files from Python's web server, through a router of ns-3.
 *
 *     client ---- 100 Mbit/s, 2 ms ---- router ---- 10 Mbit/s, 3 ms ---- server
 *     (curl)                      (ns-3's own stack)                    (python3 -m http.server)
 *
 * Options in (--help lists them); what was fetched, how long that took and what went over the wires out, on standard output.
 * Always true: the same options give the same output, byte for byte; no program here waits in real time. curl and python are
 * those of the system, unchanged. How a host runs inside ns-3 is not here but in shim-host.cc.
 */
#include "shim-host.h"

#include <ns3/abort.h>
#include <ns3/boolean.h>
#include <ns3/command-line.h>
#include <ns3/global-value.h>
#include <ns3/internet-stack-helper.h>
#include <ns3/ipv4.h>
#include <ns3/node-container.h>
#include <ns3/point-to-point-helper.h>
#include <ns3/simulator.h>
#include <ns3/string.h>
#include <ns3/uinteger.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

using namespace ns3;
namespace fs = std::filesystem;

namespace
{

/** By then the server listens. */
const Time CLIENT_START = Seconds(1);
/** Where a run ends that goes wrong. */
const Time LIMIT = Seconds(600);

/** What the program is asked for. */
struct Options
{
    std::string rate = "10Mbps";
    std::string delay = "3ms";
    std::string clientRate = "100Mbps";
    std::string clientDelay = "2ms";
    uint32_t kibibytes = 600;
    uint64_t seed = 1;
    std::string directory;
    std::string pcap;

    void Parse(int argc, char* argv[])
    {
        CommandLine line(__FILE__);
        line.Usage("curl fetches files from python3 -m http.server, through a router of ns-3.");
        line.AddValue("rate", "rate of the server's link", rate);
        line.AddValue("delay", "delay of the server's link", delay);
        line.AddValue("clientRate", "rate of the client's link", clientRate);
        line.AddValue("clientDelay", "delay of the client's link", clientDelay);
        line.AddValue("kibibytes", "size of the larger file", kibibytes);
        line.AddValue("seed", "seed of everything random on the hosts", seed);
        line.AddValue("directory", "where files are served from and fetched to; default: a temporary one", directory);
        line.AddValue("pcap", "prefix of files with what went over the wires; default: none", pcap);
        line.Parse(argc, argv);
    }
};

/** The folder in which guests have their files. It is removed afterwards if nobody named one. */
class Workplace
{
  public:
    explicit Workplace(const std::string& directory)
        : m_isTemporary(directory.empty()),
          m_path(directory)
    {
        if (m_isTemporary)
        {
            std::string name = (fs::temp_directory_path() / "fetch.XXXXXX").string();
            NS_ABORT_MSG_IF(mkdtemp(name.data()) == nullptr, name << " cannot be made");
            m_path = name;
        }
        m_path = fs::absolute(m_path);
        fs::create_directories(m_path / "served");
        fs::create_directories(m_path / "fetched");
    }

    ~Workplace()
    {
        std::error_code ignored;
        if (m_isTemporary)
        {
            fs::remove_all(m_path, ignored);
        }
    }

    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    std::string Path(const std::string& name) const
    {
        return (m_path / name).string();
    }

    std::string Read(const std::string& name) const
    {
        std::ifstream file(m_path / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    }

    /** A file of `size` bytes that do not repeat. */
    void Write(const std::string& name, std::size_t size) const
    {
        std::string bytes(size, '\0');
        uint64_t state = size;
        for (char& byte : bytes)
        {
            state = state * 6364136223846793005 + 1442695040888963407;
            byte = static_cast<char>(state >> 56);
        }
        std::ofstream file(m_path / name, std::ios::binary);
        file << bytes;
        NS_ABORT_MSG_IF(!file.flush(), Path(name) << " cannot be written");
    }

  private:
    bool m_isTemporary;
    fs::path m_path;
};

/** FNV-1a with 64 bits. */
uint64_t
Checksum(const std::string& bytes)
{
    uint64_t sum = 14695981039346656037U;
    for (unsigned char byte : bytes)
    {
        sum = (sum ^ byte) * 1099511628211U;
    }
    return sum;
}

/** What went over the wire of a host. */
struct Counts
{
    uint64_t sent{0};
    uint64_t sentBytes{0};
    uint64_t received{0};
    uint64_t receivedBytes{0};
    uint64_t dropped{0};

    void Watch(Ptr<ShimHost> host)
    {
        host->TraceConnectWithoutContext("Sent", MakeCallback(&Counts::Sent, this));
        host->TraceConnectWithoutContext("Received", MakeCallback(&Counts::Received, this));
        host->TraceConnectWithoutContext("Dropped", MakeCallback(&Counts::Dropped, this));
    }

    void Sent(Ptr<const Packet> packet)
    {
        sent++;
        sentBytes += packet->GetSize();
    }

    void Received(Ptr<const Packet> packet)
    {
        received++;
        receivedBytes += packet->GetSize();
    }

    void Dropped(Ptr<const Packet>)
    {
        dropped++;
    }

    void Print(const char* host) const
    {
        std::printf("%s: sent %" PRIu64 " datagrams, %" PRIu64 " bytes (dropped %" PRIu64 "); got %" PRIu64
                    ", %" PRIu64 " bytes\n",
                    host,
                    sent,
                    sentBytes,
                    dropped,
                    received,
                    receivedBytes);
    }
};

/** The links, and the hosts at their ends. */
struct Topology
{
    Ptr<ShimSimulation> simulation{Create<ShimSimulation>()};
    NodeContainer nodes{3}; //!< client, router, server
    Ptr<ShimHost> client;
    Ptr<ShimHost> server;

    explicit Topology(const Options& options)
    {
        simulation->AddName("client", Ipv4Address("10.0.0.1"), 0);
        simulation->AddName("server", Ipv4Address("10.0.1.1"), 1);
        // The router alone has ns-3's stack. It sends what comes by one link out by the other one.
        InternetStackHelper().Install(nodes.Get(1));
        client = AddHost(0, "client", "10.0.0.1", "10.0.0.254", options.clientRate, options.clientDelay, options);
        server = AddHost(1, "server", "10.0.1.1", "10.0.1.254", options.rate, options.delay, options);
    }

  private:
    Ptr<ShimHost> AddHost(uint32_t hostId,
                          const std::string& name,
                          const char* address,
                          const char* gateway,
                          const std::string& rate,
                          const std::string& delay,
                          const Options& options) const
    {
        PointToPointHelper link;
        link.SetDeviceAttribute("DataRate", StringValue(rate));
        link.SetDeviceAttribute("Mtu", UintegerValue(1500));
        link.SetChannelAttribute("Delay", StringValue(delay));
        Ptr<Node> node = nodes.Get(hostId * 2);
        Ptr<Node> router = nodes.Get(1);
        NetDeviceContainer devices = link.Install(node, router);
        Ptr<Ipv4> stack = router->GetObject<Ipv4>();
        const uint32_t interface = stack->AddInterface(devices.Get(1));
        stack->AddAddress(interface, Ipv4InterfaceAddress(Ipv4Address(gateway), Ipv4Mask("/24")));
        stack->SetUp(interface);
        if (!options.pcap.empty())
        {
            link.EnablePcap(options.pcap, devices.Get(0), false);
        }
        Ptr<ShimHost> host = CreateObject<ShimHost>();
        host->SetAttribute("HostId", UintegerValue(hostId));
        host->SetAttribute("Hostname", StringValue(name));
        host->SetAttribute("Address", Ipv4AddressValue(Ipv4Address(address)));
        host->SetAttribute("PrefixBits", UintegerValue(24));
        host->SetAttribute("Seed", UintegerValue(options.seed));
        node->AggregateObject(host);
        host->Attach(simulation, DynamicCast<PointToPointNetDevice>(devices.Get(0)));
        return host;
    }
};

/** How the client ended; it ends the simulation. */
struct Ending
{
    bool hasEnded{false};
    int kind{0};
    int value{0};

    void Notice(uint32_t, int how, int with)
    {
        hasEnded = true;
        kind = how;
        value = with;
        Simulator::Stop();
    }
};

ShimProgram
Server(const Workplace& workplace)
{
    ShimProgram program;
    program.arguments = {"/usr/bin/python3", "-m", "http.server", "80"};
    program.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
    program.directory = workplace.Path("served");
    program.stdio = {"/dev/null", workplace.Path("server.out"), workplace.Path("server.log")};
    return program;
}

ShimProgram
Client(const Workplace& workplace)
{
    ShimProgram program;
    program.arguments = {"/usr/bin/curl",
                         "--silent",
                         "--show-error",
                         "--fail",
                         "--write-out",
                         "curl: %{filename_effective}: %{size_download} bytes in %{time_total} s\\n",
                         "--remote-name-all",
                         "http://server/small",
                         "http://server/large"};
    program.environment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};
    program.directory = workplace.Path("fetched");
    program.stdio = {"/dev/null", workplace.Path("client.out"), workplace.Path("client.err")};
    return program;
}

/** Print what has come of it; whether the client has what the server had. */
bool
Report(const Workplace& workplace, const Ending& ending)
{
    if (!ending.hasEnded)
    {
        std::printf("curl has not ended within %.0f s of simulated time\n", LIMIT.GetSeconds());
        return false;
    }
    std::printf("%s%s", workplace.Read("client.out").c_str(), workplace.Read("client.err").c_str());
    const bool hasExited = ending.kind == SHIMHOST_EXITED;
    bool isRight = hasExited && ending.value == 0;
    if (!isRight)
    {
        std::printf(hasExited ? "curl exited with %d\n" : "signal %d killed curl\n", ending.value);
    }
    for (const char* name : {"small", "large"})
    {
        const std::string served = workplace.Read(std::string("served/") + name);
        const std::string fetched = workplace.Read(std::string("fetched/") + name);
        const bool isSame = served == fetched;
        isRight = isRight && isSame;
        std::printf("fetched: %s: %zu bytes, checksum %016" PRIx64 ", %s\n",
                    name,
                    fetched.size(),
                    Checksum(fetched),
                    isSame ? "as served" : "NOT as served");
    }
    return isRight;
}

} // namespace

int
main(int argc, char* argv[])
{
    Options options;
    options.Parse(argc, argv);
    // Hosts look at checksums, so the router, which writes headers anew, has to make them.
    GlobalValue::Bind("ChecksumEnabled", BooleanValue(true));
    Workplace workplace(options.directory);
    workplace.Write("served/small", 100);
    workplace.Write("served/large", std::size_t{options.kibibytes} * 1024);

    Counts clientCounts;
    Counts serverCounts;
    Ending ending;
    bool isRight = false;
    {
        Topology topology(options);
        clientCounts.Watch(topology.client);
        serverCounts.Watch(topology.server);
        topology.client->TraceConnectWithoutContext("End", MakeCallback(&Ending::Notice, &ending));
        topology.server->Launch(Seconds(0), Server(workplace));
        topology.client->Launch(CLIENT_START, Client(workplace));
        Simulator::Stop(LIMIT);
        Simulator::Run();
        isRight = Report(workplace, ending);
        clientCounts.Print("client");
        serverCounts.Print("server");
        std::printf("simulated: %.9f s\n", Simulator::Now().GetSeconds());
    }
    Simulator::Destroy();
    return isRight ? 0 : 1;
}
