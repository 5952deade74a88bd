"""How everything is answered: entity tags, unchanged answers, JSON, and the headers that keep pages safe.

Not here: what the answers say.
"""

import json
import math
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ar_core.candidate import sha256

JSON = "application/json"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
# A picture opened by itself is a document with its own style inside; it may load nothing and run nothing.
PICTURE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; "
    "sandbox"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def answer(request: Request, body: bytes, media_type: str, status: int = 200, *, cache: str = "no-cache") -> Response:
    """Return ``body`` with its entity tag, or 304 where the asker has it already (RFC 9110, 13.1.2)."""
    if status != 200:
        return Response(body, status, {"Cache-Control": "no-store"}, media_type)
    tag = f'"{sha256(body)[:32]}"'
    headers = {"ETag": tag, "Cache-Control": cache}
    known = {part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, media_type)


def json_answer(request: Request, document: object, status: int = 200) -> Response:
    """Return one JSON document on one line; ASCII only, so that no text in it can disturb a terminal."""
    try:
        text = json.dumps(document, ensure_ascii=True, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(document), ensure_ascii=True, allow_nan=False)
    return answer(request, text.encode() + b"\n", JSON, status)


class SecurityHeaders:
    """Adds the headers that keep pages safe to every answer that does not bring its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with the headers added."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _finite(value: Any) -> Any:
    """Return ``value`` with ``None`` for numbers that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value
