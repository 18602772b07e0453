"""Tests of the stop signal."""

import os
import signal

from dlcoder.templates.components.utils.stop_signal import StopSignal


def test_it_remembers_sigterm() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        stop = StopSignal()
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
    finally:
        signal.signal(signal.SIGTERM, before)
