"""What creators grant: ask for it, list it, give it back."""

from typing import Annotated

import typer

from ingest.commands.terminal import AsJson, Now, moment, print_rows, say
from ingest.settings import load

commands = typer.Typer()
grants = typer.Typer(help="What creators granted: list it, give it back.")


@commands.command()
def connect(
    platform: str,
    *,
    account: Annotated[str | None, typer.Option(help="Id of the account that must be the one granted.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on at 127.0.0.1; 0: a free one.")] = 0,
    redirect: Annotated[str, typer.Option(help="Https address registered with the app; the answer is pasted.")] = "",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the browser.")] = 300,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser on this machine.")] = False,
    now: Now = None,
    as_json: AsJson = False,
) -> None:
    """Have a creator grant access to their account: prints the address to consent at, keeps what comes of it."""
    import webbrowser

    from ingest.collect.connect import Way, grant

    browse = webbrowser.open if open_browser else None
    way = Way(port=port, redirect=redirect, seconds=timeout, browse=browse)
    print_rows([grant(load(), platform, now=moment(now), way=way, account=account, say=say).row()], as_json)


@grants.callback(invoke_without_command=True)
def grants_list(context: typer.Context, as_json: AsJson = False) -> None:
    """What creators granted: accounts, scopes, since when, until when. Never a token."""
    from ingest.collect.grants import Grants

    if context.invoked_subcommand is None:
        print_rows([grant.row() for grant in Grants(load()).all()], as_json)


@grants.command("revoke")
def grants_revoke(platform: str, account: str, now: Now = None, as_json: AsJson = False) -> None:
    """Give a grant back, at the platform where it takes it and then here, and forget its tokens."""
    from ingest.collect.connect import revoke

    found, told = revoke(load(), platform, account, now=moment(now), say=say)
    if not told:
        say(f"{platform} was not told: the creator can end the consent in the account's settings there")
    print_rows([found.row()], as_json)
