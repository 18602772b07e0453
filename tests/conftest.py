"""What every test may count on."""

import signal

# Shells start jobs in the background with Ctrl-C ignored, and so would everything be that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
