"""Quart, without what costs most of a request and is seldom wanted here."""

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
)
from quart import Request
from quart.utils import encode_headers
from quart.wrappers.response import DataBody, Response
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response as WerkzeugResponse

# A body that takes longer to arrive, in seconds, is awaited while its request is looked at.
_AT_ONCE = 0.1


class _Connection(TrioASGIHTTPConnection):
    """A request: if all of it comes at once it is simply answered, without a nursery for it.

    Nobody listens then whether the client goes away, unless the answer is one that goes on.
    """

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)
        arrived: list[ASGIReceiveEvent] = []
        with trio.move_on_after(_AT_ONCE) as at_once:
            is_there = await _receive_body(request, receive, arrived)
        if at_once.cancelled_caught:
            await self._answer_meanwhile(request, _after(arrived, receive), send)
        elif is_there:
            await self._answer(request, receive, send)

    async def _answer_meanwhile(
        self, request: Request, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Go on receiving while the request is looked at, as the ordinary class does."""

        async def send_whole(message: ASGISendEvent) -> None:
            # This task is cancelled once the last part is on its way, which would keep Hypercorn
            # from closing the connection, or from timing it out.
            with trio.CancelScope(shield=True):
                await send(message)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.handle_messages, nursery, request, receive)
            nursery.start_soon(self.handle_request, nursery, request, send_whole)

    async def _answer(
        self, request: Request, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer a request that is all there: with all of the body at a time, if that is, too."""
        response = await self.app.handle_request(request)
        body = response.response
        if not isinstance(body, DataBody):
            await self._stream(request, receive, send, response)
            return
        headers = encode_headers(response.headers)
        status = response.status_code
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body.data, "more_body": False})

    async def _stream(
        self,
        request: Request,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
        response: Response | WerkzeugResponse,
    ) -> None:
        """Send a body that comes bit by bit, to its end or until the client goes away."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.handle_messages, nursery, request, receive)
            await self._send_response(send, response)
            nursery.cancel_scope.cancel()


async def _receive_body(
    request: Request, receive: ASGIReceiveCallable, arrived: list[ASGIReceiveEvent]
) -> bool:
    """Return once all of it has arrived, also in parts; False if the client has gone away before.

    How a body takes part after part differs between releases of Quart; all take it as a whole.
    """
    parts = []
    while (message := await receive())["type"] == "http.request":
        arrived.append(message)
        parts.append(message["body"])
        if not message["more_body"]:
            request.body.set_result(b"".join(parts))
            return True
    return False


def _after(arrived: list[ASGIReceiveEvent], receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
    """Return what receives anew what has arrived, and then the rest."""
    messages = iter(arrived)

    async def receive_on() -> ASGIReceiveEvent:
        return next(messages, None) or await receive()

    return receive_on


class _Id(BaseConverter):
    """A part of a path that is an id: one of no path by its own name, whose methods are others."""

    regex = "(?!(?:all|bulk)$)[^/]+"
    part_isolating = True


class Application(QuartTrio):
    """What the routes are added to; the scope of a request is told its ``route``."""

    asgi_http_class = _Connection

    def __init__(self, name: str) -> None:
        """Begin without any route."""
        super().__init__(name, static_folder=None)
        self.url_map.converters["default"] = _Id

    async def handle_request(self, request: Request) -> Response | WerkzeugResponse:
        """Answer a request, and tell by what route it was found."""
        response = await super().handle_request(request)
        if request.url_rule is not None and "state" in request.scope:
            request.scope["state"]["route"] = request.url_rule.rule
        return response
