"""The commands of the service: run it, copy its database, measure it."""

import os
from pathlib import Path
from typing import Any

import click

from kala_trio import daemon
from kala_trio.cli.progress import progress
from kala_trio.cli.status import exit_status
from kala_trio.logs import logged
from kala_trio.settings import default_db, load_settings
from kala_trio.store.backup import back_up

_db_option = click.option(
    "--db", type=click.Path(path_type=Path), help=f"Database.  [default: {default_db()}]"
)
_config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="TOML file of settings, such as port = 8001.",
)


@click.command()
@click.option("-p", "--port", help="Port to listen on; 0 takes a free one.  [default: 8000]")
@click.option(
    "--host",
    help="Address to listen on. Whoever reaches it may run commands as you.  [default: 127.0.0.1]",
)
@click.option(
    "--insecure",
    is_flag=True,
    default=None,
    help="Let in whoever reaches --host, without a token.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    help="Socket in the file system to listen on, in place of --host and --port.",
)
@click.option(
    "--socket-mode", metavar="MODE", help="Who may use --socket, as for chmod.  [default: 0600]"
)
@click.option(
    "--served-as",
    metavar="NAME,...",
    help="Names by which browsers reach it, beside addresses and this machine's own.",
)
@click.option(
    "--tls-cert",
    type=click.Path(path_type=Path),
    help="Serve over TLS, with this certificate and its chain in PEM.",
)
@click.option(
    "--tls-key",
    type=click.Path(path_type=Path),
    help="Its private key, in PEM. At SIGHUP both are loaded anew.",
)
@_db_option
@click.option("--default-owner", metavar="NAME", help="Owner of jobs that name none.")
@click.option(
    "--grace",
    metavar="DURATION",
    help="How long attempts may go on when the daemon stops.  [default: PT10S]",
)
@click.option(
    "--keep-days",
    metavar="DAYS",
    help="How long the history keeps a run, save a job's latest ten.  [default: 90]",
)
@click.option(
    "--keep-runs",
    metavar="COUNT",
    help="How many runs of a job the history keeps, at least 10.  [default: 1000]",
)
@click.option(
    "--max-running",
    metavar="COUNT",
    help="How many runs there may be at once; 0 for any number.  [default: 0]",
)
@click.option(
    "--max-running-by-tag",
    metavar="TAG=COUNT,...",
    help="How many runs there may be at once of the jobs with a tag.",
)
@click.option(
    "--max-jobs",
    metavar="COUNT",
    help="How many jobs there may be; 0 for any number.  [default: 200000]",
)
@click.option(
    "--min-interval",
    metavar="DURATION",
    help="How often a schedule may repeat for long.  [default: PT0.1S]",
)
@click.option(
    "--keep-output",
    metavar="MIB",
    help="How much of outputs is kept in all; 0 for all of it.  [default: 10240]",
)
@click.option(
    "--max-connections",
    metavar="COUNT",
    help="How many connections may be open.  [default: 2000]",
)
@click.option(
    "--max-connections-of-one",
    metavar="COUNT",
    help="How many from one address, other than this machine's.  [default: 200]",
)
@click.option(
    "--max-rate",
    metavar="COUNT",
    help="How many requests a second from one client elsewhere; 0 for any number.  [default: 200]",
)
@click.option(
    "--max-rate-in-all",
    metavar="COUNT",
    help="How many requests a second from all clients; 0 for any number.  [default: 0]",
)
@click.option(
    "--smtp",
    metavar="URL",
    help="Mail server for notify_email: smtp://[USER@]HOST[:PORT], or smtps for TLS at once.",
)
@click.option("--smtp-from", metavar="ADDRESS", help="Whom e-mail is from.")
@click.option(
    "--smtp-password-file", type=click.Path(path_type=Path), help="File with USER's password."
)
@click.option("--heartbeat-url", metavar="URL", help="Pinged as long as the daemon is well.")
@click.option("--heartbeat-every", metavar="DURATION", help="How often.  [default: PT1M]")
@click.option(
    "--allow-targets",
    metavar="NETWORK,...",
    help="Addresses that requests may go to.  [default: any but --deny-targets]",
)
@click.option(
    "--deny-targets",
    metavar="NETWORK,...",
    help="Addresses that no request goes to.  [default: link-local ones]",
)
@click.option("-v", "--verbose", is_flag=True, default=None, help="Log each attempt.")
@click.option("--log-format", metavar="FORMAT", help="text, or json.  [default: text]")
@_config_option
def run(**flags: object) -> None:
    """Run the service until SIGTERM or SIGINT.

    Each setting may also stand in the file, or in the environment as KALA_TRIO_PORT and so on. A
    flag beats the environment, and the environment the file.

    Exit status: 0 after a clean stop, 1 if the address or the database can't be had, 2 for a bad
    setting, 70 for a bug.
    """
    with exit_status():
        settings = load_settings(flags, os.environ)
        # The last words go the same way as the others.
        with logged(settings.log_format, verbose=settings.verbose) as log, exit_status():
            daemon.run(settings, log)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@_db_option
@_config_option
def backup(file: Path, **flags: object) -> None:
    """Copy the database to FILE, whether the service runs or not.

    The copy holds all that was acknowledged before, but no outputs of runs. To restore it, stop the
    service, move the database with its -wal and -shm away, put the copy in its place, and start the
    service again.

    Exit status: 0 if the copy is on the disk, 1 if it can't be made, 2 if FILE is there already or
    there is no database, 70 for a bug.
    """
    with exit_status(), progress("copied") as tell:
        back_up(load_settings(flags, os.environ).db, file.absolute(), tell)


@click.command()
@click.argument("sections", nargs=-1, metavar="[SECTION]...")
@click.option("--quick", "extent", flag_value="quick", help="Take less than two minutes.")
@click.option("--full", "extent", flag_value="full", help="Also 100,000 jobs and a million runs.")
@click.option("--tiny", "extent", flag_value="tiny", hidden=True, help="See that it works.")
@click.option("--rounds", type=click.IntRange(min=1), help="Measure so many times.  [default: 3]")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all figures.")
@click.option("--svg", "svg_file", type=click.Path(path_type=Path), help="Draw lateness by load.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the databases lie meanwhile, on the disk to measure.  [default: that of TMPDIR]",
)
def bench(sections: tuple[str, ...], extent: str | None, rounds: int | None, **where: Any) -> None:
    """Measure what this machine allows, and how near kala-trio comes to it.

    SECTIONs: lateness, throughput, creates, reads, size, isolation, scale; all of them if none is
    given. Daemons of its own are measured, on databases that are removed at the end.

    Exit status: 0 after all was measured, whatever the figures, 1 if something could not be, 2 for
    an unknown section, 70 for a bug.
    """
    # Only here: the service needs none of it.
    from kala_trio.bench import place, suite  # noqa: PLC0415

    with exit_status():
        suite.run(sections, place.extent(extent, rounds), **where)
