"""What the tests of the adapters make."""

from collections.abc import Callable

import requests

MakeSession = Callable[..., requests.Session]
