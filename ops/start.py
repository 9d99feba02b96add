"""The program `layby`: what it is made of is imported first, and a Ctrl-C then ends it quietly."""

import signal


def main() -> None:
    """Run the command line."""
    # Where it is ignored (nohup, a shell's `&`) it stays so.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from ops.cli import main as begin  # noqa: PLC0415 - the second that a hurried Ctrl-C falls in

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    begin()
