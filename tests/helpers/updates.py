"""An update read in the form that a test knows it to have."""

from torch import Tensor

from lib.edits.updates import LowRank, Update, Vector


def dense(update: Update) -> Tensor:
    """A matrix's update as a matrix [d_out, d_in]."""
    assert not isinstance(update, Vector)
    return update.dense()


def low_rank(update: Update) -> LowRank:
    """The update, which has two factors."""
    assert isinstance(update, LowRank)
    return update
