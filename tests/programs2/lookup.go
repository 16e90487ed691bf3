// Names as Go asks for them: by its own resolver, which reads /etc and sends messages, and by the C library.
//
// Names come in; addresses, names of addresses and errors go out. Always true: each answer is sorted.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"sort"
)

func main() {
	for _, own := range []bool{true, false} {
		resolver := &net.Resolver{PreferGo: own}
		for _, name := range os.Args[1:] {
			addresses, err := resolver.LookupHost(context.Background(), name)
			sort.Strings(addresses)
			failure, isFailure := err.(*net.DNSError)
			fmt.Println(own, name, addresses, isFailure && failure.IsNotFound)
			if len(addresses) > 0 {
				names, err := resolver.LookupAddr(context.Background(), addresses[0])
				fmt.Println(own, addresses[0], names, err)
			}
		}
	}
	const flags = net.FlagUp | net.FlagBroadcast | net.FlagLoopback | net.FlagMulticast
	interfaces, err := net.Interfaces()
	fmt.Println(len(interfaces), interfaces[0].Name, err)
	for _, it := range interfaces {
		addresses, err := it.Addrs()
		fmt.Println(it.Name, it.MTU, it.HardwareAddr, it.Flags&flags, addresses, err)
	}
}
