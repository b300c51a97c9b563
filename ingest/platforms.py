"""The names of the platforms that assay collects from, which are the names of their files.

The registry itself would bring HTTP, Arrow and the object store's client along: too much for every parse of a DAG, and
for whoever only needs the names. A test holds the two together.
"""

from pathlib import Path

PLATFORMS = tuple(sorted(file.stem for file in (Path(__file__).parent / "collect" / "platforms").glob("[!_]*.py")))
