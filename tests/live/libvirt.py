"""Run a VM of libvirt in an emulated host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.hosts import Host

NAME, UUID = "web_shop", "3e8f1c2a-0b4d-4c6e-9f10-2a3b4c5d6e7f"

_DOMAIN = f"""\
<domain type="kvm">
  <name>{NAME}</name>
  <uuid>{UUID}</uuid>
  <memory unit="MiB">64</memory>
  <vcpu>2</vcpu>
  <os><type arch="x86_64" machine="pc">hvm</type></os>
  <cpu mode="host-passthrough"/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type="usb" model="none"/>
    <memballoon model="none"/>
  </devices>
</domain>
"""

# The scripts of the packages, which nobody ran, create the user.
_PREPARE = """
set -e
for file in passwd group; do
    cp /etc/$file /run/$file
    echo libvirt-qemu:x:64055:64055::/:/bin/false >>/run/$file
    mount --bind /run/$file /etc/$file
done
mount -t tmpfs none /etc/libvirt
mount -t tmpfs none /var
ln -s /run /var/run
mkdir -p /var/tmp /var/log/libvirt/qemu /run/libvirt
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
namespaces = []
remember_owner = 0
stdio_handler = "file"
END
"""
_CLEAN = "umount /var /etc/libvirt /etc/group /etc/passwd"


def virsh(host: Host, *words: str) -> str:
    """Run a command of virsh; return its output."""
    return host.run(["virsh", "-q", "-c", "qemu:///system", *words]).check().stdout.strip()


@contextmanager
def paused(host: Host) -> Iterator[None]:
    """Run libvirt with a VM called :data:`NAME` with two vCPUs, which is paused at first."""
    host.run(_PREPARE).check()
    try:
        with host.start(["libvirtd"]) as daemon:
            running = f"[ -d /proc/{daemon.pid} ]"
            socket = "[ -S /run/libvirt/libvirt-sock ]"
            host.run(f"until {socket}; do {running} || exit 1; sleep 0.2; done").check()
            host.put("/run/domain.xml", _DOMAIN.encode())
            virsh(host, "create", "/run/domain.xml", "--paused")
            try:
                yield
            finally:
                virsh(host, "destroy", NAME)
    finally:
        host.run(_CLEAN).check()
