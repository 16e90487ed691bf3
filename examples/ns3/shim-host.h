// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine of real Linux programs as part of an ns-3 node.
 *
 * ns-3's types in: a node's point-to-point device, programs with the instants at which they start; packets on that device and
 * trace sources out. Always true: ns-3's event loop owns simulated time; a host is stepped from an event of its own
 * (`ShimHost::Serve`), never from inside a callback of a device or of a trace source; nothing arrives in its past. Topologies
 * are not here: `fetch.cc` has one. This directory alone is GPL-2.0-only, because ns-3 is: see README.md.
 */
#ifndef NS3_SHIM_HOST_H
#define NS3_SHIM_HOST_H

#include <shim/host.h>

#include <ns3/event-id.h>
#include <ns3/ipv4-address.h>
#include <ns3/nstime.h>
#include <ns3/object.h>
#include <ns3/packet.h>
#include <ns3/point-to-point-net-device.h>
#include <ns3/simple-ref-count.h>
#include <ns3/traced-callback.h>

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace ns3
{

/** What all hosts of a simulation share: the launcher of guests, and the names by which hosts find each other. */
class ShimSimulation : public SimpleRefCount<ShimSimulation>
{
  public:
    ShimSimulation();
    ~ShimSimulation();
    ShimSimulation(const ShimSimulation&) = delete;
    ShimSimulation& operator=(const ShimSimulation&) = delete;

    /** Make `name` known to every host. Before the first ShimHost::Attach. */
    void AddName(const std::string& name, Ipv4Address address, uint32_t hostId);

    shimsup_simulation* Get() const;

  private:
    shimsup_simulation* m_simulation{nullptr};
};

/** A program and what it starts with. */
struct ShimProgram
{
    std::vector<std::string> arguments;   //!< The first is the program's path.
    std::vector<std::string> environment; //!< NAME=value, and nothing else.
    std::string directory;                //!< Its working directory.
    /** Files for its standard input, output and error; the last two are made or emptied. */
    std::array<std::string, 3> stdio{"/dev/null", "/dev/null", "/dev/null"};
};

/** One host of libshim: its kernel and its guests. To be aggregated to a Node that has no Internet stack of ns-3. */
class ShimHost : public Object
{
  public:
    static TypeId GetTypeId();

    /**
     * Make the host, as its attributes say, with `device` as its network interface. Once, before the simulation runs; both
     * ends of the device's channel are there already, and the channel has a delay, from which the host's lookahead follows.
     *
     * Why point-to-point only: such a device needs no more than the number of the protocol to send an IP datagram. A
     * CsmaNetDevice wants the receiver's MAC address, and the host, which speaks IP, has no ARP; and when a frame will
     * arrive that is being sent on a shared medium is not known from outside. Behind the router there may be anything.
     */
    void Attach(Ptr<ShimSimulation> simulation, Ptr<PointToPointNetDevice> device);

    /**
     * Start `program` at the instant `at`. After Attach; from an event it must not be sooner than the channel's delay from
     * now, by which the host may be ahead.
     */
    void Launch(Time at, const ShimProgram& program);

    /** Called with a process's number and with what shimhost_process_end() says of it. */
    typedef void (*EndCallback)(uint32_t pid, int kind, int value);

  protected:
    void DoDispose() override;

  private:
    /** A datagram that has come and waits for Serve. */
    struct Arrival
    {
        uint32_t source;   //!< The host that sent it.
        uint64_t sequence; //!< Its number among those of that host.
        std::vector<uint8_t> bytes;
    };

    void Expect(Ptr<const Packet> packet,
                Ptr<NetDevice> sender,
                Ptr<NetDevice> receiver,
                Time duration,
                Time lastBit);
    bool Receive(Ptr<NetDevice> device,
                 Ptr<const Packet> packet,
                 uint16_t protocol,
                 const Address& sender);
    void ComeTo(Time instant);
    void Start(Time at, ShimProgram program);
    void ServeNow();
    void Serve();
    void DeliverArrivals(Time now);
    void ScheduleDepartures(Time now);
    void NoticeEnds();
    void Send(Ptr<Packet> packet, uint16_t protocol);
    Time TimeOnWire(std::size_t bytes) const;

    // Attributes.
    uint32_t m_hostId{0};
    std::string m_hostname;
    Ipv4Address m_address;
    uint8_t m_prefixBits{24};
    uint64_t m_seed{1};

    Ptr<ShimSimulation> m_simulation;
    shimhost* m_host{nullptr};
    Ptr<PointToPointNetDevice> m_device;
    uint64_t m_bitsPerSecond{0}; //!< How fast the host hands datagrams to the device.
    Time m_lookahead;            //!< The channel's delay: what is sent from now on comes after it.
    std::multiset<Time> m_known; //!< Instants at which something will come to the host.
    std::vector<Arrival> m_arrivals;
    uint64_t m_foreign{0}; //!< How many have come that no ShimHost had sent.
    uint64_t m_sequence{0};
    Time m_reached;      //!< The end of the last step.
    EventId m_plan;      //!< Serve, when the host next wants it.
    EventId m_immediate; //!< Serve, at this instant.
    std::vector<uint32_t> m_running;

    TracedCallback<Ptr<const Packet>> m_sentTrace;
    TracedCallback<Ptr<const Packet>> m_receivedTrace;
    TracedCallback<Ptr<const Packet>> m_droppedTrace;
    TracedCallback<uint32_t, int, int> m_endTrace;
};

} // namespace ns3

#endif // NS3_SHIM_HOST_H
