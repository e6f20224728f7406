"""The machine: h2's connection, set up as greenh2 wants it, and what it has told the server by its first bytes."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings
from hpack import Encoder

from greenh2._protocol.answer import MAX_HEADER_LIST_SIZE

#: What one unread response may hold (bytes); the window is given back as the user reads.
STREAM_WINDOW = 2 * 1024 * 1024
#: What all may hold together (bytes); given back on arrival, so that one slow reader never stalls its siblings.
CONNECTION_WINDOW = 16 * 1024 * 1024
MAX_FRAME_SIZE = 64 * 1024
_DEFAULT_WINDOW = 65535


def new_machine(encoder: Encoder) -> H2Connection:
    """Return a client's state machine with its preface, SETTINGS and WINDOW_UPDATE queued.

    It is shown what concerns the connection as a whole, and no streams.  The encoder is told what table the peer keeps.
    """
    machine = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    machine.encoder = encoder
    machine.local_settings = Settings(
        client=True,
        initial_values={
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_SIZE,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_SIZE,
        },
    )
    machine.max_inbound_frame_size = MAX_FRAME_SIZE
    machine.initiate_connection()
    machine.increment_flow_control_window(CONNECTION_WINDOW - _DEFAULT_WINDOW)
    return machine
