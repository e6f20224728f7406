from tests.support.clients import make_client
from tests.support.rawserver import raw_server

__all__ = ["make_client", "raw_server"]
