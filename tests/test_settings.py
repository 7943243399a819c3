"""Settings: where each comes from, and how a wrong one is told."""

from pathlib import Path

import pytest

from kala_trio.core.errors import Refused
from kala_trio.settings import Settings, load_settings


def config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "kala.toml"
    path.write_text(text)
    return path


def test_flags_beat_variables_and_variables_the_file_and_the_file_defaults(tmp_path: Path) -> None:
    file = config(tmp_path, 'port = 1\nhost = "::1"\ndefault_owner = "file"\ngrace = "PT1M"')
    found = load_settings(
        {"config": file, "port": "3", "host": None},
        {"KALA_TRIO_PORT": "2", "KALA_TRIO_DEFAULT_OWNER": "variable", "PORT": "9"},
    )
    assert (found.port, found.default_owner, found.host, found.grace) == (3, "variable", "::1", 60)
    assert found.db == Settings().db
    assert load_settings({}, {"KALA_TRIO_CONFIG": str(file)}).port == 1


def test_the_bounds_of_the_history_are_whole_numbers_from_anywhere(tmp_path: Path) -> None:
    found = load_settings(
        {"config": config(tmp_path, "keep_days = 7")}, {"KALA_TRIO_KEEP_RUNS": "10"}
    )
    assert (found.keep_days, found.keep_runs) == (7, 10)


def test_a_database_is_one_by_whatever_name(tmp_path: Path) -> None:
    """Its outputs lie beside it, not beside a link to it."""
    (tmp_path / "link.db").symlink_to(tmp_path / "kala.db")
    assert load_settings({"db": tmp_path / "link.db"}, {}).db == tmp_path.resolve() / "kala.db"


def test_a_certificate_is_looked_for_where_its_link_leads_each_time(tmp_path: Path) -> None:
    """Who renews it lets the link lead elsewhere."""
    (tmp_path / "cert.pem").symlink_to(tmp_path / "cert1.pem")
    assert load_settings({"tls_cert": tmp_path / "cert.pem"}, {}).tls_cert == tmp_path / "cert.pem"


def test_names_and_permissions_are_read_from_texts(tmp_path: Path) -> None:
    file = config(tmp_path, 'socket = "a.sock"\nsocket_mode = "660"\nserved_as = "Kala.example, b"')
    found = load_settings({"config": file}, {})
    assert found.socket == Path("a.sock").absolute()
    assert (found.socket_mode, found.served_as) == (0o660, ("kala.example", "b"))


def test_the_variables_of_a_run_are_no_settings() -> None:
    """A daemon may be a job of another one."""
    assert load_settings({}, {"KALA_TRIO_RUN_ID": "a.1", "KALA_TRIO_JOB_NAME": "b"}) == Settings()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("prot = 1", "prot in "),
        ("port = true", "port in "),
        ("port = 65536", "port in "),
        ("port = -1", "port in "),
        (f'port = "{"9" * 5000}"', "port in "),
        ("port = " + "9" * 5000, "config"),
        ("grace = 5", "grace in "),
        ('grace = "P1D"', "grace in "),
        ('host = ""', "host in "),
        ('db = ""', "db in "),
        ('verbose = "maybe"', "verbose in "),
        ('log_format = "xml"', "log_format in "),
        ("port = ", "config"),
        ("x = " + "[" * 3000, "config"),
        ("keep_days = 0", "keep_days in "),
        ("keep_days = 1.5", "keep_days in "),
        ("keep_days = true", "keep_days in "),
        ("keep_runs = 9", "keep_runs in "),
        ('keep_runs = "many"', "keep_runs in "),
        ("socket_mode = 0o660", "socket_mode in "),
        ('socket_mode = "0888"', "socket_mode in "),
        ('socket_mode = "4755"', "socket_mode in "),
        ('served_as = "kala.example:8000"', "served_as in "),
        ('served_as = "*"', "served_as in "),
        ('tls_key = ""', "tls_key in "),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name_with_one_that_works(
    tmp_path: Path, text: str, field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        load_settings({"config": config(tmp_path, text)}, {})
    assert refusal.value.field.startswith(field)
    assert "; for example " in str(refusal.value)
