"""`assay land --drain` for a topic of any name that carries posts, so that another bench can time it on its own topic.

    land_from.py TOPIC          with the usual settings in the environment

Everything but the topic's name is the command's own. Marks when start-up is over (`@@ready`) and when all has landed
(`@@done`) on lines of their own.
"""

import sys

from ingest import events
from ingest.land import worker
from ingest.settings import load


def main() -> None:
    """Land what is there."""
    (topic,) = sys.argv[1:]
    events.TOPICS[topic] = events.TOPICS["posts"]
    settings = load()
    print("@@ready", flush=True)
    for row in worker.drain(settings, topics=[topic]):
        print(row)
    print("@@done", flush=True)


if __name__ == "__main__":
    main()
