"""Write the contracts' files: `python -m ingest.contracts`."""

from ingest.contracts import FOLDER, documents

for name, text in documents().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"wrote {name}")
