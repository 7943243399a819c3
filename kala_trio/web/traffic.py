"""How many requests were answered, by route and status, and how long that took."""

from collections import Counter

import trio
from hypercorn.typing import ASGISendCallable, ASGISendEvent, ConnectionState, HTTPScope

from kala_trio.vitals import DURATIONS, Histogram

NO_ROUTE = "none"
"""The route of what was refused before it came to one, and of what there is not."""

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Traffic:
    """Counts answers: ``answers`` by method, route and status, ``durations`` by route.

    Paths and methods of the client's own making are counted as one, so the number of series is
    bounded by the number of routes.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self.answers: Counter[tuple[str, str, int]] = Counter()
        self.durations: dict[str, Histogram] = {}

    def noting(self, scope: HTTPScope, send: ASGISendCallable) -> ASGISendCallable:
        """Return what sends the answer to a request, and counts it when it begins."""
        began = trio.current_time()
        state = scope["state"] = ConnectionState({})
        method = scope["method"] if scope["method"] in _METHODS else "other"

        async def send_noting(message: ASGISendEvent) -> None:
            if message["type"] == "http.response.start":
                route = str(state.get("route", NO_ROUTE))
                self.answers[method, route, message["status"]] += 1
                duration = self.durations.get(route)
                if duration is None:
                    duration = self.durations[route] = Histogram.of(DURATIONS)
                duration.observe(trio.current_time() - began)
            await send(message)

        return send_noting
