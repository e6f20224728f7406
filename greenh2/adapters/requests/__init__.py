"""requests over greenh2: HTTP/2, one fair pool, and safety from kills, for every Session as it is.

    import requests
    from greenh2.adapters.requests import GreenAdapter

    session = requests.Session()
    session.mount("https://", GreenAdapter())

`install()` does that for every Session that is made from then on.
"""

try:
    import requests as _requests  # noqa: F401 - to say what is missing
    import urllib3 as _urllib3  # noqa: F401
except ImportError as exc:
    raise ImportError(
        "greenh2.adapters.requests needs requests: python -m pip install 'greenh2[requests]'"
    ) from exc

from greenh2.adapters.requests.adapter import GreenAdapter
from greenh2.adapters.requests.errors import BrokenHead, InvalidLength, WriteTimeout
from greenh2.adapters.requests.install import Installation, install, uninstall
from greenh2.adapters.requests.raw import RawResponse

__all__ = [
    "BrokenHead",
    "GreenAdapter",
    "Installation",
    "InvalidLength",
    "RawResponse",
    "WriteTimeout",
    "install",
    "uninstall",
]
