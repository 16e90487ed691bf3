// A Go program for tests/whole.list, linked dynamically by way of cgo: goroutines, channels, timers,
// subprocesses, signals, recovered faults, garbage collection. Prints the same lines in every run.
package main

/*
#include <stdlib.h>
static int twice(int number) { return 2 * number; }
*/
import "C"

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func goroutines() {
	var group sync.WaitGroup
	var sum int64
	results := make(chan int)
	for i := 0; i < 1000; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			runtime.Gosched()
			atomic.AddInt64(&sum, int64(i))
			results <- int(C.twice(C.int(i)))
		}(i)
	}
	go func() { group.Wait(); close(results) }()
	doubled := 0
	for result := range results {
		doubled += result
	}
	fmt.Println("goroutines:", sum, doubled)
}

func faults() {
	try := func(name string, call func()) {
		defer func() { fmt.Println(name, "recovered:", recover()) }()
		call()
	}
	var nothing *struct{ value int }
	var zero int
	try("nil", func() { fmt.Println(nothing.value) })
	try("division", func() { fmt.Println(1 / zero) })
	try("index", func() { fmt.Println([]int{1}[zero+1]) })
	done := make(chan bool)
	go func() {
		defer close(done)
		try("nil in a goroutine", func() { nothing.value = 1 })
	}()
	<-done
}

func subprocesses() {
	output, err := exec.Command("sh", "-c", "echo out; echo err >&2; exit 3").CombinedOutput()
	fmt.Printf("%q %v\n", output, err)
	command := exec.Command("tr", "a-z", "A-Z")
	command.Stdin = strings.NewReader("to upper case\n")
	output, err = command.Output()
	fmt.Printf("%q %v\n", output, err)
	_, err = exec.Command("/nonexistent/program").Output()
	fmt.Println(errors.Is(err, os.ErrNotExist))
	limit, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	fmt.Println(exec.CommandContext(limit, "sleep", "100").Run())
	var group sync.WaitGroup
	var right int64
	for i := 0; i < 8; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			output, _ := exec.Command("expr", fmt.Sprint(i), "+", "1").Output()
			if strings.TrimSpace(string(output)) == fmt.Sprint(i+1) {
				atomic.AddInt64(&right, 1)
			}
		}(i)
	}
	group.Wait()
	fmt.Println("subprocesses:", right)
}

func signals() {
	channel := make(chan os.Signal, 4)
	signal.Notify(channel, syscall.SIGUSR1, syscall.SIGTERM)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	fmt.Println(<-channel)
	syscall.Kill(os.Getpid(), syscall.SIGTERM)
	fmt.Println(<-channel)
	signal.Ignore(syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	signal.Reset(syscall.SIGTERM)
}

func timers() {
	began := time.Now()
	select {
	case <-time.After(30 * time.Millisecond):
		fmt.Println("after, not early:", time.Since(began) >= 30*time.Millisecond)
	case <-make(chan int):
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 5; i++ {
		<-ticker.C
	}
	ticker.Stop()
	fmt.Println("ticks, not early:", time.Since(began) >= 55*time.Millisecond)
}

func garbage() {
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			var list [][]byte
			for j := 0; j < 2000; j++ {
				list = append(list, make([]byte, 4096))
				if j%500 == 0 {
					list = nil
				}
			}
		}()
	}
	group.Wait()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("collected:", stats.NumGC > 0)
	// A loop without calls is preempted by a signal.
	stop := int32(0)
	runtime.GOMAXPROCS(2)
	go func() {
		time.Sleep(20 * time.Millisecond)
		runtime.GC()
		atomic.StoreInt32(&stop, 1)
	}()
	for count := 0; atomic.LoadInt32(&stop) == 0; count++ {
	}
	fmt.Println("preempted")
}

func main() {
	goroutines()
	faults()
	subprocesses()
	signals()
	timers()
	garbage()
	os.Exit(5)
}
