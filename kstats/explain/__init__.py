"""What a word, a number or a line of a log means: exit reasons, and what resembles them.

``kstats explain`` is made of it. The vocabularies are plain tables, which import quickly:

* :mod:`kstats.explain.userspace`: why KVM returned to the VMM (``KVM_EXIT_*``);
* :mod:`kstats.explain.counters`: KVM's statistics (kvm_stat, debugfs);
* :mod:`kstats.explain.registers`: MSRs, system registers, ports and addresses that matter;
* :mod:`kstats.explain.words`: exceptions, features, and words for several reasons;
* :mod:`kstats.explain.messages`: lines of the kernel's log and of QEMU.
"""
