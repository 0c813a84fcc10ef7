"""The backends as a user meets them: what to type, and what then stands on the screen."""

import itertools
from dataclasses import dataclass
from typing import Callable

_numbers = itertools.count(1)


def unique(word):
    """A word that stands nowhere else."""
    return f"{word}{next(_numbers)}"


@dataclass(frozen=True)
class Model:
    """A model: its id, its name as the model picker shows it, and whether it has variants."""

    provider: str
    id: str
    label: str
    variants: bool = False

    @property
    def selection(self):
        return {"providerID": self.provider, "modelID": self.id}

    @property
    def argument(self):
        """As `opencode run -m` takes it."""
        return f"{self.provider}/{self.id}"


@dataclass(frozen=True)
class Backend:
    """A backend: its models, and how to make it do things. Each function returns the prompt."""

    name: str
    model: Model
    other: Model
    says: Callable[[str], str]
    """Makes it answer the word."""
    answers: Callable[[Model, str], str]
    """What stands on the screen when a model has answered the word."""
    prints: Callable[[Model, str], str]
    """The answer itself."""
    streams: Callable[[int], str]
    """Makes it stream for some seconds, a tick every 100 ms."""
    tick: Callable[[int], str]
    """A tick, on the screen."""
    runs: Callable[[str], str]
    """Makes it run a command, for which it needs a permission."""
    writes: Callable[[str], str]
    """Makes it write a file of that name."""
    wrote: str
    """What stands on the screen when it has."""
    fails: str
    """A prompt that ends with the model's error."""
    failure: str
    """Its message."""

    def __str__(self):
        return self.name


MOCK_FAST = Model("mock", "mock-fast", "Mock Fast")
MOCK_STRONG = Model("mock", "mock-strong", "Mock Strong", variants=True)
ALPHA = Model("opencode", "stub/alpha", "stub/Alpha")
BETA = Model("opencode", "stub/beta", "stub/Beta", variants=True)
GAMMA = Model("opencode", "stub2/gamma", "stub2/Gamma")
FABLE = Model("claude", "fable", "Fable 5.1", variants=True)

MOCK = Backend(
    name="mock",
    model=MOCK_FAST,
    other=MOCK_STRONG,
    says=lambda word: f"echo {word}",
    answers=lambda model, word: word,
    prints=lambda model, word: word,
    streams=lambda seconds: f"slow {seconds}",
    tick=lambda number: f"tick {number}",
    runs=lambda command: f"permission {command}",
    writes=lambda name: f"tool {name}",
    wrote="edited",
    fails="error",
    failure="mock failure",
)

OPENCODE = Backend(
    name="opencode",
    model=ALPHA,
    other=GAMMA,
    # The screen shows the stub's "[alpha]", a link in Markdown, without its brackets.
    says=lambda word: f"SAY {word}",
    answers=lambda model, word: f"{model.id.split('/')[-1]} {word}",
    prints=lambda model, word: f"[{model.id.split('/')[-1]}] {word}",
    streams=lambda seconds: f"SLOW {seconds}",
    tick=lambda number: f"tick-{number}",
    runs=lambda command: f"TOOLBASH {command}",
    writes=lambda name: f"TOOLWRITE {name} content",
    wrote="Wrote file successfully",
    fails="ERROR 400",
    failure="stub error 400",
)

BACKENDS = [MOCK, OPENCODE]
