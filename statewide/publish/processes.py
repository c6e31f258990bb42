"""Processes of the rooms, found through the entry-point group `statewide.processes`: a question in, an answer out.

pygeoapi lists and describes them. Our own route executes them: pygeoapi's would answer every failure as a mistake of
the client, write what the client sent into its log, and call any address that a request names.
"""

from __future__ import annotations

import functools
import json
from importlib.metadata import entry_points
from typing import Any

from pygeoapi.process.base import BaseProcessor
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from statewide.errors import BadArgument, InputError, StatewideError
from statewide.publish.routes import problem


def process_resources() -> dict[str, Any]:
    """The processes as pygeoapi wants them in its configuration."""
    return {
        point.name: {"type": "process", "processor": {"name": point.value.replace(":", ".")}}
        for point in sorted(entry_points(group="statewide.processes"), key=lambda point: point.name)
    }


def process_routes() -> list[Route]:
    """The route that executes them, to be put before pygeoapi's own."""
    return [Route("/processes/{process}/execution", _execute, methods=["POST"])]


async def _execute(request: Request) -> Response:
    processor = _processors().get(request.path_params["process"])
    if processor is None:
        return problem(404, "NoSuchProcess", "There is no process of that name: see /processes.")
    try:
        inputs = _inputs(await request.body(), processor)
        media_type, answer = await run_in_threadpool(processor.execute, inputs)
    except InputError as error:
        return problem(400, "InvalidParameterValue", str(error))
    except StatewideError as error:
        return problem(503, "ServerBusy", str(error))
    body = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    return Response(body, media_type=media_type)


@functools.cache
def _processors() -> dict[str, BaseProcessor]:
    return {
        point.name: point.load()({"name": point.value.replace(":", ".")})
        for point in entry_points(group="statewide.processes")
    }


def _inputs(body: bytes, processor: BaseProcessor) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not isinstance(asked.get("inputs"), dict):
        raise BadArgument('The body is no request to execute: send JSON such as {"inputs": {…}}.')
    if "subscriber" in asked:
        raise BadArgument("subscriber: the answer comes at once, and nobody is called.")
    inputs: dict[str, Any] = asked["inputs"]
    if unknown := sorted(inputs.keys() - processor.metadata["inputs"].keys()):
        raise BadArgument(f"inputs: there is no {unknown[0]!r}; there are {', '.join(processor.metadata['inputs'])}.")
    return inputs
