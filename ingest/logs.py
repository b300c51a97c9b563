"""The log of a service: a line an event, as logfmt or JSON, with the same fields.

Calls are plain `logging`: in `log.info("put done key=%s rows=%d", key, rows)` the words are the event and each
`name=%…` is a field. So a value can never be taken for another field, whatever is in it.
"""

import json
import logging
import re
import time
from typing import Any

from ingest.settings import Settings

SPECIFIER = re.compile(r"(?:(\w+)=)?(%[-+ #0]*\d*(?:\.\d+)?[sdrfx])")
BARE = re.compile(r'[^\s="\\\x00-\x1f]+')
"""A value that logfmt needs no quotes for."""


class LogfmtFormatter(logging.Formatter):
    """`time=… level=… event="put done" key=… rows=…`"""

    def format(self, record: logging.LogRecord) -> str:
        texts = {name: value if isinstance(value, str) else str(value) for name, value in self.fields(record).items()}
        return " ".join(
            f"{name}={text if BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)}"
            for name, text in texts.items()
        )

    def fields(self, record: logging.LogRecord) -> dict[str, Any]:
        """Name and value of everything that the line says."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields: dict[str, Any] = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        if record.name.startswith("assay") and isinstance(record.args, tuple):
            fields["event"] = ""
            given = iter(record.args)

            def take(found: re.Match[str]) -> str:
                name, value = found[1], next(given)
                if name is None:
                    return found[2] % value
                said = found[2] % value
                fields[name] = type(value)(said) if isinstance(value, int | float) else said
                return ""

            fields["event"] = " ".join(SPECIFIER.sub(take, str(record.msg)).split())
        else:
            fields |= {"logger": record.name, "event": record.getMessage()}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


class JsonFormatter(LogfmtFormatter):
    """`{"time": "…", "level": "…", "event": "put done", "key": "…", "rows": …}`"""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(self.fields(record), ensure_ascii=False)


def configure(settings: Settings) -> None:
    """Send the log of this process to stderr in the form of the settings."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else LogfmtFormatter())
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
