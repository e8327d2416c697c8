"""A flame graph as one self-contained HTML page: no script, style, font or image from anywhere else."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any


class Node:
    """A frame of the graph with all that was spent inside it."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.calls = 0
        self.rounds = 0
        self.bytes_sent = 0
        self.seconds = 0.0
        self.children: dict[str, Node] = {}

    def add(self, stack: Sequence[str], calls: int, rounds: int, bytes_sent: int, seconds: float) -> None:
        """Spend along ``stack``, from the outermost frame inwards."""
        node = self
        for label in (None, *stack):
            if label is not None:
                node = node.children.setdefault(label, Node(label))
            node.calls += calls
            node.rounds += rounds
            node.bytes_sent += bytes_sent
            node.seconds += seconds

    def plain(self) -> dict[str, Any]:
        """As JSON: n label, c calls, r rounds, b bytes, s seconds, k children."""
        return {
            "n": self.label, "c": self.calls, "r": self.rounds, "b": self.bytes_sent, "s": round(self.seconds, 6),
            "k": [child.plain() for child in self.children.values()],
        }  # fmt: skip


def page(title: str, root: Node, table: str) -> str:
    """The whole page. Labels are inserted as text, never as markup."""
    data = json.dumps(root.plain(), ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c")
    return _PAGE.replace("$TITLE", html.escape(title)).replace("$TABLE", html.escape(table)).replace("$DATA", data)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>$TITLE</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #1b1f24; background: #fff }
#graph { position: relative; margin: 1rem 0; overflow: hidden }
#graph div { position: absolute; height: 21px; box-sizing: border-box; border: 1px solid #fff; overflow: hidden;
  white-space: nowrap; padding: 0 4px; font-size: 12px; line-height: 19px; cursor: pointer; border-radius: 3px }
#graph div:hover { outline: 2px solid #1b1f24; z-index: 1 }
#detail { min-height: 1.4em; font-variant-numeric: tabular-nums }
pre { overflow-x: auto; background: #f6f8fa; padding: 1rem; border-radius: 6px }
@media (prefers-color-scheme: dark) { body { color: #e6e6e6; background: #14171a } pre { background: #1e2226 }
  #graph div { border-color: #14171a; color: #14171a } }
</style></head><body>
<h1>$TITLE</h1>
<p><label>Width: <select id="by"><option value="s">seconds</option><option value="b">bytes sent</option>
<option value="r">rounds</option></select></label> Click a frame to enlarge it, the top one to go back.</p>
<p id="detail"></p><div id="graph"></div>
<h2>By line</h2><pre>$TABLE</pre>
<script type="application/json" id="data">$DATA</script>
<script>
"use strict";
const root = JSON.parse(document.getElementById("data").textContent);
const graph = document.getElementById("graph"), detail = document.getElementById("detail");
const by = document.getElementById("by");
let top_ = root;
function describe(n) {
  return n.n + ": " + n.s.toFixed(4) + " s, " + n.b.toLocaleString() + " bytes, " + n.r.toLocaleString() +
    " rounds, " + n.c.toLocaleString() + " operations";
}
function colour(text) {
  let h = 0;
  for (const c of text) h = (h * 31 + c.codePointAt(0)) % 360;
  return "hsl(" + (20 + h % 160) + " 65% 72%)";
}
function draw() {
  graph.textContent = "";
  const key = by.value, whole = top_[key] || 1;
  let depth = 0;
  (function put(node, left, level) {
    depth = Math.max(depth, level);
    const box = document.createElement("div"), width = 100 * node[key] / whole;
    box.style.left = left + "%"; box.style.width = width + "%"; box.style.top = 22 * level + "px";
    box.style.background = colour(node.n); box.textContent = node.n; box.title = describe(node);
    box.onmouseenter = () => { detail.textContent = describe(node); };
    box.onclick = () => { top_ = node === top_ ? root : node; draw(); };
    graph.appendChild(box);
    for (const child of [...node.k].sort((a, b) => b[key] - a[key])) {
      if (100 * child[key] / whole > 0.05) { put(child, left, level + 1); left += 100 * child[key] / whole; }
    }
  })(top_, 0, 0);
  graph.style.height = 22 * (depth + 1) + "px";
  detail.textContent = describe(top_);
}
by.onchange = draw;
draw();
</script></body></html>
"""
