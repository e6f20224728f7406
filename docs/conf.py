"""How Sphinx builds the documentation; ``tox run -e docs`` does it strictly and runs every example."""

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
