"""``kstats why``: what makes VMs slow, by rules over everything that was measured.

::

    evidence = Evidence.of(sample)       # sums by VM, of one window of time
    judge = Judge()
    judge.add(evidence)                  # each window of a recording
    report = judge.report()              # ranked findings, and what could not be checked

The rules are data: :mod:`kstats.why.rules`. What they measure with is :mod:`kstats.why.signals`.
"""
