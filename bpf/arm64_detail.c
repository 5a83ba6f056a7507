/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ARM64: the detail of a trap, of one kind: KSTATS_DETAIL_SYSREG, _HYPERCALL or _ADDRESS.
 *
 * The tracepoint does not pass the vCPU. But the scheduler notifies KVM when it switches a thread
 * that runs a vCPU: the running thread's only preempt notifier is a member of struct kvm_vcpu.
 */

#define EC_HVC32 0x12 /* ESR_EL2.EC, Arm ARM D24.2.40 */
#define EC_SMC32 0x13
#define EC_HVC64 0x16
#define EC_SMC64 0x17
#define EC_SYS64 0x18
#define EC_IABT_LOW 0x20
#define EC_DABT_LOW 0x24

static __always_inline void *running_vcpu(void)
{
	void *copy, **notifier = &copy;

	if (READ(notifier, AT(this_task(), TASK_NOTIFIERS_OFFSET)))
		return NULL;
	return *notifier ? *notifier - NUMBER(VCPU_NOTIFIER_OFFSET) : NULL;
}

#if defined(KSTATS_DETAIL_SYSREG)

#define ISS_READ 1
#define ISS_BITS(iss, from, bits) ((u64)(iss) >> (from) & ((1 << (bits)) - 1))

/* The register as user space names it in KVM_GET_ONE_REG: op0, op1, CRn, CRm, op2 from bit 15. */
static __always_inline u64 system_register(u32 iss)
{
	return ISS_BITS(iss, 20, 2) << 14 | ISS_BITS(iss, 14, 3) << 11 | ISS_BITS(iss, 10, 4) << 7 |
	       ISS_BITS(iss, 1, 4) << 3 | ISS_BITS(iss, 17, 3);
}

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u32 copy, *esr = &copy;

	if (code != EC_SYS64)
		return NO_DETAIL;
	if (READ(esr, AT(running_vcpu(), ESR_OFFSET)))
		return UNREADABLE;
	*detail = DETAIL(*esr & ISS_READ ? ACCESS_READ : ACCESS_WRITE, 0, system_register(*esr));
	return DECODED;
}

#elif defined(KSTATS_DETAIL_HYPERCALL)

/* The function number is in w0 (SMC Calling Convention, DEN 0028). */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u32 copy, *function = &copy;

	if (code != EC_HVC64 && code != EC_SMC64 && code != EC_HVC32 && code != EC_SMC32)
		return NO_DETAIL;
	if (READ(function, AT(running_vcpu(), GUEST_REGISTERS_OFFSET)))
		return UNREADABLE;
	*detail = DETAIL(ACCESS_NONE, 0, *function);
	return DECODED;
}

#elif defined(KSTATS_DETAIL_ADDRESS)

#define ISS_WRITE (1 << 6)
#define ISS_WALK (1 << 7) /* a walk of the guest's own page tables */
#define ISS_VALID (1 << 24)
#define ISS_SIZE(iss) (1 << ((iss) >> 22 & 3))
#define HPFAR_ADDRESS(hpfar) (((hpfar)&0xfffffffffffULL & ~0xfULL) << 8)
#define IN_PAGE 0xfff

static __always_inline u32 fault_access(u64 code, u32 esr)
{
	if (code == EC_IABT_LOW)
		return ACCESS_FETCH;
	return (esr & (ISS_WRITE | ISS_WALK)) == ISS_WRITE ? ACCESS_WRITE : ACCESS_READ;
}

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u64 copies[2], *far = &copies[0], *hpfar = &copies[1];
	u32 copy, size, *esr = &copy;
	void *vcpu;

	if (code != EC_DABT_LOW && code != EC_IABT_LOW)
		return NO_DETAIL;
	vcpu = running_vcpu();
	if (READ(esr, AT(vcpu, ESR_OFFSET)) || READ(far, AT(vcpu, FAR_OFFSET)) ||
	    READ(hpfar, AT(vcpu, HPFAR_OFFSET)))
		return UNREADABLE;
	size = code == EC_DABT_LOW && *esr & ISS_VALID ? ISS_SIZE(*esr) : 0;
	*detail =
	    DETAIL_AT(fault_access(code, *esr), size, HPFAR_ADDRESS(*hpfar) | (*far & IN_PAGE));
	return DECODED;
}

#endif
