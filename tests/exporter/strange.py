"""kstats with a host that is strange: ``python -m tests.exporter.strange HOST``, then the words.

``HOST`` is ``bare`` for one without KVM, or ``hangs`` for one on which counting never returns once
it has begun.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from kstats.cli import live, main
from kstats.exporter import sampler
from kstats.model import Sample
from tests import trees
from tests.exporter.test_sampler import Scripted


class Hangs(Scripted):
    """A feed with one sample."""

    def samples(self) -> Iterator[Sample]:
        """Yield a sample; the next time, hang."""
        if self.taken:
            print("it hangs", file=sys.stderr, flush=True)
            threading.Event().wait()
        return super().samples()


if __name__ == "__main__":
    host, *words = sys.argv[1:]
    if host == "hangs":
        vars(live).update(exporter=lambda *_, **__: Hangs())
        vars(sampler).update(FRESH=0)  # each scrape takes a sample
        sys.exit(main(words))
    with tempfile.TemporaryDirectory() as folder:
        tree = trees.x64(Path(folder), kvm=False)
        vars(live).update(Host=lambda: tree)
        sys.exit(main(words))
