"""From what somebody types to what it is: a request, a host or a server; and why it is as it is."""

from dataclasses import dataclass

from kilonova.console import board
from kilonova.console.board import Look, Samples
from kilonova.console.client import Client
from kilonova.console.errors import CloudError
from kilonova.console.explain import Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """``kind`` is server, host or request; ``path`` is the page that shows all of it."""

    kind: str
    name: str
    path: str
    explanation: Explanation
    look: Look


def answer(client: Client, question: str, samples: Samples) -> Answer:
    """Why the thing of this name or id is as it is. CloudError where there is none such."""
    if question.startswith("req-"):
        told = board.find_operation(client, question)
        return Answer(
            kind="request",
            name=question,
            path=f"/operations/{question}",
            explanation=told.explanation,
            look=told.look,
        )
    try:
        server_id = board.get_server_id(client, question)
    except CloudError as error:
        if error.status != 404:
            raise
        return _host(client, question, samples)
    story = board.server_story(client, server_id, samples)
    return Answer(
        kind="server",
        name=str(story.server["name"]),
        path=f"/servers/{server_id}",
        explanation=story.explanation,
        look=story.look,
    )


def _host(client: Client, name: str, samples: Samples) -> Answer:
    try:
        story = board.host_story(client, board.checked_id(name), samples)
    except CloudError as error:
        if error.status != 404:
            raise
        raise CloudError(
            f"There is no server, host or request {name!r} that this login may see.", status=404
        ) from error
    return Answer(kind="host", name=name, path=f"/hosts/{name}", explanation=story.explanation, look=story.look)
