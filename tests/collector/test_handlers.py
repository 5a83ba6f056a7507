"""Exits by handler: the difference between two readings, and the kernel's side."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kstats.arch.details import UNKNOWN, Access, Parts
from kstats.collector.details import Detail
from kstats.collector.feature import Feature
from kstats.collector.handlers import HandledKey, Handlers
from kstats.collector.live import Collector
from kstats.collector.threads import ExitsByThread
from kstats.explain import userspace
from kstats.filters import ThreadFilter
from kstats.model import Place
from kstats.views import handlers
from tests.collector import kernel
from tests.collector.native import target
from tests.collector.readings import HER, ME, between, totals
from tests.collector.test_details import LATER, TONES, exit_
from tests.collector.test_threads import me

KERNEL, IO, MMIO, INTR, MEMORY_FAULT = (
    0,
    *(
        1 << 32 | number
        for name in ("IO", "MMIO", "INTR", "MEMORY_FAULT")
        for number, (known, *_) in userspace.EXITS.items()
        if known == name
    ),
)
WITHOUT_DETAIL = 2**64 - 2

Found = Counter[tuple[int, int | None, str]]
"""(code, detail, handler) -> exits."""


def test_a_sample_has_the_handlers_of_exits() -> None:
    before = {bytes(HandledKey(ME, 1, 0, WITHOUT_DETAIL, KERNEL)): 5}
    now = {
        bytes(HandledKey(ME, 1, 0, WITHOUT_DETAIL, KERNEL)): 7,
        bytes(HandledKey(ME, 1, 0, WITHOUT_DETAIL, IO)): 1,
        bytes(HandledKey(HER, 1, 1, 8, MMIO)): 3,
    }
    got = between((Handlers(), before, now), (ExitsByThread(), {}, totals({(ME, 1, 0): 10})))
    assert {place: exits.count for place, exits in got.exits["native", 1].items()} == {
        Place(0, ME): 10,
        Place(0, ME, None, KERNEL): 2,
        Place(0, ME, None, IO): 1,
        Place(1, HER, 8, MMIO): 3,
    }
    assert got.handled


@pytest.fixture
def count_with(tmp_path: Path) -> Iterator[Callable[..., Collector]]:
    """Collectors of my exits by handler, and with ``tones`` by detail."""
    made: list[Collector] = []
    file = tmp_path / "tones.c"
    file.write_text(TONES, encoding="utf-8")

    def make(*, tones: bool = False, room: int = 64) -> Collector:
        alone = ThreadFilter(pids=frozenset({os.getpid()}))
        features: list[Feature] = [ExitsByThread(alone), Handlers(room)]
        if tones:
            features.append(Detail(LATER, file))
        made.append(Collector(target(), features))
        return made[-1]

    yield make
    for collector in made:
        collector.close()


def return_(collector: Collector, reason: int, error: int = 0) -> None:
    """Fire kvm_userspace_exit, whose second argument is an int."""
    program = collector.loaded.programs["on_return"]
    kernel.fire_here(program, reason & 0xFFFF_FFFF, -error & 0xFFFF_FFFF)


def counted(collector: Collector) -> Found:
    found: Found = Counter()
    for (_, code), places in collector.sample().exits.items():
        for place, exits in places.items():
            assert place.thread == me()
            found[code, place.detail, handlers.text(place.handler)] += exits.count
    return found


@pytest.mark.root
def test_an_exit_is_counted_when_it_is_known_who_handled_it(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with()
    return_(collector, IO)  # of an exit before counting began
    exit_(collector, 1)
    assert counted(collector) == {}
    exit_(collector, 2)
    assert counted(collector) == {(1, None, "kernel"): 1}
    return_(collector, IO)
    assert counted(collector) == {(2, None, "IO"): 1}
    return_(collector, MMIO)  # the next step of an access, or a signal before the entry
    return_(collector, INTR, errno.EINTR)
    assert counted(collector) == {}
    exit_(collector, 2)
    return_(collector, MMIO)
    exit_(collector, 2)
    exit_(collector, 99)
    return_(collector, 77)
    assert counted(collector) == {
        (2, None, "MMIO"): 1,
        (2, None, "kernel"): 1,
        (99, None, "KVM_EXIT_77"): 1,
    }


@pytest.mark.root
def test_errors_have_their_names(count_with: Callable[..., Collector]) -> None:
    """The reason of an interrupted return may be that of the last one, as with immediate_exit."""
    collector = count_with()
    for reason, error in (
        (IO, errno.EINTR),
        (IO, errno.EFAULT),
        (MEMORY_FAULT, errno.EFAULT),
        (IO, 4000),
    ):
        exit_(collector, 1)
        return_(collector, reason, error)
    assert counted(collector) == {
        (1, None, "INTR"): 1,
        (1, None, "EFAULT"): 1,
        (1, None, "MEMORY_FAULT"): 1,
        (1, None, "errno 4000"): 1,
    }


@pytest.mark.root
def test_details_have_their_handlers(count_with: Callable[..., Collector]) -> None:
    """Code 3 reports its detail after the exit: before the return, or not at all."""
    collector = count_with(tones=True)
    exit_(collector, 1, 440)
    return_(collector, IO)
    exit_(collector, 1, 440)
    exit_(collector, 99)
    for _ in range(2):
        exit_(collector, 3)
    kernel.fire_here(collector.loaded.programs["on_tone"], 220)
    return_(collector, MMIO)
    kernel.fire_here(collector.loaded.programs["on_tone"], 110)
    args = collector.loaded.numbers["TONE_ARGS"]
    assert counted(collector) == {
        (1, Parts(Access.READ, 4, 440).detail, "IO"): 1,
        (1, Parts(Access.READ, 4, 440).detail, "kernel"): 1,
        (99, None, "kernel"): 1,
        (3, UNKNOWN, "kernel"): 1,
        (3, Parts(Access.WRITE, args, 220).detail, "MMIO"): 1,
    }


@pytest.mark.root
def test_a_full_table_drops_handlers_and_keeps_exits(count_with: Callable[..., Collector]) -> None:
    collector = count_with(room=4)
    for reason in range(200):
        exit_(collector, 1)
        return_(collector, 1000 + reason)
    found = counted(collector)
    assert found.total() == 200
    assert 0 < found.pop((1, None, "?")) < 200
    assert set(found.values()) == {1}
    assert collector.sample().vm_dropped == {}


@pytest.mark.root
def test_a_return_belongs_to_the_exit_of_its_thread_on_any_cpu(
    count_with: Callable[..., Collector],
) -> None:
    collector = count_with()
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        exit_(collector, 1)
        os.sched_setaffinity(0, {max(allowed)})
        other = threading.Thread(target=return_, args=(collector, IO))
        other.start()
        other.join()
        assert counted(collector) == {}
        return_(collector, MMIO)
    finally:
        os.sched_setaffinity(0, allowed)
    places = collector.sample().exits["native", 1]
    assert {(place.cpu, handlers.text(place.handler)) for place in places} == {
        (min(allowed), "MMIO")
    }
