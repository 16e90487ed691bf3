// A Java program for tests/whole.list: threads, monitors, garbage collection, implicit null checks, stack
// overflows, subprocesses, shutdown hooks. Prints the same lines in every run.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

public class Whole {
    static class Node {
        Node next;
        int value;
    }

    static int sum(Node node) {
        return node.value + node.next.value;
    }

    static void nulls() {
        Node last = new Node(), first = new Node();
        first.next = last;
        int caught = 0, right = 0;
        for (int i = 0; i < 200000; i++) {
            try {
                right += sum(i % 1000 == 0 ? last : first) + 1;
            } catch (NullPointerException error) {
                caught++;
            }
        }
        System.out.println("null checks: " + right + " " + caught);
    }

    static int depth(int level) {
        return depth(level + 1) + 1;
    }

    static void overflow() throws Exception {
        Thread thread = new Thread(() -> {
            try {
                depth(0);
            } catch (StackOverflowError error) {
                System.out.println("stack overflow caught");
            }
        });
        thread.start();
        thread.join();
    }

    static void garbage() {
        List<byte[]> kept = new ArrayList<>();
        long sum = 0;
        for (int i = 0; i < 20000; i++) {
            byte[] bytes = new byte[4096];
            bytes[i % 4096] = 1;
            if (i % 1000 == 0) kept.add(bytes);
            sum += bytes[i % 4096];
        }
        System.gc();
        System.out.println("garbage: " + sum + " " + kept.size());
    }

    static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(4);
        List<Future<Integer>> results = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            int number = i;
            results.add(pool.submit(() -> number * number));
        }
        int sum = 0;
        for (Future<Integer> result : results) sum += result.get();
        pool.shutdown();
        System.out.println("pool: " + sum + " " + pool.awaitTermination(10, TimeUnit.SECONDS));
        AtomicInteger rounds = new AtomicInteger();
        CyclicBarrier barrier = new CyclicBarrier(3, rounds::incrementAndGet);
        Thread[] all = new Thread[3];
        int[] counter = new int[1];
        for (int i = 0; i < 3; i++) {
            all[i] = new Thread(() -> {
                try {
                    for (int j = 0; j < 100; j++) {
                        synchronized (counter) {
                            counter[0]++;
                        }
                        barrier.await();
                    }
                } catch (Exception error) {
                    System.out.println(error);
                }
            });
            all[i].start();
        }
        for (Thread thread : all) thread.join();
        System.out.println("barrier: " + rounds + " " + counter[0]);
        System.out.println("parallel: " + IntStream.range(0, 10000).parallel().map(i -> i % 7).sum());
        System.out.println("future: " + CompletableFuture.supplyAsync(() -> 6).thenApply(n -> n * 7).get());
        Thread sleeper = new Thread(() -> {
            try {
                Thread.sleep(100000);
            } catch (InterruptedException error) {
                System.out.println("sleep interrupted");
            }
        });
        sleeper.start();
        sleeper.interrupt();
        sleeper.join();
        ScheduledExecutorService timer = Executors.newScheduledThreadPool(1);
        long began = System.nanoTime();
        timer.schedule(() -> { }, 30, TimeUnit.MILLISECONDS).get();
        System.out.println("timer, not early: " + (System.nanoTime() - began >= 30000000));
        timer.shutdownNow();
    }

    static void processes() throws Exception {
        Process process = new ProcessBuilder("sh", "-c", "read line; echo got $line; exit 7").redirectErrorStream(true).start();
        process.getOutputStream().write("a line\n".getBytes());
        process.getOutputStream().close();
        BufferedReader reader = new BufferedReader(new InputStreamReader(process.getInputStream()));
        System.out.println(reader.readLine() + ", exit " + process.waitFor());
        Process sleeper = new ProcessBuilder("sleep", "100").start();
        System.out.println("alive: " + sleeper.isAlive() + ", in time: " + sleeper.waitFor(20, TimeUnit.MILLISECONDS));
        sleeper.destroy();
        System.out.println("destroyed: " + sleeper.waitFor());
        try {
            new ProcessBuilder("/nonexistent/program").start();
        } catch (java.io.IOException error) {
            System.out.println("cannot be started");
        }
    }

    public static void main(String[] words) throws Exception {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        nulls();
        overflow();
        garbage();
        threads();
        processes();
        System.exit(9);
    }
}
