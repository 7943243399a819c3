"""Who gets in with a token, and who does not: the file of them, and a daemon that asks for one."""

import http.client
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from kala_trio.cli import main
from kala_trio.core.errors import Refused, Unavailable
from kala_trio.tokens import Role, Tokens
from tests.daemon import FUTURE, PATIENCE, Daemon, refusal, running

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    """Return the tokens of a database that is not there yet."""
    return Tokens(tmp_path / "kala.db")


def test_a_token_is_found_by_its_secret_which_is_kept_nowhere(
    tokens: Tokens, tmp_path: Path
) -> None:
    secret = tokens.new("ada", Role.OPERATE, NOW)
    found = tokens.find(secret)
    assert found
    assert (found.name, found.role, found.created_at) == ("ada", Role.OPERATE, NOW)
    assert tokens.find(secret[:-1]) is tokens.find("") is tokens.find("\udcff") is None
    (file,) = tmp_path.iterdir()
    assert secret not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_others_see_at_once_what_was_made_and_what_was_revoked(
    tokens: Tokens, tmp_path: Path
) -> None:
    other = Tokens(tmp_path / "kala.db")
    assert not other.are_asked_for()
    secret = tokens.new("ada", Role.READ, NOW)
    assert other.find(secret)
    tokens.revoke("ada")
    assert other.find(secret) is None
    assert other.are_asked_for(), "who revokes the last token locks the API"


def test_a_name_that_is_none_or_taken_or_unknown_is_refused(tokens: Tokens) -> None:
    tokens.new("ada", Role.READ, NOW)
    for name in ("ada", "", "a b", "x" * 101, "-a"):
        with pytest.raises(Refused, match="NAME"):
            tokens.new(name, Role.READ, NOW)
    with pytest.raises(Refused, match="for example ada"):
        tokens.revoke("bob")
    assert [each.name for each in tokens.all()] == ["ada"]


def test_tokens_made_at_once_are_all_kept(tmp_path: Path) -> None:
    def make(number: int) -> None:
        Tokens(tmp_path / "kala.db").new(f"t{number}", Role.READ, NOW)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Tokens(tmp_path / "kala.db").all()) == 20


def test_a_file_that_cannot_be_read_lets_nobody_in(tokens: Tokens, tmp_path: Path) -> None:
    (tmp_path / "kala.db-tokens").write_text("[{")
    with pytest.raises(Unavailable, match=r"tokens: .* cannot be read"):
        tokens.find("x")
    with pytest.raises(Unavailable):
        tokens.are_asked_for()


def test_a_role_covers_those_before_it() -> None:
    covered = [(role, other) for role in Role for other in Role if role.covers(other)]
    assert len(covered) == 6
    assert (Role.READ, Role.OPERATE) not in covered


# A daemon that asks for them

READING = [("GET", "/job/"), ("GET", "/stats/"), ("GET", "/run/"), ("GET", "/openapi.json")]
OPERATING = ["/job/start/{}/", "/job/disable/{}/", "/job/enable/{}/"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, dict[Role, str]]]:
    """Run a daemon that asks for tokens, and yield one of each role."""
    db = tmp_path_factory.mktemp("tokens") / "kala.db"
    secrets = {role: Tokens(db).new(role.value, role, NOW) for role in Role}
    with running(db) as daemon:
        yield daemon, secrets


def ask(
    locked: tuple[Daemon, dict[Role, str]],
    role: Role | None,
    method: str,
    path: str,
    body: bytes | None = None,
) -> int:
    """Return the status of what is answered to who has a token of that role, or none."""
    daemon, secrets = locked
    headers = {"Authorization": f"Bearer {secrets[role]}"} if role else {}
    return daemon.request(method, path, body, **headers)[0]


JOB = json.dumps({"name": "a", "command": "true", "schedule": FUTURE}).encode()


def test_without_a_token_nobody_gets_in(locked: tuple[Daemon, dict[Role, str]]) -> None:
    daemon, _ = locked
    for method, path in [*READING, ("POST", "/job/"), ("DELETE", "/job/all/")]:
        status, text = daemon.request(method, path, JOB if method == "POST" else None)
        assert status == 401
        assert json.loads(text)["error"].startswith("Authorization: needs a token")
    for odd in ("Bearer", "Bearer kt_x", "Basic a2FsYTo=", "Bearer \xe4"):
        assert daemon.request("GET", "/job/", Authorization=odd)[0] == 401


def test_each_role_may_what_it_says_and_no_more(locked: tuple[Daemon, dict[Role, str]]) -> None:
    assert ask(locked, Role.ADMIN, "POST", "/job/", JOB) == 201
    jobs = locked[0].request("GET", "/job/", Authorization=f"bearer {locked[1][Role.READ]}")[1]
    job = [*json.loads(jobs)["jobs"]][-1]
    for role in Role:
        for method, path in READING:
            assert ask(locked, role, method, path) == 200
        for path in OPERATING:
            allowed = role is not Role.READ
            assert ask(locked, role, "POST", path.format(job)) == (204 if allowed else 403)
        for method, path in [("POST", "/job/"), ("POST", "/job/bulk/"), ("PUT", f"/job/{job}/")]:
            body = b"[]" if "bulk" in path else JOB
            status = ask(locked, role, method, path, body)
            assert (status == 403) == (role is not Role.ADMIN)
        for path in ("/job/none/", "/job/start/"):
            status = ask(locked, role, "DELETE", path)
            assert status == (404 if role is Role.ADMIN else 403)


def test_a_role_is_held_to_however_the_path_is_written(
    locked: tuple[Daemon, dict[Role, str]],
) -> None:
    daemon, secrets = locked
    bearer = {"Authorization": f"Bearer {secrets[Role.READ]}"}
    for target in ("/api/v1/audit", "/api/v1/%61udit/", "http://localhost/api/v1/audit/"):
        connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
        connection.request("GET", target, headers=bearer)
        assert connection.getresponse().status in (400, 403)
        connection.close()


def test_a_token_that_is_revoked_lets_in_nobody_from_then_on(tmp_path: Path) -> None:
    db = tmp_path / "kala.db"
    secret = Tokens(db).new("ada", Role.ADMIN, NOW)
    with running(db) as daemon:
        bearer = f"Bearer {secret}"
        assert daemon.request("GET", "/job/", Authorization=bearer)[0] == 200
        Tokens(db).revoke("ada")
        assert daemon.request("GET", "/job/", Authorization=bearer)[0] == 401


def test_an_address_that_others_reach_needs_a_token_or_a_word(tmp_path: Path) -> None:
    sentence = refusal(tmp_path / "kala.db", "--host=0.0.0.0")
    assert "--host: whoever reaches 0.0.0.0 could run commands as you" in sentence
    assert "--insecure" in sentence
    with running(tmp_path / "kala.db", "--host=0.0.0.0", "--insecure") as daemon:
        assert daemon.get("/job/") == {"jobs": {}}
    Tokens(tmp_path / "kala.db").new("ada", Role.READ, NOW)
    with running(tmp_path / "kala.db", "--host=0.0.0.0") as daemon:
        assert daemon.request("GET", "/job/")[0] == 401


def test_a_token_is_made_shown_and_revoked_by_command_and_used_by_the_others(
    tmp_path: Path,
) -> None:
    db, where = tmp_path / "kala.db", f"--db={tmp_path / 'kala.db'}"
    shell = CliRunner()
    secret = shell.invoke(main, ["token", "new", "ada", "--role=read", where]).output.strip()
    shown = shell.invoke(main, ["token", "list", where]).output
    assert shown.startswith("ada  read  ")
    assert secret not in shown
    with running(db) as daemon:
        listing = ["job", "list", f"--api={daemon.url}"]
        assert shell.invoke(main, listing).exit_code == 2
        assert shell.invoke(main, listing, env={"KALA_TRIO_TOKEN": secret}).exit_code == 0
        assert shell.invoke(main, ["token", "revoke", "ada", where]).exit_code == 0
        again = shell.invoke(main, listing, env={"KALA_TRIO_TOKEN": secret})
        assert (again.exit_code, "needs a token" in again.output) == (2, True)
    assert shell.invoke(main, ["token", "revoke", "ada", where]).exit_code == 2


def visit(
    daemon: Daemon, method: str, path: str, cookie: str = "", body: bytes | None = None
) -> tuple[int, dict[str, str], str]:
    """Ask for a page as a browser does; follow nothing."""
    connection = HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE)
    headers = {"Origin": daemon.url, "Content-Type": "application/x-www-form-urlencoded"}
    headers |= {"Cookie": cookie} if cookie else {}
    with closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read().decode()


def test_a_browser_signs_in_with_a_token_which_no_script_can_read(
    locked: tuple[Daemon, dict[Role, str]],
) -> None:
    daemon, secrets = locked
    status, headers, _ = visit(daemon, "GET", "/webui/jobs/")
    assert (status, headers["location"]) == (303, "/webui/sign-in/")
    status, _, page = visit(daemon, "GET", "/webui/sign-in/")
    assert (status, "Token" in page) == (200, True)
    form = f"token={secrets[Role.READ]}".encode()
    status, headers, _ = visit(daemon, "POST", "/webui/sign-in/", body=form)
    assert (status, headers["location"]) == (303, "/webui/")
    cookie, *flags = headers["set-cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*flags}
    assert visit(daemon, "GET", "/webui/jobs/", cookie)[0] == 200
    assert visit(daemon, "GET", "/api/v1/job/", cookie)[0] == 200
    status, headers, _ = visit(daemon, "POST", "/webui/sign-out/", cookie)
    assert "Max-Age=0" in headers["set-cookie"]


def test_who_brings_an_unknown_token_is_told_so(locked: tuple[Daemon, dict[Role, str]]) -> None:
    daemon, _ = locked
    status, headers, _ = visit(daemon, "GET", "/webui/", "kala_trio_token=kt_x")
    assert (status, headers["location"]) == (303, "/webui/sign-in/?unknown=true")
    _, _, page = visit(daemon, "GET", "/webui/sign-in/?unknown=true", "kala_trio_token=kt_x")
    assert "not known here" in page
    assert visit(daemon, "POST", "/webui/sign-in/", body=b"token=a%0d%0ab")[0] == 400
    assert visit(daemon, "GET", "/webui/events/", "kala_trio_token=kt_x")[0] == 401


def test_a_role_holds_on_pages_as_it_does_in_the_api(
    locked: tuple[Daemon, dict[Role, str]],
) -> None:
    daemon, secrets = locked
    body = JOB
    status, text = daemon.request(
        "POST", "/job/", body, Authorization=f"Bearer {secrets[Role.ADMIN]}"
    )
    job = json.loads(text)["id"]
    for role in Role:
        cookie = f"kala_trio_token={secrets[role]}"
        allowed = {
            "/webui/preview/": True,
            f"/webui/job/{job}/enable/": role is not Role.READ,
            "/webui/new/": role is Role.ADMIN,
            f"/webui/job/{job}/edit/": role is Role.ADMIN,
            f"/webui/job/{job}/delete/enable/": role is Role.ADMIN,
        }
        for path, may in allowed.items():
            status, _, _ = visit(daemon, "POST", path, cookie, b"name=")
            assert (status == 403) != may, (role, path, status)


def test_who_did_what_is_on_record_and_only_what_was_done(tmp_path: Path) -> None:
    """Rule M8."""
    db = tmp_path / "kala.db"
    ada, bob = (Tokens(db).new(name, Role.ADMIN, NOW) for name in ("ada", "bob"))
    eve = Tokens(db).new("eve", Role.OPERATE, NOW)
    with running(db) as daemon:

        def done(secret: str, method: str, path: str, body: bytes | None = None) -> str:
            return daemon.request(method, path, body, Authorization=f"Bearer {secret}")[1]

        job = json.loads(done(ada, "POST", "/job/", JOB))["id"]
        (other,) = json.loads(done(bob, "POST", "/job/bulk/", b"[" + JOB + b"]"))["ids"]
        done(bob, "POST", f"/job/start/{job}/")
        done(ada, "PATCH", f"/job/{job}/", b'{"retries": 1}')
        done(eve, "DELETE", f"/job/{job}/")  # who may not
        done(eve, "POST", f"/job/disable/{other}/")
        done(ada, "POST", "/job/start/none/")  # which is not there
        done(ada, "DELETE", f"/job/{other}/")
        assert daemon.request("GET", "/audit/", Authorization=f"Bearer {eve}")[0] == 403
        page = json.loads(done(ada, "GET", "/audit/?limit=4"))
        rest = json.loads(done(ada, "GET", f"/audit/?limit=4&cursor={page['next']}"))
        of_job = json.loads(done(ada, "GET", f"/audit/?subject={job}&who=ada"))
    deeds = [(each["who"], each["what"], each["subject"]) for each in page["deeds"] + rest["deeds"]]
    assert deeds[::-1] == [
        ("ada", "create", job),
        ("bob", "create", other),
        ("bob", "start", job),
        ("ada", "edit", job),
        ("eve", "disable", other),
        ("ada", "delete", other),
    ]
    assert rest["next"] is None
    assert [each["what"] for each in of_job["deeds"]] == ["edit", "create"]
