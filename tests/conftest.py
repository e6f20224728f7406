"""Fixtures and checks around every test: loopback only, nothing left behind, a timer nothing can hold up."""

import gc
import os
from collections.abc import Generator, Iterator
from typing import Any

import gevent
import pytest
import pytest_timeout
from hypothesis import settings

from tests.support import loopback
from tests.support.certificates import Certificates
from tests.support.daemons import Daemons
from tests.support.leaks import Census
from tests.support.origins import OriginFactory, OriginHouse
from tests.support.watchdog import Watchdog

# What a machine says about proxies and trust is not to decide how the tests go; a test sets what it means.
for _name in list(os.environ):
    if _name.lower().endswith("_proxy") or _name in {
        "CURL_CA_BUNDLE",
        "NETRC",
        "REQUESTS_CA_BUNDLE",
        "SSLKEYLOGFILE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    }:
        del os.environ[_name]

# How hard properties are tried: "full" where the tests run once, "quick" where tox runs them many times over.
settings.register_profile("full", max_examples=100, deadline=None)
settings.register_profile("quick", max_examples=20, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))

_failed = pytest.StashKey[bool]()
_watchdog = pytest.StashKey[Watchdog]()


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    item.stash[_watchdog] = Watchdog(settings.timeout, lambda: pytest_timeout.timeout_timer(item, settings))
    return True


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    if _watchdog in item.stash:
        item.stash[_watchdog].call_off()
        del item.stash[_watchdog]
    return True


def pytest_collection_finish() -> None:
    """Take what imports and collection made out of every later count, which makes the counts quick."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_failed] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def loop_is_warm() -> None:
    """Open what the hub opens once, so that no test is blamed for it: descriptors, and the resolver's threads."""
    resolvers = gevent.get_hub().threadpool
    resolvers.size = resolvers.maxsize
    loopback.stay()
    loopback.resolve_below_localhost()
    gevent.socket.getaddrinfo("localhost", 0)
    gevent.sleep(0.001)


@pytest.fixture(autouse=True)
def nothing_outlives_the_test(request: pytest.FixtureRequest, loop_is_warm: None) -> Iterator[None]:
    """Fail a test that leaves a greenlet or a descriptor behind.

    One that has failed already is not judged: its traceback may be what holds them.
    """
    census = Census()
    yield
    if not request.node.stash.get(_failed, False):
        left = census.leaks()
        if left:
            pytest.fail("outlived the test:\n" + "\n".join(left), pytrace=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A certificate authority and a server certificate for localhost and a to f.localhost."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def origin_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OriginHouse]:
    house = OriginHouse(tmp_path_factory.mktemp("origins") / "log")
    yield house
    house.close()


@pytest.fixture
def origin(origin_house: OriginHouse, certificates: Certificates) -> Iterator[OriginFactory]:
    """Opens origins, ``origin(alpn=("h2",), tls=True, **options)``, and stops them after the test."""
    factory = OriginFactory(origin_house, certificates)
    yield factory
    factory.stop()


@pytest.fixture
def daemons(certificates: Certificates) -> Iterator[Daemons]:
    """Starts real servers and stops them after the test."""
    running = Daemons(certificates)
    yield running
    running.stop()
