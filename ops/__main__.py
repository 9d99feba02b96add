"""`python -m ops` is `layby`: how a process of ours starts another one with the same Python."""

from ops.start import main

if __name__ == "__main__":
    main()
