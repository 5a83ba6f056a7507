# Written by tools/gen_detail_names.py from linux/kvm_para.h
# of Debian's linux-headers-7.3.4+deb13-common; not for editing.
"""KVM's hypercalls on x86, as Linux names them."""

HYPERCALLS: dict[int, str] = {
    0x1: "KVM_HC_VAPIC_POLL_IRQ",
    0x2: "KVM_HC_MMU_OP",
    0x3: "KVM_HC_FEATURES",
    0x5: "KVM_HC_KICK_CPU",
    0x9: "KVM_HC_CLOCK_PAIRING",
    0xA: "KVM_HC_SEND_IPI",
    0xB: "KVM_HC_SCHED_YIELD",
    0xC: "KVM_HC_MAP_GPA_RANGE",
}
