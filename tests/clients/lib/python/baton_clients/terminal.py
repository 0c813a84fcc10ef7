"""A program in a pseudo-terminal, and what stands on its screen."""

import re
import signal
import threading
import time

import pexpect
import pyte

ROWS = 40
COLUMNS = 130
WAIT_S = 20
END_S = 10
# Escape and a key right after it are one key with Alt: only time tells them apart, for a terminal as for a user.
ESCAPE_GAP_S = 0.15
READ_BYTES = 65536

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "backspace": "\x7f",
    "delete": "\x1b[3~",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
}

# Strings (DCS, APC, PM, SOS) and private sequences that pyte would print or take for others: it reads
# `CSI > 4 ; 1 m`, a setting of the keyboard, as underlined text.
STRING_SEQUENCE = re.compile(r"\x1b[P_^X].*?(?:\x1b\\|\x07)", re.DOTALL)
PRIVATE_SEQUENCE = re.compile(r"\x1b\[[<=>][0-9;:]*[ -/]*[@-~]|\x1b\[\?[0-9;]*(?:[ -/]+[@-~]|u)")
COMPLETE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\].*?(?:\x07|\x1b\\)|[P_^X].*?(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\`-~])",
    re.DOTALL,
)


class ScreenTimeout(AssertionError):
    """What was waited for did not come; the message has the screen."""


class _Screen(pyte.Screen):
    """A screen that answers what programs ask a terminal, such as where the cursor is."""

    def __init__(self, columns, rows, answer):
        super().__init__(columns, rows)
        self._answer = answer

    def write_process_input(self, data):
        self._answer(data)


class Terminal:
    """Starts `command`; a thread keeps the screen up to date, whoever looks at it."""

    def __init__(self, command, env, cwd):
        self._child = pexpect.spawn(
            command[0], command[1:], env=env, cwd=cwd, dimensions=(ROWS, COLUMNS), encoding="utf-8",
            codec_errors="replace", timeout=None,
        )
        # The default holds back what is written, for programs that ask for a password.
        self._child.delaybeforesend = None
        self._screen = _Screen(COLUMNS, ROWS, self._child.write)
        self._stream = pyte.Stream(self._screen)
        self._rest = ""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                text = self._child.read_nonblocking(READ_BYTES, timeout=None)
            except (pexpect.EOF, OSError, ValueError):
                break
            with self._changed:
                self._feed(text)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _feed(self, text):
        """Gives the emulator what it understands; a sequence that is cut off waits for its end."""
        text = self._rest + text
        last = text.rfind("\x1b")
        whole = last < 0 or COMPLETE_SEQUENCE.match(text, last)
        if last > 0 and text[last : last + 2] == "\x1b\\":
            whole = True
        self._rest = "" if whole else text[last:]
        text = text if whole else text[:last]
        self._stream.feed(PRIVATE_SEQUENCE.sub("", STRING_SEQUENCE.sub("", text)))

    def screen(self):
        """The lines of the screen as one text."""
        with self._changed:
            return self._text()

    def _text(self):
        return "\n".join(line.rstrip() for line in self._screen.display)

    def background(self, row, column):
        """The colour behind a character: what a list has selected stands out by it."""
        with self._changed:
            return self._screen.buffer[row][column].bg

    @property
    def title(self):
        """The title that the program gave its window."""
        with self._changed:
            return self._screen.title

    def wait(self, wanted, timeout_s=WAIT_S):
        """Resolves when `wanted` is true of the screen: a text, a compiled pattern or a function of the text.

        Returns the screen's text; fails with the screen when it does not happen in time.
        """
        holds = _condition(wanted)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not holds(self._text()):
                left_s = deadline - time.monotonic()
                if left_s <= 0 or self._ended:
                    why = "the program has ended" if self._ended else f"not within {timeout_s} s"
                    raise ScreenTimeout(f"{_name(wanted)}: {why}. The screen:\n{self._framed()}")
                self._changed.wait(left_s)
            return self._text()

    def stands(self, wanted, timeout_s):
        """Whether `wanted` comes within this time, where both is fine."""
        try:
            self.wait(wanted, timeout_s)
        except ScreenTimeout:
            return False
        return True

    def wait_gone(self, unwanted, timeout_s=WAIT_S):
        """Resolves when `unwanted` is no longer on the screen."""
        stands = _condition(unwanted)

        def gone(text):
            return not stands(text)

        gone.__name__ = f"without {_name(unwanted)}"
        return self.wait(gone, timeout_s)

    @property
    def ended_by_itself(self):
        with self._changed:
            return self._ended

    def write(self, text):
        """Types a text, as it is."""
        self._child.write(text)

    def press(self, *keys):
        """Presses keys one after the other: `enter`, `ctrl+x`, or a character."""
        for key in keys:
            self._child.write(_bytes_of(key))
            if key == "escape":
                time.sleep(ESCAPE_GAP_S)

    def wait_end(self, timeout_s=END_S):
        """Waits until the program has ended by itself; returns its exit status."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self._ended:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise ScreenTimeout(f"it does not end within {timeout_s} s. The screen:\n{self._framed()}")
                self._changed.wait(left_s)
        self._child.wait()
        return self._child.exitstatus

    def close(self):
        """Ends the program, whatever it does."""
        # pexpect's own way waits a tenth of a second for the end of a killed program, which a busy machine exceeds.
        self._child.kill(signal.SIGKILL)
        self._reader.join(END_S)
        self._child.wait()
        self._child.close()

    def framed(self):
        """The screen for the message of a failed test."""
        with self._changed:
            return self._framed()

    def _framed(self):
        lines = self._text().rstrip().split("\n")
        edge = "+" + "-" * COLUMNS + "+"
        return "\n".join([edge, *(f"|{line:<{COLUMNS}}|" for line in lines), edge])


def _condition(wanted):
    if isinstance(wanted, str):
        return lambda text: wanted in text
    if isinstance(wanted, re.Pattern):
        return lambda text: wanted.search(text) is not None
    return wanted


def _name(wanted):
    if isinstance(wanted, re.Pattern):
        return f"/{wanted.pattern}/"
    return repr(wanted) if isinstance(wanted, str) else getattr(wanted, "__name__", "the condition")


def _bytes_of(key):
    if key in KEYS:
        return KEYS[key]
    if key.startswith("ctrl+") and len(key) == 6:
        return chr(ord(key[5]) & 0x1F)
    if len(key) == 1:
        return key
    raise ValueError(f"there is no key {key}")
