# Three places in a ring of one-way links.
graph [
  directed 1
  node [ id 0 label "north" host_bandwidth_down "1 Gbit" host_bandwidth_up "1 Gbit" ]
  node [ id 1 label "east" host_bandwidth_down "100 Mbit" host_bandwidth_up "20 Mbit" ]
  node [ id 2 label "west" ]
  edge [ source 0 target 0 latency "1 ms" ]
  edge [ source 0 target 1 latency "10 ms" packet_loss 0.001 ]
  edge [ source 1 target 2 latency "20 ms" jitter "1 ms" packet_loss 0.0 ]
  edge [ source 2 target 0 latency "30 ms" ]
]
