"""100 million secret elements through a product, a comparison and a sum, in blocks: memory stays bounded.

    privity consortium init here && privity run benchmarks/stream.py -c here/consortium.toml

The first block is secret random numbers that no party knows; the others are the same numbers paired otherwise (a local
rotation), so that no file of 800 MB is needed. Each block is multiplied, compared and summed afresh.
"""

import resource
from typing import Any

import privity as pv


def program(s: pv.Session) -> dict[str, Any]:
    """Mean of x * y and share of x < y over all blocks: 0 and 3/4 but for the draw's own deviation."""
    blocks, rows = int(s.parameters["blocks"]), int(s.parameters["rows"])
    products = below = s.constant(0.0)
    with s.stage("drawing"):
        x, y = pv.random.uniform(s, -1.0, 1.0, rows), pv.random.uniform(s, 0.0, 1.0, rows)
    with s.stage("stream"):
        for i in range(blocks):
            x = pv.concatenate([x[-1:], x[:-1]])
            products = products + (x * y).mean()
            below = below + (x < y).sum().multiply(1.0 / rows)
            s.progress(i + 1, blocks, "blocks")
    opened = s.reveal(pv.stack([products, below]) * (1.0 / blocks), to="all", name="means", reason="two known numbers")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"mean of products (0)": opened[0], "share below (0.75)": opened[1], "peak memory, MiB": round(peak)}
