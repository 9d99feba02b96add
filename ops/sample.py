"""A small sample account, live: what `layby up --sample` loads from examples/."""

from ops.installation import Installation


def load_sample(installation: Installation) -> str:
    return "x"
