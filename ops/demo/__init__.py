"""`layby demo`: the main job, start to end, in seconds."""

from ops.screen import Json, screen


def demo(*, json: Json = False) -> None:
    """Run a few hundred customers through their weeks in seconds, and count what came too late."""
    screen.result(json, {}, "Not built yet.")
