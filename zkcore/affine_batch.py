"""The batched affine addition of the back end in use: one at a time or in lanes, with the same results."""

from zkcore.cpu import BACKEND

if BACKEND == "avx512ifma":
    from zkcore.affine_lanes import BATCH, ROOM, add_batch
else:
    from zkcore.affine import BATCH, ROOM, add_batch

PADDING = 7
"""How many entries beyond the last sum the arrays of references and places have."""

__all__ = ["BATCH", "PADDING", "ROOM", "add_batch"]
