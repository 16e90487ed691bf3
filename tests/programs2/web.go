// A Go program for tests/pairs.list, linked dynamically by way of cgo: a server of net/http over IPv4 and IPv6, and
// twenty clients at a time. Prints the same lines in every run.
package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
)

func main() {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			panic(err)
		}
		http.DefaultServeMux = http.NewServeMux()
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %d", r.Method, r.URL.Path, len(body))
		})
		server := &http.Server{}
		done := make(chan error)
		go func() { done <- server.Serve(listener) }()
		answers := make([]string, 20)
		var group sync.WaitGroup
		for i := range answers {
			group.Add(1)
			go func(i int) {
				defer group.Done()
				url := fmt.Sprintf("http://%s/page/%d", listener.Addr(), i)
				response, err := http.Post(url, "text/plain", bytes.NewReader(make([]byte, i*10000)))
				if err != nil {
					panic(err)
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				answers[i] = string(body)
			}(i)
		}
		group.Wait()
		for _, answer := range answers {
			fmt.Println(answer)
		}
		http.DefaultClient.CloseIdleConnections()
		server.Close()
		fmt.Println(<-done)
	}
}
