"""Formulas as MathML, which browsers draw by themselves: a page loads no program and no font for them."""

import re
from typing import Any

from docutils import nodes


def setup(app: Any) -> None:
    """The renderer `mathml`, which conf.py names."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))


def mathml(formula: str, display: str) -> str:
    """A formula of LaTeX as an element of a page; the formula itself is what is read aloud and copied."""
    from latex2mathml.converter import convert

    return convert(_apart(formula), display=display)


def _apart(formula: str) -> str:
    """With a little space between log and what follows it, which LaTeX sets by itself."""
    return re.sub(r"\\(log|exp|max|min)\b\s*(?=[A-Za-z\\])", r"\\\1\\,", formula)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def _display(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="formula">{mathml(node.astext(), "block")}</div>')
    raise nodes.SkipNode
