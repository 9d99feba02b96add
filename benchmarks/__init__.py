"""`make bench`: how fast, each figure beside its limit or peer in the same run.

Imports whatever it measures; nothing imports it. docs/benchmarks.md tells what each figure is.
"""
