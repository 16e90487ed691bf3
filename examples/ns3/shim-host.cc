// SPDX-License-Identifier: GPL-2.0-only
/*
 * How a host runs under ns-3's event loop.
 *
 * Time. A host may be run ahead of ns-3, in steps, as long as nothing arrives in its past. How far is that? ns-3 does not tell
 * what its scheduler holds, and what is still to be scheduled nobody can tell. But whatever reaches the host comes by one
 * channel, and the channel says when a transmission begins and when its last bit arrives (the trace source
 * TxRxPointToPoint). So at the instant T everything is known that has begun (`m_known`), and what begins from T on is under
 * way for the channel's delay at least. A step goes
 *
 *     from T until min(earliest instant in m_known, T + delay)
 *
 * and what arrives at its very end is part of the next one, because a step ends just before its end. The delay alone would
 * not do: a packet that is half way through the cable arrives sooner than it.
 *
 * One instant. Events of one instant run in the order in which they were scheduled, which says nothing about what arrives
 * when. So at an instant at which something is known to come, Serve leaves the host alone until all of it has come; then it
 * delivers what there is in the order of (source, sequence) and steps the host once.
 *
 * The rate. The host's interface is told the device's rate, so that programs are held back by their own machine, as they are
 * by a real one, and the device's queue stays short. It says when the last bit of a datagram has left, and the device, which
 * models the same wire, is given the datagram when its first bit leaves.
 */
#include "shim-host.h"

#include <ns3/abort.h>
#include <ns3/channel.h>
#include <ns3/data-rate.h>
#include <ns3/node.h>
#include <ns3/point-to-point-channel.h>
#include <ns3/simulator.h>
#include <ns3/string.h>
#include <ns3/tag.h>
#include <ns3/trace-source-accessor.h>
#include <ns3/uinteger.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <sstream>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace ns3
{

NS_OBJECT_ENSURE_REGISTERED(ShimHost);

namespace
{

/** EtherTypes, by which a NetDevice knows what it carries. */
constexpr uint16_t IPV4 = 0x0800;
constexpr uint16_t IPV6 = 0x86dd;
/** What a device of ns-3 puts before a datagram: PPP's number of the protocol. */
constexpr uint64_t HEADER_BYTES = 2;
constexpr uint16_t MTU_BYTES = 1500;
/** The source of what a node of ns-3 has made itself: after all hosts. */
constexpr uint32_t FOREIGN = std::numeric_limits<uint32_t>::max();

/** End the program if a function of libshim has failed: a simulation that lacks a host means nothing. */
void
Require(int result)
{
    NS_ABORT_MSG_IF(result < 0, shimsup_message());
}

/** Who sent a packet, and which of its packets it is. It stays with the packet through every node, and is no byte of it. */
class OriginTag : public Tag
{
  public:
    static TypeId GetTypeId()
    {
        static TypeId tid = TypeId("ns3::ShimHost::OriginTag")
                                .SetParent<Tag>()
                                .SetGroupName("Shim")
                                .AddConstructor<OriginTag>();
        return tid;
    }

    TypeId GetInstanceTypeId() const override
    {
        return GetTypeId();
    }

    uint32_t GetSerializedSize() const override
    {
        return sizeof source + sizeof sequence;
    }

    void Serialize(TagBuffer buffer) const override
    {
        buffer.WriteU32(source);
        buffer.WriteU64(sequence);
    }

    void Deserialize(TagBuffer buffer) override
    {
        source = buffer.ReadU32();
        sequence = buffer.ReadU64();
    }

    void Print(std::ostream& out) const override
    {
        out << "host " << source << ", packet " << sequence;
    }

    uint32_t source{FOREIGN};
    uint64_t sequence{0};
};

NS_OBJECT_ENSURE_REGISTERED(OriginTag);

/** `program` for libshim, which keeps copies of the files that are opened here. */
shimsup_command*
MakeCommand(const ShimProgram& program)
{
    NS_ABORT_MSG_IF(program.arguments.empty(), "a program has at least a path");
    shimsup_command* command = nullptr;
    Require(shimsup_command_new(program.arguments.front().c_str(), &command));
    for (std::size_t i = 1; i < program.arguments.size(); i++)
    {
        Require(shimsup_command_add_argument(command, program.arguments[i].c_str()));
    }
    for (const std::string& variable : program.environment)
    {
        Require(shimsup_command_add_environment(command, variable.c_str()));
    }
    if (!program.directory.empty())
    {
        Require(shimsup_command_set_directory(command, program.directory.c_str()));
    }
    for (int number = 0; number < 3; number++)
    {
        const std::string& path = program.stdio[number];
        const int flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_TRUNC | O_APPEND;
        const int fd = open(path.c_str(), flags | O_CLOEXEC, 0666);
        NS_ABORT_MSG_IF(fd < 0, path << ": " << std::strerror(errno));
        Require(shimsup_command_set_stdio(command, number, fd));
        close(fd);
    }
    return command;
}

} // namespace

ShimSimulation::ShimSimulation()
{
    // NULL: the guest library that is installed beside this one.
    Require(shimsup_simulation_new(nullptr, &m_simulation));
}

ShimSimulation::~ShimSimulation()
{
    shimsup_simulation_free(m_simulation);
}

void
ShimSimulation::AddName(const std::string& name, Ipv4Address address, uint32_t hostId)
{
    std::ostringstream text;
    text << address;
    Require(shimsup_simulation_add_name(m_simulation, name.c_str(), text.str().c_str(), nullptr, hostId));
}

shimsup_simulation*
ShimSimulation::Get() const
{
    return m_simulation;
}

TypeId
ShimHost::GetTypeId()
{
    static TypeId tid =
        TypeId("ns3::ShimHost")
            .SetParent<Object>()
            .SetGroupName("Shim")
            .AddConstructor<ShimHost>()
            .AddAttribute("HostId",
                          "Number of the host in the simulation, from 0; no two have the same.",
                          UintegerValue(0),
                          MakeUintegerAccessor(&ShimHost::m_hostId),
                          MakeUintegerChecker<uint32_t>(0, FOREIGN - 1))
            .AddAttribute("Hostname",
                          "What uname -n says.",
                          StringValue("host"),
                          MakeStringAccessor(&ShimHost::m_hostname),
                          MakeStringChecker())
            .AddAttribute("Address",
                          "IPv4 address of the host's interface.",
                          Ipv4AddressValue(Ipv4Address("10.0.0.1")),
                          MakeIpv4AddressAccessor(&ShimHost::m_address),
                          MakeIpv4AddressChecker())
            .AddAttribute("PrefixBits",
                          "Bits of the address that name the network.",
                          UintegerValue(24),
                          MakeUintegerAccessor(&ShimHost::m_prefixBits),
                          MakeUintegerChecker<uint8_t>(0, 32))
            .AddAttribute("Seed",
                          "Of everything random on the host.",
                          UintegerValue(1),
                          MakeUintegerAccessor(&ShimHost::m_seed),
                          MakeUintegerChecker<uint64_t>())
            .AddTraceSource("Sent",
                            "An IP datagram leaves the host, at the instant of its first bit.",
                            MakeTraceSourceAccessor(&ShimHost::m_sentTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("Received",
                            "An IP datagram reaches the host.",
                            MakeTraceSourceAccessor(&ShimHost::m_receivedTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("Dropped",
                            "An IP datagram of the host finds the device's queue full.",
                            MakeTraceSourceAccessor(&ShimHost::m_droppedTrace),
                            "ns3::Packet::TracedCallback")
            .AddTraceSource("End",
                            "A process that Launch has started has ended, during the step that is just over.",
                            MakeTraceSourceAccessor(&ShimHost::m_endTrace),
                            "ns3::ShimHost::EndCallback");
    return tid;
}

void
ShimHost::Attach(Ptr<ShimSimulation> simulation, Ptr<PointToPointNetDevice> device)
{
    NS_ABORT_MSG_IF(m_host != nullptr, "a ShimHost has one device");
    // One of another process (MPI) is a subclass that does not tell what is under way.
    Ptr<Channel> channel = device->GetChannel();
    NS_ABORT_MSG_IF(!channel || channel->GetInstanceTypeId() != PointToPointChannel::GetTypeId(),
                    "a ShimHost wants a device at a PointToPointChannel");
    NS_ABORT_MSG_IF(Time::GetResolution() != Time::NS, "libshim counts nanoseconds: so must ns-3");
    NS_ABORT_MSG_IF(device->GetMtu() != MTU_BYTES,
                    "the interface of a host takes datagrams of " << MTU_BYTES << " bytes: set the Mtu of its device");
    TimeValue delay;
    channel->GetAttribute("Delay", delay);
    m_lookahead = delay.Get();
    NS_ABORT_MSG_IF(!m_lookahead.IsStrictlyPositive(),
                    "a host runs as far ahead as its channel delays packets: that must be at least 1 ns");
    DataRateValue rate;
    device->GetAttribute("DataRate", rate);
    // The device's header goes over the wire, too. For datagrams that are not full it makes a bit more of the whole than
    // this: then they wait in the device's queue.
    m_bitsPerSecond = rate.Get().GetBitRate() * MTU_BYTES / (MTU_BYTES + HEADER_BYTES);
    NS_ABORT_MSG_IF(m_bitsPerSecond == 0, "a device that sends nothing");

    m_simulation = simulation;
    m_device = device;
    std::ostringstream address;
    address << m_address;
    shimhost_config* config = nullptr;
    Require(shimhost_config_new(m_hostId, m_hostname.c_str(), &config));
    Require(shimhost_config_set_seed(config, m_seed));
    Require(shimhost_config_set_ipv4(config, address.str().c_str(), m_prefixBits));
    Require(shimhost_config_set_upload_bits_per_second(config, m_bitsPerSecond));
    Require(shimhost_config_set_connected(config, true));
    Require(shimhost_new(m_simulation->Get(), config, &m_host));
    shimhost_config_free(config);

    channel->TraceConnectWithoutContext("TxRxPointToPoint", MakeCallback(&ShimHost::Expect, this));
    // Instead of the node's, which has no protocol that would want it.
    device->SetReceiveCallback(MakeCallback(&ShimHost::Receive, this));
}

void
ShimHost::Launch(Time at, const ShimProgram& program)
{
    NS_ABORT_MSG_IF(m_host == nullptr, "Attach comes before Launch");
    NS_ABORT_MSG_IF(at < Simulator::Now() || at < m_reached, "the host is past " << at.As(Time::S));
    m_known.insert(at);
    const uint32_t context = m_device->GetNode()->GetId();
    Simulator::ScheduleWithContext(context, at - Simulator::Now(), &ShimHost::Start, this, at, program);
}

void
ShimHost::DoDispose()
{
    m_plan.Cancel();
    m_immediate.Cancel();
    m_arrivals.clear();
    // With its guests.
    shimhost_free(m_host);
    m_host = nullptr;
    m_device = nullptr;
    m_simulation = nullptr;
    Object::DoDispose();
}

/** A transmission begins on the channel, at either end. Its last bit arrives `lastBit` from now. */
void
ShimHost::Expect(Ptr<const Packet>, Ptr<NetDevice>, Ptr<NetDevice> receiver, Time, Time lastBit)
{
    if (receiver == m_device)
    {
        const Time at = Simulator::Now() + lastBit;
        m_known.insert(at);
        const uint32_t context = m_device->GetNode()->GetId();
        Simulator::ScheduleWithContext(context, lastBit, &ShimHost::ComeTo, this, at);
    }
}

/** The device has a packet for the host, which hears of it in Serve. */
bool
ShimHost::Receive(Ptr<NetDevice>, Ptr<const Packet> packet, uint16_t, const Address&)
{
    OriginTag origin;
    if (!packet->PeekPacketTag(origin))
    {
        origin.sequence = m_foreign++;
    }
    Arrival arrival{origin.source, origin.sequence, std::vector<uint8_t>(packet->GetSize())};
    packet->CopyData(arrival.bytes.data(), packet->GetSize());
    m_arrivals.push_back(std::move(arrival));
    m_receivedTrace(packet);
    return true;
}

/** An instant of `m_known` is now. If a packet was to come, the device has it at this instant, or an error model lost it. */
void
ShimHost::ComeTo(Time instant)
{
    m_known.erase(m_known.find(instant));
    ServeNow();
}

void
ShimHost::Start(Time at, ShimProgram program)
{
    const uint64_t now = at.GetNanoSeconds();
    // A process starts at its host's now: bring it here.
    Require(shimhost_step(m_host, now, now));
    shimsup_command* command = MakeCommand(program);
    uint32_t pid = 0;
    Require(shimhost_spawn(m_host, command, &pid));
    shimsup_command_free(command);
    m_running.push_back(pid);
    ComeTo(at);
}

/** After everything that was scheduled for this instant before. */
void
ShimHost::ServeNow()
{
    if (!m_immediate.IsRunning())
    {
        m_immediate = Simulator::ScheduleNow(&ShimHost::Serve, this);
    }
}

/** One step of the host. */
void
ShimHost::Serve()
{
    const Time now = Simulator::Now();
    Time until = now + m_lookahead;
    if (!m_known.empty())
    {
        until = std::min(until, *m_known.begin());
    }
    if (until == now)
    {
        // More comes at this instant; the last of it calls for Serve again.
        return;
    }
    m_plan.Cancel();
    DeliverArrivals(now);
    Require(shimhost_step(m_host, now.GetNanoSeconds(), until.GetNanoSeconds()));
    m_reached = until;
    ScheduleDepartures(now);
    const uint64_t next = shimhost_next_event(m_host);
    if (next <= static_cast<uint64_t>(Simulator::GetMaximumSimulationTime().GetNanoSeconds()))
    {
        const Time at = std::max(NanoSeconds(next), until);
        m_plan = Simulator::Schedule(at - now, &ShimHost::Serve, this);
    }
    NoticeEnds();
}

void
ShimHost::DeliverArrivals(Time now)
{
    NS_ABORT_MSG_IF(!m_arrivals.empty() && now < m_reached, "a packet would come to the past of a host");
    auto order = [](const Arrival& one, const Arrival& other) {
        return std::tie(one.source, one.sequence) < std::tie(other.source, other.sequence);
    };
    // Stable: a router may have made several datagrams of one.
    std::stable_sort(m_arrivals.begin(), m_arrivals.end(), order);
    for (const Arrival& arrival : m_arrivals)
    {
        Require(shimhost_deliver(m_host, now.GetNanoSeconds(), arrival.bytes.data(), arrival.bytes.size()));
    }
    m_arrivals.clear();
}

/** What the host has sent in the step goes to the device, each packet by an event of its own. */
void
ShimHost::ScheduleDepartures(Time now)
{
    uint64_t lastBit = 0;
    const void* bytes = nullptr;
    std::size_t length = 0;
    int taken = 0;
    while ((taken = shimhost_take_packet(m_host, &lastBit, &bytes, &length)) > 0)
    {
        Ptr<Packet> packet = Create<Packet>(static_cast<const uint8_t*>(bytes), length);
        OriginTag origin;
        origin.source = m_hostId;
        origin.sequence = m_sequence++;
        packet->AddPacketTag(origin);
        const uint8_t version = *static_cast<const uint8_t*>(bytes) >> 4;
        const Time firstBit = std::max(NanoSeconds(lastBit) - TimeOnWire(length), now);
        Simulator::Schedule(firstBit - now, &ShimHost::Send, this, packet, version == 6 ? IPV6 : IPV4);
    }
    Require(taken);
}

/** How long the host's interface takes to send a datagram; rounded as it rounds. */
Time
ShimHost::TimeOnWire(std::size_t bytes) const
{
    const uint64_t bits = bytes * 8;
    return NanoSeconds((bits * 1000000000 + m_bitsPerSecond - 1) / m_bitsPerSecond);
}

void
ShimHost::Send(Ptr<Packet> packet, uint16_t protocol)
{
    m_sentTrace(packet);
    // There is one other end: whatever address is given, it is meant.
    if (!m_device->Send(packet, m_device->GetBroadcast(), protocol))
    {
        m_droppedTrace(packet);
    }
}

void
ShimHost::NoticeEnds()
{
    // What the callback does may start others.
    const std::vector<uint32_t> pids = std::exchange(m_running, {});
    for (uint32_t pid : pids)
    {
        int kind = 0;
        int value = 0;
        const int result = shimhost_process_end(m_host, pid, &kind, &value);
        Require(result);
        if (result == 0)
        {
            m_running.push_back(pid);
        }
        else
        {
            m_endTrace(pid, kind, value);
        }
    }
}

} // namespace ns3
