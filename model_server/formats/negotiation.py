"""Which format a request is read in, by ``Content-Type``, and answered in, by ``Accept``.

Both headers are parsed, with their parameters. Which outputs it gets is told by ``?return=``, where
its format has no place for that.
"""

import functools
from urllib.parse import parse_qs

import mimeparse

from model_server.errors import NotAcceptable, UnsupportedMedia
from model_server.formats import media_types
from model_server.formats.codec import Reader, Writer
from model_server.formats.csv import CSVReader, CSVWriter
from model_server.formats.json import JSONReader, JSONWriter
from model_server.formats.json_lines import JSONLinesReader, JSONLinesWriter
from model_server.formats.mlflow_json import MLflowReader

_DEFAULT = media_types.JSON

READERS: dict[str, Reader] = {
    media_types.JSON: JSONReader(),
    media_types.CSV: CSVReader(),
    media_types.JSON_LINES: JSONLinesReader(),
}

MLFLOW_READERS: dict[str, Reader] = {**READERS, media_types.JSON: MLflowReader()}
"""Where JSON may be MLflow's."""

WRITERS: dict[str, Writer] = {
    writer.media_type: writer for writer in (JSONWriter(), CSVWriter(), JSONLinesWriter())
}


@functools.lru_cache(maxsize=128)
def returned(query: bytes) -> tuple[str, ...]:
    """Return the outputs that a query asks for: ``return=prediction,probability``, once or more."""
    values = parse_qs(query.decode("latin-1")).get("return", [])
    return tuple(name for value in values for name in value.split(",") if name)


@functools.lru_cache(maxsize=128)
def reader(content_type: str | None, *, mlflow: bool = False) -> Reader:
    """Return what reads bodies of a ``Content-Type``; JSON where there is none.

    Parameters
    ----------
    content_type : str or None
    mlflow : bool
        Whether JSON may be MLflow's.

    Raises
    ------
    UnsupportedMedia
        If nothing does, or its charset is not UTF-8.
    """
    readers = MLFLOW_READERS if mlflow else READERS
    found = readers.get(_media_type(content_type))
    if found is None:
        raise UnsupportedMedia(
            f"can't read Content-Type {content_type!r:.80}; send {' or '.join(READERS)}"
        )
    return found


@functools.lru_cache(maxsize=128)
def check_json(content_type: str | None) -> None:
    """See that a body is JSON, if anything is said of it.

    Raises
    ------
    UnsupportedMedia
    """
    if _media_type(content_type) != media_types.JSON:
        raise UnsupportedMedia(
            f"can't read Content-Type {content_type!r:.80}; send {media_types.JSON}, or tensors in "
            "binary with the header Inference-Header-Content-Length"
        )


def _media_type(content_type: str | None) -> str:
    """Return a media type; JSON where there is none, and for what curl sends of itself."""
    if content_type is None:
        return _DEFAULT
    try:
        kind, subtype, parameters = mimeparse.parse_mime_type(content_type)
    except mimeparse.MimeTypeParseException:
        return ""
    charset = parameters.get("charset", "utf-8").strip("'").lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise UnsupportedMedia(f"can't read charset {charset[:40]!r}; send UTF-8")
    found = f"{kind}/{subtype}".lower()
    return _DEFAULT if found == media_types.FORM else found


@functools.lru_cache(maxsize=128)
def writer(accept: str | None) -> Writer:
    """Return what writes the format that an ``Accept`` header likes best; JSON where all are alike.

    Raises
    ------
    NotAcceptable
        If it takes none of them.
    """
    try:
        best = mimeparse.best_match(reversed(WRITERS), accept or "*/*")
    except mimeparse.MimeTypeParseException:
        best = ""
    if not best:
        raise NotAcceptable(f"can't write Accept {accept!r:.80}; take {' or '.join(WRITERS)}")
    return WRITERS[best]
