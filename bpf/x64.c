/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * x86: Intel VMX (KSTATS_VMX) or AMD SVM (KSTATS_SVM), read in one of three ways:
 *
 * KSTATS_RAW_BTF  raw tracepoint (vcpu, isa): since "KVM: x86: Get exit_reason as part of
 *		   kvm_x86_ops.get_exit_info" (5.16) the reason is no argument any more; it is
 *		   read from the vCPU, at offsets that BTF gives.
 * KSTATS_RAW_ARG  raw tracepoint (exit_reason, vcpu, isa), before that.
 * KSTATS_CLASSIC  the classic record, at offsets that the event's format file gives.
 */

#define ISA_VMX 1
#define ISA_SVM 2

#ifdef KSTATS_CLASSIC
#define FIELD(type, offset) (*(type *)(ctx + (offset)))
#define ISA FIELD(u32, REC_ISA)
#else
#define ARG(n) (((struct raw_args *)ctx)->arg[n])
#ifdef KSTATS_RAW_BTF
#define VCPU ((void *)ARG(0))
#define ISA ((u32)ARG(1))
#else
#define VCPU ((void *)ARG(1))
#define ISA ((u32)ARG(2))
#endif
#endif

#ifdef KSTATS_VMX

static __always_inline int exit_code(void *ctx, u64 *code)
{
	u32 reason = 0;

	if (ISA != ISA_VMX)
		return FOREIGN;
#if defined(KSTATS_CLASSIC)
	reason = FIELD(u32, REC_EXIT_REASON);
#elif defined(KSTATS_RAW_ARG)
	reason = ARG(0);
#else
	if (bpf_probe_read_kernel(&reason, sizeof(reason), VCPU + EXIT_REASON_OFFSET))
		return UNREADABLE;
#endif
	*code = reason;
	return 0;
}

#else

#define SVM_EXIT_MSR 0x7c
#define MSR_READ 1
#define MSR_WRITE 2

static __always_inline int exit_code(void *ctx, u64 *code)
{
	/* Neighbours in the VMCB's control area (AMD APM vol. 2, appendix B): one read. */
	struct {
		u32 code;
		u32 code_high; /* only invalid_guest_state sets it, to what code says already */
		u64 info_1;
	} e = {};

	if (ISA != ISA_SVM)
		return FOREIGN;
#ifdef KSTATS_CLASSIC
	e.code = FIELD(u32, REC_EXIT_REASON);
	e.info_1 = FIELD(u64, REC_INFO1);
#else
	void *vmcb = NULL;

	if (bpf_probe_read_kernel(&vmcb, sizeof(vmcb), VCPU + VMCB_OFFSET) ||
	    bpf_probe_read_kernel(&e, sizeof(e), vmcb + EXIT_CODE_OFFSET))
		return UNREADABLE;
#endif
	*code = e.code;
	if (e.code == SVM_EXIT_MSR)
		*code = QUALIFIED(e.info_1 & 1 ? MSR_WRITE : MSR_READ, e.code);
	return 0;
}

#endif
