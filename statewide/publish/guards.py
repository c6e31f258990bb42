"""What stands between the street and everything else: sizes, methods, closed doors, and headers on every answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from statewide.publish.routes import problem

MAX_BODY = 64 * 1024
MAX_URL = 16 * 1024

_CLOSED = ("/admin", "/jobs", "/stac-api", "/asyncapi")
"""pygeoapi's own routes that we do not offer: they list other people's jobs or the server's files."""

_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'"
)
"""No script that stands in a page runs: pygeoapi makes links out of delivered values, and one could be a script."""


class Guards:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on with a body that is already read and a door for the answer's headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path: str = scope["path"]
        sender = _with_headers(send)
        if len(scope.get("raw_path") or path) + len(scope.get("query_string", b"")) > MAX_URL:
            await problem(414, "InvalidParameterValue", f"The address is longer than {MAX_URL} bytes.")(
                scope, receive, sender
            )
        elif any(path == door or path.startswith(f"{door}/") for door in _CLOSED):
            await problem(404, "NotFound", "There is nothing here.")(scope, receive, sender)
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS", "POST"):
            await problem(405, "NotAllowed", "Nothing is written here: data comes in by a town's delivery.")(
                scope, receive, sender
            )
        else:
            body = await _read(receive)
            if body is None:
                await problem(413, "InvalidParameterValue", f"The body is larger than {MAX_BODY} bytes.")(
                    scope, receive, sender
                )
            else:
                await self.app(scope, _replay(body, receive), sender)


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None if it is too large."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        chunk: bytes = message.get("body", b"")
        body += chunk
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _with_headers(send: Send) -> Send:
    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            headers.add_vary_header("Accept")
            if headers.get("content-type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = _PAGE_POLICY
            if message["status"] >= 400:
                headers["Cache-Control"] = "no-store"
            if message["status"] == 503:
                headers["Retry-After"] = "5"
        await send(message)

    return sender
