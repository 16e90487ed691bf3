// A Java program for tests/pairs.list: HttpServer with a pool of threads, HttpClient with requests at a time, datagrams.
// Prints the same lines in every run.
import com.sun.net.httpserver.*;
import java.net.*;
import java.net.http.*;
import java.util.concurrent.*;
import java.util.stream.*;
public class Web {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
        ExecutorService workers = Executors.newFixedThreadPool(4);
        server.setExecutor(workers);
        server.createContext("/", exchange -> {
            byte[] sent = exchange.getRequestBody().readAllBytes();
            byte[] answer = (exchange.getRequestMethod() + " " + exchange.getRequestURI() + " " + sent.length).getBytes();
            exchange.sendResponseHeaders(200, answer.length);
            exchange.getResponseBody().write(answer);
            exchange.close();
        });
        server.start();
        HttpClient client = HttpClient.newHttpClient();
        URI base = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
        System.out.println(IntStream.range(0, 20).mapToObj(i -> HttpRequest.newBuilder(base.resolve("/page" + i)).build())
            .map(request -> client.sendAsync(request, HttpResponse.BodyHandlers.ofString()).thenApply(HttpResponse::body))
            .collect(Collectors.toList()).stream().map(CompletableFuture::join).collect(Collectors.joining(", ")));
        HttpRequest post = HttpRequest.newBuilder(base).POST(HttpRequest.BodyPublishers.ofByteArray(new byte[300000])).build();
        System.out.println(client.send(post, HttpResponse.BodyHandlers.ofString()).body());
        server.stop(0);
        workers.shutdown();
        DatagramSocket one = new DatagramSocket(0, InetAddress.getLoopbackAddress()), other = new DatagramSocket();
        other.send(new DatagramPacket("datagram".getBytes(), 8, one.getLocalSocketAddress()));
        DatagramPacket received = new DatagramPacket(new byte[100], 100);
        one.receive(received);
        System.out.println(new String(received.getData(), 0, received.getLength()));
        System.exit(0);
    }
}
