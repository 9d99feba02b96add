"""One of several strategies, each as often as it is named.

Hypothesis's own `one_of` draws from each strategy alike, however often it is named.
"""

from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


def as_often_as_named(*strategies: st.SearchStrategy[T]) -> st.SearchStrategy[T]:
    """The simplest is the first."""
    return st.sampled_from(range(len(strategies))).flatmap(strategies.__getitem__)
