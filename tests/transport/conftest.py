from tests.support.clients import make_client

__all__ = ["make_client"]
