// main URL: plays the scenario with the client of openapi-generator, go, and prints what the driver compares.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"baton"
)

const events = 5

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// kinds reads the first frames of the stream: the generated call reads an answer to its end.
func kinds(url string) chan int {
	counted := make(chan int, 1)
	stream, err := http.Get(url + "/opencode/event")
	must(err)
	go func() {
		defer stream.Body.Close()
		lines := bufio.NewScanner(stream.Body)
		lines.Buffer(nil, 1<<20)
		count := 0
		for count < events && lines.Scan() {
			if data := strings.TrimPrefix(lines.Text(), "data: "); data != lines.Text() {
				event := baton.ServerEvent{}
				must(event.UnmarshalJSON([]byte(data)))
				count++
			}
		}
		counted <- count
	}()
	return counted
}

func main() {
	url := os.Args[1]
	configuration := baton.NewConfiguration()
	configuration.Servers = baton.ServerConfigurations{{URL: url}}
	client, ctx := baton.NewAPIClient(configuration), context.Background()
	counted := kinds(url)

	create := baton.SessionCreateInput{}
	create.SetTitle("Generated")
	session, _, err := client.SessionAPI.SessionCreate(ctx).SessionCreateInput(create).Execute()
	must(err)
	say := func(text string, model *baton.PromptModel) string {
		part := baton.TextPartInputAsPartInput(baton.NewTextPartInput("text", text))
		prompt := baton.NewPromptInput([]baton.PartInput{part})
		if model != nil {
			prompt.SetModel(*model)
		}
		answer, _, err := client.MessageAPI.SessionPrompt(ctx, session.Id).PromptInput(*prompt).Execute()
		must(err)
		return answer.Info.AssistantMessage.ModelID
	}
	update := func(model string) (*baton.Session, error) {
		input := baton.SessionUpdateInput{}
		input.SetProviderID("mock")
		input.SetModelID(model)
		session, _, err := client.SessionAPI.SessionUpdate(ctx, session.Id).SessionUpdateInput(input).Wait(true).Execute()
		return session, err
	}
	fmt.Println("first:", say("echo one", baton.NewPromptModel("mock", "mock")))
	switched, err := update("mock-strong")
	must(err)
	fmt.Println("switched:", switched.Model.Id)
	fmt.Println("second:", say("echo two", nil))
	_, err = update("mock-stong")
	var refused *baton.GenericOpenAPIError
	if !errors.As(err, &refused) {
		panic("it was taken")
	}
	why := refused.Model().(baton.UnselectableError).ProviderModelNotFoundError
	fmt.Println("refused:", why.Name, strings.Join(why.Data.Suggestions, " "))
	fmt.Println("events:", <-counted)
}
