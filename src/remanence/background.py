"""Reading what was added while the application goes on: one thread of a memory, woken by writes.

The text is durable before the thread hears of it, so a slow or failing model delays and loses nothing; what is left over when the
memory closes is read by the next one. Each process that opens the store with `Settings.background` has its own thread:
the same memory may be read twice, and is kept once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from remanence.errors import RemanenceError, StoreClosedError

_LOG = logging.getLogger("remanence")
_PAUSE, _LONGEST_PAUSE = 1.0, 300.0  # seconds before what failed is tried again; doubled for each further time

Work = Callable[[Callable[[], bool]], bool]
"""Does what there is to do until the given function says stop; True if something failed and has to be tried again."""


class Background:
    """Runs `work` whenever it is woken, and again after a pause where something failed."""

    def __init__(self, work: Work, *, pause: float = _PAUSE) -> None:
        self._work, self._pause = work, pause
        self._changed = threading.Condition()
        self._due = self._stopping = False
        self._idle = True
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to do. The thread starts with the first call."""
        with self._changed:
            self._due, self._idle = True, False
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._run, name="remanence-background", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do, or waits for another try; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._idle, timeout)

    def stop(self, timeout: float = 5.0) -> None:
        """Start nothing new, and wait so many seconds for the batch in hand. What comes later is not kept, and is read again."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        pause = self._pause
        while self._wait_for_work():
            failed = True
            try:
                failed = self._work(lambda: self._stopping)
            except StoreClosedError:
                return
            except RemanenceError as error:  # the store is busy, the model is not set up …: said once, tried again
                _LOG.warning("background reading: %s", error)
            with self._changed:
                self._idle = not self._due
                self._changed.notify_all()
                if failed and not self._due:
                    self._changed.wait_for(lambda: self._due or self._stopping, pause)
                    self._due = True
            pause = min(pause * 2, _LONGEST_PAUSE) if failed else self._pause

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._due or self._stopping)
            self._due = False
            return not self._stopping


class Rounds:
    """Does some work again and again, `pause` seconds apart, in a thread of its own that starts with `begin`."""

    def __init__(self, work: Callable[[], None], pause: float) -> None:
        self._work, self._pause = work, pause
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def going(self) -> bool:
        """Whether there is nothing to begin: the rounds go on, or are not wanted."""
        return self._thread is not None or not self._pause

    @property
    def stopping(self) -> bool:
        """Whether the round in hand should come to an end."""
        return self._stopping.is_set()

    def begin(self) -> None:
        """Start, at once and then after each pause."""
        if not self.going and not self._stopping.is_set():
            self._thread = threading.Thread(target=self._run, name="remanence-care", daemon=True)
            self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Start no new round, and wait so many seconds for the one in hand."""
        self._stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._work()
            except StoreClosedError:
                return
            except RemanenceError as error:  # the store is busy …: said, and tried again in the next round
                _LOG.warning("care: %s", error)
            self._stopping.wait(self._pause)
