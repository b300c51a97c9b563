"""Write the contracts' files: `python -m ingest.contracts`; with `--publish` also freeze what changed as a revision."""

import argparse
import sys

from ingest.contracts import FOLDER, documents
from ingest.contracts.revisions import publish
from ingest.errors import Misconfigured

parser = argparse.ArgumentParser(prog="python -m ingest.contracts", description=__doc__)
parser.add_argument("--publish", action="store_true", help="freeze each contract that changed, for ever")
arguments = parser.parse_args()

for name, text in documents().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {name}")
if arguments.publish:
    try:
        for revision in publish():
            print(f"published {revision}")
    except Misconfigured as refused:
        print(refused, file=sys.stderr)
        sys.exit(refused.exit_code)
