"""Rows under one another, however wide: what is read by eye and also piped on."""

from collections.abc import Iterator, Mapping, Sequence


def aligned(rows: Sequence[tuple[Mapping[str, object], str]]) -> Iterator[str]:
    """A heading and the rows, each column as wide as it must be; a row's note on its own line."""
    if not rows:
        return
    heading = {name: name for name in rows[0][0]}
    table = [[str("·" if cell is None else cell) for cell in row.values()] for row, _ in rows]
    widths = [max(map(len, column)) for column in zip(heading, *table, strict=True)]
    yield _line(list(heading), widths)
    for cells, (_, note) in zip(table, rows, strict=True):
        yield _line(cells, widths)
        if note:
            yield f"{'':{widths[0]}}    {note}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()
