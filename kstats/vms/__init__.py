"""Who is this VM: names for processes, and vCPU numbers for threads.

    from kstats.vms.registry import VmRegistry

    directory = VmRegistry(Host())
    directory.refresh()                        # once a sample, after the counters were read
    directory.thread(pid=4821, tid=4830)       # Thread(…, vcpu=1, vm=Vm(…, name="web"))
    directory.vms()                            # all of them, idle ones too

=================  ==============================================  =================
kind               the VM's name                                   a vCPU's thread
=================  ==============================================  =================
libvirt            ``-name guest=``; else that of its cgroup       as the VMM's
qemu               ``-name [guest=]NAME``                          ``CPU N/KVM``
firecracker        ``--id`` (the jailer's, too); else its socket   ``fc_vcpu N``
cloud-hypervisor   its API socket: ``/run/vms/web.sock`` is web    ``vcpuN``
crosvm             ``--name``; else its control socket             ``crosvm_vcpuN``
kvmtool            ``--name``; else ``guest-PID``, as it says      ``kvm-vcpu-N``
other              the command's                                   any of these
=================  ==============================================  =================

Where a kind has no name, it is the command's. Which vCPU a thread runs, the kernel tells on
x86 since Linux 6.0 (:mod:`kstats.vms.debugfs`); elsewhere it goes by the thread's name, which
QEMU sets only with ``debug-threads=on`` (libvirt says so).

Several VMs in one process have one name, and are told apart by the descriptor (``Vm.fd``) if
the kernel tells of vCPUs. If it does not, nothing does: the descriptors of a process show how
many VMs it has open, but not which vCPU is whose. A thread that runs vCPUs of several VMs, or
several vCPUs, has no number: its exits cannot be told apart by thread.

All pids are those of the initial pid namespace, as the kernel counts exits by them; so this
must run where /proc shows those, which :meth:`kstats.vms.proc.Proc.has_host_pids` tells. VMs in
containers are seen with their numbers on the host.
"""
