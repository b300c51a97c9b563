"""`python -m infra.sandbox --port N`: serve the sandbox on this machine."""

import argparse

import uvicorn

from infra.sandbox.app import Sandbox
from infra.sandbox.cast import PLATFORMS
from infra.sandbox.wire import Limits


def main() -> None:
    """Read the command line and serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m infra.sandbox", description="A stand-in for the platforms' APIs.")
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--seed", type=int, default=7, help="which world (default 7)")
    parser.add_argument(
        "--fakes", type=float, default=1.0, help="multiplies the share of fakes in every audience (default 1)"
    )
    parser.add_argument(
        "--youtube-units", type=int, default=1_000_000, help="quota units a key may spend in a Pacific day"
    )
    parser.add_argument(
        "--shorten", type=float, default=1.0, help="by what factor rate windows are shortened (default 1: not at all)"
    )
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that an answer takes at least (default 0)")
    parser.add_argument(
        "--more", type=_more, action="append", default=[], metavar="PLATFORM=N", help="so many accounts more on it"
    )
    chosen = parser.parse_args()
    limits = Limits(chosen.youtube_units, chosen.shorten, chosen.latency)
    uvicorn.run(
        Sandbox(chosen.seed, chosen.fakes, limits, dict(chosen.more)),
        host="127.0.0.1",
        port=chosen.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        date_header=False,  # the sandbox tells its own clock's date
    )


def _more(text: str) -> tuple[str, int]:
    platform, _, count = text.partition("=")
    if platform not in PLATFORMS or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r}: write PLATFORM=N, with one of {', '.join(PLATFORMS)}")
    return platform, int(count)


if __name__ == "__main__":
    main()
