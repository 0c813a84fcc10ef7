<?php
// scenario.php CLIENT URL: plays the scenario with the client of openapi-generator, php, and prints what the driver compares.
// It is made from the 3.0 form, with one class for all errors.

namespace OpenAPI\Client;

// Debian's guzzle; with Composer it is vendor/autoload.php.
require '/usr/share/php/GuzzleHttp/autoload.php';
[, $folder, $url] = $argv;
spl_autoload_register(function (string $class) use ($folder): void {
    $file = $folder . '/lib/' . str_replace('\\', '/', substr($class, strlen('OpenAPI\\Client\\'))) . '.php';
    // The client asks for classes that need not be there.
    if (is_file($file)) {
        require $file;
    }
});

const EVENTS = 5;

$configuration = (new Configuration())->setHost($url);
$sessions = new Api\SessionApi(null, $configuration);
$messages = new Api\MessageApi(null, $configuration);
// The generated call reads an answer to its end.
$stream = fopen("$url/opencode/event", 'r');

$session = $sessions->sessionCreate(session_create_input: new Model\SessionCreateInput(['title' => 'Generated']));
$say = function (string $text, ?Model\PromptModel $model = null) use ($messages, $session): string {
    $part = new Model\TextPartInput(['type' => 'text', 'text' => $text]);
    $prompt = new Model\PromptInput(['parts' => [$part], ...($model ? ['model' => $model] : [])]);
    return $messages->sessionPrompt($session->getId(), $prompt)->getInfo()->getModelId();
};
$update = fn (string $model): Model\Session => $sessions->sessionUpdate(
    $session->getId(),
    new Model\SessionUpdateInput(['provider_id' => 'mock', 'model_id' => $model]),
    wait: true,
);
echo 'first: ', $say('echo one', new Model\PromptModel(['provider_id' => 'mock', 'model_id' => 'mock'])), "\n";
echo 'switched: ', $update('mock-strong')->getModel()->getId(), "\n";
echo 'second: ', $say('echo two'), "\n";
try {
    $update('mock-stong');
} catch (ApiException $error) {
    $why = $error->getResponseObject();
    echo 'refused: ', $why->getName(), ' ', implode(' ', $why->getData()->getSuggestions()), "\n";
}
for ($count = 0; $count < EVENTS && ($line = fgets($stream)) !== false; ) {
    if (str_starts_with($line, 'data: ')) {
        // The generator makes one class of a union, which takes the type of one of its variants only.
        $count += isset(json_decode(substr($line, 6))->type) ? 1 : 0;
    }
}
echo 'events: ', $count, "\n";
