/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * x86: Intel VMX (KSTATS_VMX) or AMD SVM (KSTATS_SVM), read in one of these ways:
 *
 * KSTATS_RAW_CAST, KSTATS_RAW_BTF
 *		   raw tracepoint (vcpu, isa): since "KVM: x86: Get exit_reason as part of
 *		   kvm_x86_ops.get_exit_info" (5.16) the reason is no longer an argument; it is
 *		   read from the vCPU, at offsets from BTF.
 * KSTATS_RAW_ARG  raw tracepoint (exit_reason, vcpu, isa), before that.
 * KSTATS_CLASSIC  the classic record, at offsets from the event's format file.
 */

#define ISA_VMX 1
#define ISA_SVM 2

#ifdef KSTATS_RAW_CAST
#define KSTATS_RAW_BTF 1 /* they differ in READ() only */
#endif

#ifdef KSTATS_CLASSIC
#define ISA FIELD(u32, REC_ISA)
#else
#define ARG(n) (((struct raw_args *)ctx)->arg[n])
#ifdef KSTATS_RAW_BTF
#define VCPU ((void *)ARG(0))
#define ISA ARG(1)
#else
#define VCPU ((void *)ARG(1))
#define ISA ARG(2)
#endif
#endif

#ifdef KSTATS_VMX

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	u32 copy, *reason = &copy;

	if (RARELY(ISA != ISA_VMX))
		return UNSUPPORTED_ISA;
#if defined(KSTATS_CLASSIC)
	copy = FIELD(u32, REC_EXIT_REASON);
#elif defined(KSTATS_RAW_ARG)
	copy = ARG(0);
#else
	if (RARELY(READ(reason, AT(VCPU, EXIT_REASON_OFFSET))))
		return UNREADABLE;
#endif
	*code = *reason;
	return DECODED;
}

#else

#define SVM_EXIT_MSR 0x7c
#define MSR_READ 1
#define MSR_WRITE 2

/* Adjacent in the VMCB's control area (AMD APM vol. 2, appendix B), so one read is enough. */
struct vmcb_exit {
	u32 code;
	u32 code_high; /* set only for VMEXIT_INVALID, where code is all ones already */
	u64 info_1;
};

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	struct vmcb_exit copy, *exit = &copy;

	if (RARELY(ISA != ISA_SVM))
		return UNSUPPORTED_ISA;
#ifdef KSTATS_CLASSIC
	copy.code = FIELD(u32, REC_EXIT_REASON);
	copy.info_1 = FIELD(u64, REC_INFO1);
#else
	void *vmcb_copy, **vmcb = &vmcb_copy;

	READ(vmcb, AT(VCPU, VMCB_OFFSET)); /* 0 on failure, and then the next read fails */
	if (RARELY(READ(exit, AT(*vmcb, EXIT_CODE_OFFSET))))
		return UNREADABLE;
#endif
	*code = exit->code;
	if (RARELY(*code == SVM_EXIT_MSR)) {
		/* Keep the compiler from loading info_1 for every exit. */
		asm volatile("");
		*code = QUALIFIED(exit->info_1 & 1 ? MSR_WRITE : MSR_READ, SVM_EXIT_MSR);
	}
	return DECODED;
}

#endif
