"""Names of VMs and numbers of vCPUs, for processes and threads.

    from kstats.vms.registry import VmRegistry

    registry = VmRegistry(Host())
    registry.refresh()                         # for each sample, after the counters were read
    registry.thread(pid=4821, tid=4830)        # Thread(…, vcpu=1, vm=Vm(…, name="web"))
    registry.vms()                             # all VMs, idle ones included

=================  ==============================================  =================
kind               name of the VM                                  thread of a vCPU
=================  ==============================================  =================
libvirt            ``-name guest=``, else that of its cgroup       as its VMM's
qemu               ``-name [guest=]NAME``, else Proxmox's number   ``CPU N/KVM``
firecracker        ``--id`` (also the jailer's), else its socket   ``fc_vcpu N``
cloud-hypervisor   its API socket: ``/run/vms/web.sock`` is web    ``vcpuN``
crosvm             ``--name``, else its control socket             ``crosvm_vcpuN``
kvmtool            ``--name``, else its default, ``guest-PID``     ``kvm-vcpu-N``
stratovirt         ``-name [guest=]NAME``                          ``CPU N/KVM``
android-emulator   ``-avd NAME``, ``@NAME``                        ``CPU N/KVM``
dragonball         ``-id`` of Kata's shim: the sandbox             ``db_vcpuN``
gvisor             the container: the last argument                none
virtualbox         ``--comment``, else ``--startvm``               none
kontain            the program in the VM                           ``vcpu-N``
other              the command's name                              any of these
=================  ==============================================  =================

A VM without such a name is called by its command, and one of Kata Containers by its sandbox. Where
a name is taken from a path, folders that are the same for all VMs are skipped (``root``, ``run``).

On x86 the kernel reports which thread runs a vCPU since Linux 6.0 (:mod:`kstats.vms.debugfs`).
Elsewhere the thread's first exit does (:mod:`kstats.collector.first_exits`), if BTF describes KVM's
types, or the thread's name, which QEMU sets only with ``debug-threads=on`` (libvirt does).

VMs that end before a sample is taken are known if they are met at their first exit
(:meth:`kstats.vms.registry.VmRegistry.meet`).

Several VMs of one process have the same name. Where the kernel reports vCPUs, the VM's descriptor
(``Vm.fd``) tells them apart; elsewhere nothing does: the process's descriptors show how many VMs
it has, but not which vCPU belongs to which. A thread that runs vCPUs of several VMs, or several
vCPUs, has no number, because its exits cannot be told apart.

All pids are those of the initial PID namespace, by which BPF counts exits, so this must run where
/proc shows them (:meth:`kstats.vms.proc.Proc.has_host_pids`). VMs in containers have the numbers
that they have on the host.
"""
