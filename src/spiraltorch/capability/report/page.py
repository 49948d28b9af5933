"""The matrix as one self-contained HTML page: sortable, with each cell's evidence on click.

The page is `page.html` with the matrix's JSON inserted. Fragments such as `#cell=wgpu/tensor-ops` and `#sort=wgpu` open
a cell and choose the order.
"""

from __future__ import annotations

import json
from importlib.resources import files

from ..matrix import CapabilityMatrix

_PLACE = "/*MATRIX*/null"


def html(matrix: CapabilityMatrix) -> str:
    """The page as text.

    >>> html(CapabilityMatrix.load()).startswith("<!doctype html>")
    True
    """
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    data = json.dumps(matrix.as_json(), ensure_ascii=False)
    # Inside a script element, a closing tag or a comment in the data would end it.
    safe = data.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return template.replace(_PLACE, safe, 1)
