"""The command that has a shell complete the others."""

import click
from click.shell_completion import get_completion_class

_PROGRAM = "kala-trio"
_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), metavar="SHELL")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and the names of jobs.

    For bash, in ~/.bashrc: eval "$(kala-trio completion bash)"; for zsh the same in ~/.zshrc, for
    fish: kala-trio completion fish > ~/.config/fish/completions/kala-trio.fish
    """
    made = get_completion_class(shell)
    assert made  # noqa: S101 - click has these three
    variable = f"_{_PROGRAM.replace('-', '_').upper()}_COMPLETE"
    click.echo(made(context.find_root().command, {}, _PROGRAM, variable).source())
