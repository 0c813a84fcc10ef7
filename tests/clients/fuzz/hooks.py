"""What a document cannot say about a request, and so what may be refused although the document allows it.

A request that fits the document has to be accepted (`positive_data_acceptance`), unless its refusal is one of those
below: each is told apart by the error's name or message and, unless it can come anywhere, by the operation.
"""

import re

import schemathesis
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

EVERYWHERE = ""
MODELS = r"/session$|/session/\{sessionID\}|/config$"
NATIVE = r"/backend/\{backendID\}/session$"
FILES = r"/file|/find|/api/fs/"

# Errors that are named after what is not there, or is not so now.
NAMED = {
    "ProviderModelNotFoundError": (MODELS, "which models there are is known to the registry only"),
    "ProviderNotConnectedError": (f"{MODELS}|{NATIVE}", "whether an agent's program is installed"),
    "AgentNotFoundError": (MODELS, "which modes there are is known to the registry only"),
    "CommandNotFoundError": (r"/command$", "which commands there are"),
    "InvalidCursorError": (r"/session$|/message$", "a cursor is opaque, and comes from an answer before"),
    "VcsApplyError": (r"/vcs/apply$", "whether a patch fits the files"),
    "RevisionConflictError": (r"/session/\{sessionID\}$", "412: the revision that a session has now"),
}

# Refusals with the name BadRequest or InvalidRequestError, by their message.
SAID = [
    (r"^Expected a directory that exists on the server", EVERYWHERE, "which directories there are"),
    (r"^Expected a directory, got .*: it contains a NUL", EVERYWHERE, "a NUL as `%00`, which is decoded once more"),
    (r"\n  at \[\"fallback\"\]\[\d+\]$", r"/session/\{sessionID\}$", "which models there are is known to the registry only"),
    (r"says something else than|come together; ", MODELS, "two fields that have to agree; generators cannot use such rules"),
    (r"^Baton keeps no credentials", r"/auth/\{providerID\}$", "always refused, with what to do instead"),
    (r"^Baton shares nothing", r"/share$", "always refused, with what to do instead"),
    (r"^Expected the X-Next-Cursor of an answer before", r"/session$", "a cursor is opaque, and comes from an answer before"),
    (r"^Expected an id that starts with .*\n  at \[\"before\"\]$", r"/message$", "the same: a cursor, or a message's id"),
    (r"^Expected .*, as in the path\n", r"/part/\{partID\}$", "a part that says the same ids as the path"),
    (r"^Expected provider/model, got", r"/command$", "an id alone is taken where a backend has such a model"),
    (r"\n  at \[\"path\"\]$", FILES, "what is at a path: a folder, a file, text, nothing"),
    (r"^The pattern is no regular expression", r"/find$", "the syntax of regular expressions"),
    (r"has no such way to sign in", r"/oauth/(authorize|callback)$|/authenticate$", "which ways there are is told by the agent"),
    (r"^The JSON Schema cannot be used", MODELS, "what is a JSON Schema"),
    (r"\n  at \[\"import\"\]\[\"(providerID|nativeID)\"\]$", r"/session$", "which sessions agents have"),
    (r"has no session/list", NATIVE, "what an agent can do"),
    (r"cannot keep", EVERYWHERE, "rules that a backend cannot keep"),
    (r"^There is no integration", r"/api/integration/\{integrationID\}$", "there is none, whatever its id"),
]

BYTES = re.compile(r"^Expected at most (\d+) bytes, got (\d+)")


def is_untold(operation, body):
    """Whether the document had no way to say that this would be refused."""
    name = body.get("name") or body.get("_tag")
    message = (body.get("data") or body).get("message", "")
    if name in NAMED:
        return bool(re.search(NAMED[name][0], operation))
    # The document counts characters, of up to four bytes each.
    too_long = BYTES.match(message)
    if too_long:
        return int(too_long[2]) <= 4 * int(too_long[1])
    return any(re.search(said, message) and re.search(where, operation) for said, where, _reason in SAID)


@schemathesis.check
def accepted_unless_untold(ctx, response, case):
    if response.status_code in (400, 412) and is_untold(case.operation.path, response.json()):
        return None
    return positive_data_acceptance(ctx, response, case)


@schemathesis.check
def refused_unless_nothing(ctx, response, case):
    # Go's and Java's clients send `null` for a body that is left out. A schema that says so costs other generators the
    # body's type.
    is_optional = not any(body.is_required for body in case.operation.body)
    if case.body is None and is_optional:
        return None
    return negative_data_rejection(ctx, response, case)
