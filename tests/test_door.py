"""The way from the web to the scheduler, where one of the two goes."""

from pathlib import Path

import trio
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from kala_trio.core.messages import Start
from kala_trio.door import Door, serve_door
from kala_trio.store.reader import Reader
from kala_trio.web.api import create_app


async def test_a_request_that_lost_its_answer_is_not_said_to_have_changed_nothing(
    tmp_path: Path,
) -> None:
    """Rule C1: a daemon that is killed may have committed it; 503 would have clients repeat it."""
    web, scheduler = memory_stream_pair()
    door = Door(web)
    app = create_app(Reader(tmp_path / "kala.db"), door.ask, default_owner="", output=tmp_path)
    carried_out = []

    async def never_answer(request: object) -> None:
        carried_out.append(request)
        await trio.sleep_forever()

    async def post() -> None:
        response = await app.test_client().post("/api/v1/job/start/a/")
        answers.append((response.status_code, response.headers.get("Retry-After")))

    answers: list[tuple[int, str | None]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.run)
        nursery.start_soon(serve_door, scheduler, never_answer)
        nursery.start_soon(post)
        await wait_all_tasks_blocked()
        assert carried_out == [Start("a")]
        await scheduler.aclose()
        await wait_all_tasks_blocked()
        await post()
        nursery.cancel_scope.cancel()
    assert answers == [(502, None), (503, "1")]
