"""opencode's terminal UI, attached to a Baton: what a user does with it."""

import re

from .baton import environment, opencode_program
from .terminal import ScreenTimeout, Terminal

PERMISSION_ANSWERS = ("Allow once", "Allow always", "Reject")
START_S = 60
# A first prompt may start an agent, which takes seconds on a busy machine.
ANSWER_S = 90
START_PRESSES = 10
START_PRESS_S = 2
ESCAPES = 3
TYPE_ATTEMPTS = 3
TYPE_S = 5
HOME_PROMPT = "Ask anything"
BUSY = "esc interrupt"
# The line under an answer that has ended: agent, model and how long it took.
ENDED = r"▣\s+{agent} · {model} · [\d.]+m?s"


class Tui(Terminal):
    """A terminal UI with a home of its own."""

    def __init__(self, baton, *arguments, env=None):
        self.baton = baton
        command = [opencode_program(), "attach", baton.url, "--dir", str(baton.work), *arguments]
        # Only the first time that a model is picked, it asks for the variant.
        self._picked = set()
        super().__init__(command, {**environment(baton.new_home()), **(env or {})}, str(baton.work))

    def wait_start(self):
        """Waits until it takes keys: it draws its first screen before that."""
        self.wait(HOME_PROMPT, START_S)
        self.wait("ctrl+p commands")
        for _ in range(START_PRESSES):
            self.press("ctrl+p")
            if self.stands("Commands", START_PRESS_S):
                break
        self.press("escape")
        self.wait(lambda screen: place_of(screen, "Commands") is None and " · " in status(screen))
        return self

    def new_session(self):
        """Leaves the session that is shown; the next prompt begins a new one."""
        self.command("New session")
        self.wait(HOME_PROMPT)
        return self

    def to_home(self):
        """Leaves whatever a scenario has left open: a dialog, a running answer, a half-written prompt."""
        for _ in range(ESCAPES):
            if re.search(r"\besc\b", self.screen()):
                self.press("escape")
        if left := composer(self.screen()).strip():
            self.press("ctrl+u")
            self.wait(lambda screen: left not in composer(screen))
        if HOME_PROMPT not in self.screen():
            self.new_session()
        if "Plan ·" in status(self.screen()):
            self.change_agent("Build")
        return self

    def change_agent(self, agent):
        self.press("tab")
        self.wait(lambda screen: f"{agent} ·" in status(screen))
        return self

    def use(self, model):
        """Picks the model, unless it is picked already."""
        if f"· {model.label}" not in status(self.screen()):
            self.pick_model(model)
        return self

    def type(self, text):
        """Types into the composer; what is typed has to be there before the next key."""
        for _ in range(TYPE_ATTEMPTS):
            self.write(text)
            if self.stands(lambda screen: text in composer(screen), TYPE_S):
                return self
            # It gives the composer the keys back a moment after a dialog has gone: what came before that is lost.
            self.press("ctrl+u")
            self.wait(lambda screen: not composer(screen).strip())
        raise ScreenTimeout(f"{text!r} cannot be typed. The screen:\n{self.framed()}")

    def clear(self):
        """Empties the composer."""
        self.press("ctrl+u")
        self.wait(lambda screen: not composer(screen).strip())

    def send(self, text):
        """Sends a prompt."""
        self.type(text)
        self.press("enter")
        self.wait(lambda screen: text not in composer(screen))
        return self

    def answered(self, text, model=None, agent="Build"):
        """Waits until an answer with this text stands on the screen and has ended."""
        self.wait(text, ANSWER_S)
        self.idle()
        return self.ended(model, agent) if model else self.screen()

    def ended(self, model, agent="Build"):
        """Waits for the line that names who has answered."""
        return self.wait(re.compile(ENDED.format(agent=agent, model=re.escape(model.label))), ANSWER_S)

    def busy(self):
        return self.wait(BUSY, ANSWER_S)

    def idle(self):
        """Waits until nothing runs any more."""
        return self.wait(lambda screen: "interrupt" not in footer(screen), ANSWER_S)

    def ask(self, backend, word, model=None):
        """Lets the model say a word, and waits for it."""
        self.send(backend.says(word))
        return self.answered(backend.answers(model or backend.model, word), model or backend.model)

    def pick_model(self, model, variant="Default"):
        """Picks a model in the model picker, and a variant if it has some and has not been picked before."""
        self.command("Switch model")
        self.choose("Select model", model.label, model.label)
        if model.variants and model not in self._picked:
            self.choose("Select variant", variant, variant)
        self._picked.add(model)
        self.wait(lambda screen: f"· {model.label}" in status(screen))
        return self

    def command(self, title):
        """Runs a command of the command palette."""
        self.press("ctrl+p")
        self.choose("Commands", title, title)
        return self

    def choose(self, dialog, query, entry):
        """Searches in a dialog's list and takes the entry."""
        self.wait(dialog)
        self.write(query)
        self.highlighted(dialog, entry)
        self.press("enter")
        self.wait(lambda screen: place_of(screen, dialog) is None)

    def highlighted(self, dialog, entry):
        """Waits until the entry of a dialog's list is the one that Enter takes."""

        def is_highlighted(screen):
            top = place_of(screen, dialog)
            if top is None:
                return False
            lines = screen.split("\n")
            at = [(row, lines[row].find(entry, top[1])) for row in range(top[0] + 1, len(lines))]
            return any(column >= 0 and self.background(row, column) != self.background(*top) for row, column in at)

        is_highlighted.__name__ = f"{entry!r} highlighted in {dialog!r}"
        return self.wait(is_highlighted)

    def take(self, answer):
        """Takes one of the answers of a permission's dialog, by the arrow keys."""
        self.wait(self._chosen)
        while (chosen := self._chosen(self.screen())) != answer:
            self.press("right")
            self.wait(lambda screen: self._chosen(screen) not in (None, chosen))
        self.press("enter")

    def _chosen(self, screen):
        """The answer of a permission's dialog that Enter takes; None while there is none."""
        for row, line in enumerate(screen.split("\n")):
            if not all(answer in line for answer in PERMISSION_ANSWERS):
                continue
            # It stands out from the hints in the same line.
            plain = self.background(row, line.find("enter confirm"))
            for answer in PERMISSION_ANSWERS:
                if self.background(row, line.find(answer)) != plain:
                    return answer
        return None


def composer(screen):
    """What stands in the box of the prompt."""
    lines = screen.split("\n")
    edges = [at for at, line in enumerate(lines) if "╹▀▀" in line]
    if not edges:
        return ""
    at = edges[-1] - 1
    box = []
    # A list of files or commands above it has a border on both sides.
    while at >= 0 and lines[at].count("┃") == 1:
        box.append(lines[at].split("┃")[1])
        at -= 1
    # The lowest line names agent and model.
    text = "\n".join(reversed(box[1:]))
    return "" if text.strip().startswith(HOME_PROMPT) else text


def status(screen):
    """The line of the composer that names agent and model."""
    lines = screen.split("\n")
    edges = [at for at, line in enumerate(lines) if "╹▀▀" in line]
    return lines[edges[-1] - 1] if edges else ""


def footer(screen):
    """The last lines, with the spinner and the hints."""
    return "\n".join(screen.rstrip().split("\n")[-3:])


def place_of(screen, dialog):
    """Row and column of a dialog's title; None when it is not open."""
    for row, line in enumerate(screen.split("\n")):
        if found := re.search(rf"{re.escape(dialog)}\s+esc\b", line):
            return row, found.start()
    return None
