# scenario.rb CLIENT URL: plays the scenario with the client of openapi-generator, ruby, and prints what the driver compares.

require 'net/http'

folder, url = ARGV
$LOAD_PATH.unshift("#{folder}/lib")
require 'baton'

EVENTS = 5
address = URI(url)
Baton.configure do |config|
  config.scheme = address.scheme
  config.host = "#{address.host}:#{address.port}"
  config.base_path = ''
  # Without it the client takes the first of the document's servers.
  config.server_index = nil
end
sessions = Baton::SessionApi.new
messages = Baton::MessageApi.new
# The generated call reads an answer to its end.
counted = Thread.new do
  count = 0
  Net::HTTP.start(address.host, address.port) do |http|
    http.request(Net::HTTP::Get.new('/opencode/event')) do |response|
      response.read_body do |piece|
        count += piece.scan(/^data: /).size
        break if count >= EVENTS
      end
      Thread.current[:count] = count
      Thread.exit
    end
  end
end

session = sessions.session_create(session_create_input: Baton::SessionCreateInput.new(title: 'Generated'))
say = lambda do |text, model = nil|
  part = Baton::TextPartInput.new(type: 'text', text: text)
  prompt = Baton::PromptInput.new(parts: [part], model: model)
  messages.session_prompt(session.id, prompt).info.model_id
end
update = lambda do |model|
  change = Baton::SessionUpdateInput.new(provider_id: 'mock', model_id: model)
  sessions.session_update(session.id, change, wait: true)
end
puts "first: #{say.call('echo one', Baton::PromptModel.new(provider_id: 'mock', model_id: 'mock'))}"
puts "switched: #{update.call('mock-strong').model.id}"
puts "second: #{say.call('echo two')}"
begin
  update.call('mock-stong')
rescue Baton::ApiError => e
  why = Baton::UnselectableError.build(JSON.parse(e.response_body, symbolize_names: true))
  raise 'another error' unless why.is_a?(Baton::ProviderModelNotFoundError)

  puts "refused: #{why.name} #{why.data.suggestions.join(' ')}"
end
counted.join
puts "events: #{[counted[:count], EVENTS].min}"
