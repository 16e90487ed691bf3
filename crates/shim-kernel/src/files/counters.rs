//! Counters of the network: `/proc/net/snmp`, `netstat` and `snmp6`, see proc_pid_net(5).
//!
//! The kernel in, text out, with the fields that Linux 6.18 has. Always true: what a host sends to itself is not counted, so
//! that counters are zero; constants, and how many connections there are, are told as they are.

use alloc::format;
use alloc::string::String;

use crate::kernel::Kernel;
use crate::net::tcp::State;

/// What `snmp` counts, by protocol, and what `netstat` does.
const BASIC: &[(&str, &str)] = &[
    (
        "Ip",
        "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams \
         InUnknownProtos InDiscards InDelivers OutRequests OutDiscards OutNoRoutes \
         ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates \
         OutTransmits",
    ),
    (
        "Icmp",
        "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs \
         InSrcQuenchs InRedirects InEchos InEchoReps InTimestamps InTimestampReps \
         InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal \
         OutRateLimitHost OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs \
         OutRedirects OutEchos OutEchoReps OutTimestamps OutTimestampReps OutAddrMasks \
         OutAddrMaskReps",
    ),
    (
        "Tcp",
        "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails \
         EstabResets CurrEstab InSegs OutSegs RetransSegs InErrs OutRsts InCsumErrors",
    ),
    (
        "Udp",
        "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors \
         InCsumErrors IgnoredMulti MemErrors",
    ),
    (
        "UdpLite",
        "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors \
         InCsumErrors IgnoredMulti MemErrors",
    ),
];
const EXTENDED: &[(&str, &str)] = &[
    (
        "TcpExt",
        "SyncookiesSent SyncookiesRecv SyncookiesFailed EmbryonicRsts PruneCalled \
         RcvPruned OfoPruned OutOfWindowIcmps LockDroppedIcmps ArpFilter TW TWRecycled \
         TWKilled PAWSActive PAWSEstab BeyondWindow TSEcrRejected PAWSOldAck \
         PAWSTimewait DelayedACKs DelayedACKLocked DelayedACKLost ListenOverflows \
         ListenDrops TCPHPHits TCPPureAcks TCPHPAcks TCPRenoRecovery TCPSackRecovery \
         TCPSACKReneging TCPSACKReorder TCPRenoReorder TCPTSReorder TCPFullUndo \
         TCPPartialUndo TCPDSACKUndo TCPLossUndo TCPLostRetransmit TCPRenoFailures \
         TCPSackFailures TCPLossFailures TCPFastRetrans TCPSlowStartRetrans TCPTimeouts \
         TCPLossProbes TCPLossProbeRecovery TCPRenoRecoveryFail TCPSackRecoveryFail \
         TCPRcvCollapsed TCPBacklogCoalesce TCPDSACKOldSent TCPDSACKOfoSent \
         TCPDSACKRecv TCPDSACKOfoRecv TCPAbortOnData TCPAbortOnClose TCPAbortOnMemory \
         TCPAbortOnTimeout TCPAbortOnLinger TCPAbortFailed TCPMemoryPressures \
         TCPMemoryPressuresChrono TCPSACKDiscard TCPDSACKIgnoredOld \
         TCPDSACKIgnoredNoUndo TCPSpuriousRTOs TCPMD5NotFound TCPMD5Unexpected \
         TCPMD5Failure TCPSackShifted TCPSackMerged TCPSackShiftFallback TCPBacklogDrop \
         PFMemallocDrop TCPMinTTLDrop TCPDeferAcceptDrop IPReversePathFilter \
         TCPTimeWaitOverflow TCPReqQFullDoCookies TCPReqQFullDrop TCPRetransFail \
         TCPRcvCoalesce TCPOFOQueue TCPOFODrop TCPOFOMerge TCPChallengeACK \
         TCPSYNChallenge TCPFastOpenActive TCPFastOpenActiveFail TCPFastOpenPassive \
         TCPFastOpenPassiveFail TCPFastOpenListenOverflow TCPFastOpenCookieReqd \
         TCPFastOpenBlackhole TCPSpuriousRtxHostQueues BusyPollRxPackets TCPAutoCorking \
         TCPFromZeroWindowAdv TCPToZeroWindowAdv TCPWantZeroWindowAdv TCPSynRetrans \
         TCPOrigDataSent TCPHystartTrainDetect TCPHystartTrainCwnd \
         TCPHystartDelayDetect TCPHystartDelayCwnd TCPACKSkippedSynRecv \
         TCPACKSkippedPAWS TCPACKSkippedSeq TCPACKSkippedFinWait2 TCPACKSkippedTimeWait \
         TCPACKSkippedChallenge TCPWinProbe TCPKeepAlive TCPMTUPFail TCPMTUPSuccess \
         TCPDelivered TCPDeliveredCE TCPAckCompressed TCPZeroWindowDrop TCPRcvQDrop \
         TCPWqueueTooBig TCPFastOpenPassiveAltKey TcpTimeoutRehash \
         TcpDuplicateDataRehash TCPDSACKRecvSegs TCPDSACKIgnoredDubious \
         TCPMigrateReqSuccess TCPMigrateReqFailure TCPPLBRehash TCPAORequired TCPAOBad \
         TCPAOKeyNotFound TCPAOGood TCPAODroppedIcmps",
    ),
    (
        "IpExt",
        "InNoRoutes InTruncatedPkts InMcastPkts OutMcastPkts InBcastPkts OutBcastPkts \
         InOctets OutOctets InMcastOctets OutMcastOctets InBcastOctets OutBcastOctets \
         InCsumErrors InNoECTPkts InECT1Pkts InECT0Pkts InCEPkts ReasmOverlaps",
    ),
    (
        "MPTcpExt",
        "MPCapableSYNRX MPCapableSYNTX MPCapableSYNACKRX MPCapableACKRX \
         MPCapableFallbackACK MPCapableFallbackSYNACK MPCapableSYNTXDrop \
         MPCapableSYNTXDisabled MPCapableEndpAttempt MPFallbackTokenInit MPTCPRetrans \
         MPJoinNoTokenFound MPJoinSynRx MPJoinSynBackupRx MPJoinSynAckRx \
         MPJoinSynAckBackupRx MPJoinSynAckHMacFailure MPJoinAckRx MPJoinAckHMacFailure \
         MPJoinRejected MPJoinSynTx MPJoinSynTxCreatSkErr MPJoinSynTxBindErr \
         MPJoinSynTxConnectErr DSSNotMatching DSSCorruptionFallback DSSCorruptionReset \
         InfiniteMapTx InfiniteMapRx DSSNoMatchTCP DataCsumErr OFOQueueTail OFOQueue \
         OFOMerge NoDSSInWindow DuplicateData AddAddr AddAddrTx AddAddrTxDrop EchoAdd \
         EchoAddTx EchoAddTxDrop PortAdd AddAddrDrop MPJoinPortSynRx MPJoinPortSynAckRx \
         MPJoinPortAckRx MismatchPortSynRx MismatchPortAckRx RmAddr RmAddrDrop RmAddrTx \
         RmAddrTxDrop RmSubflow MPPrioTx MPPrioRx MPFailTx MPFailRx MPFastcloseTx \
         MPFastcloseRx MPRstTx MPRstRx SubflowStale SubflowRecover SndWndShared \
         RcvWndShared RcvWndConflictUpdate RcvWndConflict MPCurrEstab Blackhole \
         MPCapableDataFallback MD5SigFallback DssFallback SimultConnectFallback \
         FallbackFailed WinProbe",
    ),
];
/// What `snmp6` counts.
const OF_V6: &str = "Ip6InReceives Ip6InHdrErrors Ip6InTooBigErrors Ip6InNoRoutes Ip6InAddrErrors \
    Ip6InUnknownProtos Ip6InTruncatedPkts Ip6InDiscards Ip6InDelivers \
    Ip6OutForwDatagrams Ip6OutRequests Ip6OutDiscards Ip6OutNoRoutes Ip6ReasmTimeout \
    Ip6ReasmReqds Ip6ReasmOKs Ip6ReasmFails Ip6FragOKs Ip6FragFails Ip6FragCreates \
    Ip6InMcastPkts Ip6OutMcastPkts Ip6InOctets Ip6OutOctets Ip6InMcastOctets \
    Ip6OutMcastOctets Ip6InBcastOctets Ip6OutBcastOctets Ip6InNoECTPkts Ip6InECT1Pkts \
    Ip6InECT0Pkts Ip6InCEPkts Ip6OutTransmits Icmp6InMsgs Icmp6InErrors Icmp6OutMsgs \
    Icmp6OutErrors Icmp6InCsumErrors Icmp6OutRateLimitHost Icmp6InDestUnreachs \
    Icmp6InPktTooBigs Icmp6InTimeExcds Icmp6InParmProblems Icmp6InEchos \
    Icmp6InEchoReplies Icmp6InGroupMembQueries Icmp6InGroupMembResponses \
    Icmp6InGroupMembReductions Icmp6InRouterSolicits Icmp6InRouterAdvertisements \
    Icmp6InNeighborSolicits Icmp6InNeighborAdvertisements Icmp6InRedirects \
    Icmp6InMLDv2Reports Icmp6OutDestUnreachs Icmp6OutPktTooBigs Icmp6OutTimeExcds \
    Icmp6OutParmProblems Icmp6OutEchos Icmp6OutEchoReplies Icmp6OutGroupMembQueries \
    Icmp6OutGroupMembResponses Icmp6OutGroupMembReductions Icmp6OutRouterSolicits \
    Icmp6OutRouterAdvertisements Icmp6OutNeighborSolicits \
    Icmp6OutNeighborAdvertisements Icmp6OutRedirects Icmp6OutMLDv2Reports \
    Udp6InDatagrams Udp6NoPorts Udp6InErrors Udp6OutDatagrams Udp6RcvbufErrors \
    Udp6SndbufErrors Udp6InCsumErrors Udp6IgnoredMulti Udp6MemErrors \
    UdpLite6InDatagrams UdpLite6NoPorts UdpLite6InErrors UdpLite6OutDatagrams \
    UdpLite6RcvbufErrors UdpLite6SndbufErrors UdpLite6InCsumErrors UdpLite6MemErrors";

/// What is no counter: whether it forwards (2: no) and how many hops packets have at first, and how TCP waits for answers.
const CONSTANTS: &[(&str, i64)] = &[
    ("Forwarding", 2),
    ("DefaultTTL", 64),
    ("RtoAlgorithm", 1),
    ("RtoMin", 200),
    ("RtoMax", 120_000),
    ("MaxConn", -1),
];

/// `/proc/net/snmp`.
pub(super) fn basic(kernel: &Kernel) -> String {
    let is_there = |state: State| matches!(state, State::Established | State::CloseWait);
    let connections = kernel.sockets.network.connections();
    let connections = connections.filter(|it| is_there(it.tcp.state)).count() as i64;
    let value = |field: &str| match field {
        "CurrEstab" => connections,
        _ => CONSTANTS.iter().find(|(name, _)| *name == field).map_or(0, |(_, value)| *value),
    };
    lines(BASIC, value)
}

/// `/proc/net/netstat`.
pub(super) fn extended() -> String {
    lines(EXTENDED, |_| 0)
}

/// `/proc/net/snmp6`.
pub(super) fn of_v6() -> String {
    OF_V6.split(' ').map(|field| format!("{field:<32}\t0\n")).collect()
}

/// Two lines a protocol: the names of its fields, and their values.
fn lines(protocols: &[(&str, &str)], value: impl Fn(&str) -> i64) -> String {
    let mut text = String::new();
    for (protocol, fields) in protocols {
        text += &format!("{protocol}: {fields}\n{protocol}:");
        for field in fields.split(' ') {
            text += &format!(" {}", value(field));
        }
        text.push('\n');
    }
    text
}
