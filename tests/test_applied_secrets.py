"""Secrets of jobs that are written in files."""

from pathlib import Path

from tests.command_line import done
from tests.daemon import FUTURE, running

TEXT = f"jobs: {{a: {{command: printenv PW, schedule: {FUTURE}, secrets: {{PW: SECRET}}}}}}"


def test_a_secret_is_neither_shown_nor_lost(tmp_path: Path) -> None:
    """K1, K2: a file may have it, or true for the one that is there, as an export has."""
    file = tmp_path / "jobs.yaml"

    def applied(text: str, *words: str, status: int = 0) -> str:
        file.write_text(text)
        return done(daemon.url, "apply", str(file), *words, status=status)

    with running(tmp_path / "kala.db") as daemon:
        applied(TEXT.replace("SECRET", "hunter22"), "--yes")
        for words in ([], ["--json"]):
            said = applied(TEXT.replace("SECRET", "hunter33"), "--dry-run", *words, status=3)
            assert "hunter" not in said
            assert "secrets.PW" in said
        exported = done(daemon.url, "export")
        assert "PW: true" in exported
        assert "hunter" not in exported
        edited = exported.replace("printenv PW", "sh -c 'printenv PW | wc -c'")
        assert "secrets" not in applied(edited, "--yes")
        done(daemon.url, "job", "start", "a")
        assert done(daemon.url, "logs", "-f", "a") == "9\n"
        said = applied(edited.replace("  a:", "  b:"), "--yes", status=2)
        assert "secrets: true keeps a secret, and there is none of that name" in said
