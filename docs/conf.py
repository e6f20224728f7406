"""How Sphinx builds the documentation; ``tox run -e docs`` does it strictly and runs every example."""

import re

from greenh2 import __version__

project = "greenh2"
author = "greenh2 contributors"
copyright = "greenh2 contributors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.doctest"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
nitpicky = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"greenh2 {release}"

# Every example may use the library and a client that answers without a network.
doctest_global_setup = """
import gevent
import greenh2

def answer(request):
    return greenh2.Response(200, text=f"{request.method} {request.url.path}", request=request)

transport = greenh2.MockTransport(answer)
"""

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
_SETTING = re.compile(r"(``?[\w=\".-]+``?(, | and )?)+: ")


def _as_reference(app, what, name, obj, options, lines):
    """Docstrings are written to be read as they are: show their examples as code, and their settings as a list."""
    shown, margin, in_code = [], "", False
    for line in lines:
        indented = line.startswith("    ")
        if not line or (indented and not in_code and shown and shown[-1]):
            margin = ""
        if indented and not in_code:
            shown += ["", "::", ""]
        if not indented and line:
            if _SETTING.match(line):
                shown += ["", f"- {_plain(line)}"]
                margin = "  "
            else:
                shown.append(margin + _plain(line))
        else:
            shown.append(line)
        in_code = indented or (in_code and not line)
    lines[:] = [*shown, ""]


def _plain(line):
    return line.replace("*", "\\*").replace("|", "\\|")


def setup(app):
    app.connect("autodoc-process-docstring", _as_reference)
