// Scenario.java URL: plays the scenario with the client of openapi-generator, java (library native), and prints what the
// driver compares.

import baton.ApiClient;
import baton.ApiException;
import baton.api.MessageApi;
import baton.api.SessionApi;
import baton.model.PartInput;
import baton.model.PromptInput;
import baton.model.PromptModel;
import baton.model.ProviderModelNotFoundError;
import baton.model.ServerEvent;
import baton.model.Session;
import baton.model.SessionCreateInput;
import baton.model.SessionUpdateInput;
import baton.model.TextPartInput;
import baton.model.UnselectableError;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.stream.Stream;

class Scenario {
  static final int EVENTS = 5;
  static final String DATA = "data: ";
  static final ObjectMapper MAPPER = ApiClient.createDefaultObjectMapper();

  public static void main(String[] arguments) throws Exception {
    String url = arguments[0];
    ApiClient client = new ApiClient();
    client.updateBaseUri(url);
    SessionApi sessions = new SessionApi(client);
    MessageApi messages = new MessageApi(client);
    // The generated call reads an answer to its end.
    HttpRequest subscribe = HttpRequest.newBuilder(URI.create(url + "/opencode/event")).build();
    Stream<String> lines = HttpClient.newHttpClient().send(subscribe, HttpResponse.BodyHandlers.ofLines()).body();

    String session = sessions.sessionCreate(null, null, null, new SessionCreateInput().title("Generated")).getId();
    PromptModel model = new PromptModel().providerID("mock").modelID("mock");
    System.out.println("first: " + say(messages, session, "echo one", model));
    System.out.println("switched: " + update(sessions, session, "mock-strong").getModel().getId());
    System.out.println("second: " + say(messages, session, "echo two", null));
    try {
      update(sessions, session, "mock-stong");
    } catch (ApiException refused) {
      UnselectableError why = MAPPER.readValue(refused.getResponseBody(), UnselectableError.class);
      ProviderModelNotFoundError error = why.getProviderModelNotFoundError();
      System.out.println("refused: " + error.getName() + " " + String.join(" ", error.getData().getSuggestions()));
    }
    int events = lines.filter(line -> line.startsWith(DATA)).map(Scenario::event).limit(EVENTS).toList().size();
    System.out.println("events: " + events);
    // The stream goes on, and so does its thread.
    System.exit(0);
  }

  static String say(MessageApi messages, String session, String text, PromptModel model) throws ApiException {
    PartInput part = new PartInput(new TextPartInput().type(TextPartInput.TypeEnum.TEXT).text(text));
    PromptInput prompt = new PromptInput().addPartsItem(part).model(model);
    return messages.sessionPrompt(session, prompt, null).getInfo().getAssistantMessage().getModelID();
  }

  static Session update(SessionApi sessions, String session, String model) throws ApiException {
    SessionUpdateInput change = new SessionUpdateInput().providerID("mock").modelID(model);
    return sessions.sessionUpdate(session, change, true, null, null, null);
  }

  static Object event(String line) {
    try {
      return MAPPER.readValue(line.substring(DATA.length()), ServerEvent.class).getActualInstance();
    } catch (java.io.IOException error) {
      throw new IllegalStateException(error);
    }
  }
}
