"""The commands for tokens: they change a file, which the service looks at with each request."""

import os
from pathlib import Path

import click

from kala_trio.cli.status import exit_status
from kala_trio.clock import WallClock
from kala_trio.settings import default_db, load_settings
from kala_trio.tokens import Role, Tokens

_db_option = click.option(
    "--db", type=click.Path(path_type=Path), help=f"Of which database.  [default: {default_db()}]"
)


def _tokens(db: Path | None) -> Tokens:
    return Tokens(load_settings({"db": db}, os.environ).db)


@click.group()
def token() -> None:
    """Say who may ask the service: as soon as there is a token, a request needs one."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.ADMIN.value,
    help="read: look; operate: also start, enable, disable, cancel; admin: all.  [default: admin]",
)
@_db_option
def new(name: str, role: str, db: Path | None) -> None:
    """Make a token for NAME, and print its secret, which is kept nowhere."""
    with exit_status():
        click.echo(_tokens(db).new(name, Role(role), WallClock().now()))


@token.command("list")
@_db_option
def list_all(db: Path | None) -> None:
    """Print names, roles and when they were made."""
    with exit_status():
        for each in _tokens(db).all():
            click.echo(f"{each.name}  {each.role}  {each.created_at:%Y-%m-%dT%H:%M:%SZ}")


@token.command()
@click.argument("name")
@_db_option
def revoke(name: str, db: Path | None) -> None:
    """Let NAME's token allow nothing any more, from the next request on."""
    with exit_status():
        _tokens(db).revoke(name)
