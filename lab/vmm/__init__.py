"""A small VMM over /dev/kvm whose guests make known VM exits.

Tests in emulated hosts use it as an oracle: a workload such as ``cpuid=1000,io=200`` makes exactly
the exits that `workload.expected` returns. It needs only Python's standard library.

* ``python3 lab/vmm/vmm.py --workload cpuid=1000,io=200`` runs guests and reports in JSON.
* ``python3 lab/vmm/vmm.py --check`` compares the table of exits with the kernel's trace.
* `build.build` assembles the guests; `workload` needs neither Linux nor KVM.
"""
