"""The page on which a browser gets its token, if one is needed; ``web.admission`` judges it."""

import re

from quart import Blueprint, Response, request

from kala_trio.core.errors import Refused
from kala_trio.web.admission import COOKIE
from kala_trio.web.pages.frame import Site, fields_of_form, go_to

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,200}")
_LASTS = 30 * 86_400  # seconds


def add_sign_in(pages: Blueprint, site: Site) -> None:
    """Add the routes to ``pages``."""

    @pages.get("/webui/sign-in/")
    async def get_sign_in() -> Response:
        is_unknown = "unknown" in request.args
        has_token = COOKIE in request.cookies
        return await site.page(
            "sign_in.html", lambda _: {"is_unknown": is_unknown, "has_token": has_token}
        )

    @pages.post("/webui/sign-in/")
    async def sign_in() -> Response:
        (token,) = (await fields_of_form()).get("token", [""])[:1]
        if not _TOKEN.fullmatch(token.strip()):
            problem = "must be what kala-trio token new has printed"
            raise Refused("token", problem, found="something else", example="kt_ and 43 letters")
        return _with_cookie(go_to("/webui/"), token.strip(), _LASTS)

    @pages.post("/webui/sign-out/")
    async def sign_out() -> Response:
        return _with_cookie(go_to("/webui/sign-in/"), "", 0)


def _with_cookie(response: Response, token: str, lasts: int) -> Response:
    """Let a browser keep a token, of which no script of a page can know, nor any other site."""
    response.set_cookie(
        COOKIE, token, max_age=lasts, httponly=True, samesite="Strict", secure=request.is_secure
    )
    return response
