"""A small VMM over /dev/kvm whose guests make known VM exits.

It is the source of truth for the tests that run inside emulated hosts: a workload such as
``cpuid=1000,io=200`` makes exactly the exits that `workload.expected` says. Standard library
only, so it runs in any host that has Python.

* ``python3 lab/vmm/vmm.py --workload cpuid=1000,io=200`` runs guests and reports in JSON.
* ``python3 lab/vmm/vmm.py --check`` checks the table of exits against the kernel itself.
* `build.build` assembles the guests; `workload` needs neither Linux nor KVM.
"""
