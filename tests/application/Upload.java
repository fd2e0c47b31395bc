import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

/** Sends a file with all of the client's defaults: it offers HTTP/2. */
public class Upload {
    public static void main(String[] arguments) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(arguments[0]))
            .header("content-type", "text/csv")
            .POST(HttpRequest.BodyPublishers.ofString("RM\n6\n7\n"))
            .build();
        System.out.print(
            HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
