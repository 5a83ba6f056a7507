/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * x86: the detail of an exit, of one kind: KSTATS_DETAIL_MSR, _IO, _CR, _HYPERCALL or _ADDRESS.
 *
 * On SVM, all details are in the VMCB or in registers that KVM has saved before kvm_exit. On VMX,
 * the exit qualification is in the processor, and KVM reads it only for the classic record
 * (REC_INFO1); a guest-physical address is reported later, when KVM handles the fault.
 */

#define SVM_EXIT_CR_END 0x20
#define SVM_CR_WRITE 0x10
#define SVM_EXIT_CR0_SEL_WRITE 0x65
#define SVM_EXIT_CR_TRAP 0x90
#define SVM_EXIT_CR_TRAP_END 0xa0
#define SVM_EXIT_IOIO 0x7b
#define SVM_EXIT_VMMCALL 0x81
#define SVM_EXIT_NPF 0x400

#define VMX_EXIT_VMCALL 18
#define VMX_EXIT_CR_ACCESS 28
#define VMX_EXIT_IO 30
#define VMX_EXIT_MSR_READ 31
#define VMX_EXIT_MSR_WRITE 32
#define VMX_EXIT_EPT_VIOLATION 48
#define VMX_EXIT_EPT_MISCONFIG 49

#ifdef KSTATS_VMX
#define HYPERCALL VMX_EXIT_VMCALL
#else
#define HYPERCALL SVM_EXIT_VMMCALL
#endif

#define RAX 0 /* enum kvm_reg: as instructions encode them */
#define RCX 1

#if defined(KSTATS_DETAIL_MSR) || defined(KSTATS_DETAIL_HYPERCALL)
static __always_inline enum verdict guest_register(void *ctx, u32 number, u32 *value)
{
	u32 copy, *low = &copy;

	if (READ(low, AT(VCPU, GUEST_REGISTERS_OFFSET + number * sizeof(u64))))
		return UNREADABLE;
	*value = *low;
	return DECODED;
}
#endif

#if defined(KSTATS_DETAIL_MSR)

static __always_inline u32 msr_access(u64 code)
{
#ifdef KSTATS_VMX
	if (code == VMX_EXIT_MSR_READ)
		return ACCESS_READ;
	return code == VMX_EXIT_MSR_WRITE ? ACCESS_WRITE : ACCESS_NONE;
#else
	if (code == QUALIFIED(MSR_READ, SVM_EXIT_MSR))
		return ACCESS_READ;
	return code == QUALIFIED(MSR_WRITE, SVM_EXIT_MSR) ? ACCESS_WRITE : ACCESS_NONE;
#endif
}

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u32 access = msr_access(code), msr = 0;

	if (access == ACCESS_NONE)
		return NO_DETAIL;
	if (guest_register(ctx, RCX, &msr))
		return UNREADABLE;
	*detail = DETAIL(access, 0, msr);
	return DECODED;
}

#elif defined(KSTATS_DETAIL_HYPERCALL)

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u32 number = 0;

	if (code != HYPERCALL)
		return NO_DETAIL;
	if (guest_register(ctx, RAX, &number))
		return UNREADABLE;
	*detail = DETAIL(ACCESS_NONE, 0, number);
	return DECODED;
}

#elif defined(KSTATS_VMX)

#if defined(KSTATS_DETAIL_IO)

/* Intel SDM vol. 3C, table 28-5. */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u64 q;

	if (code != VMX_EXIT_IO)
		return NO_DETAIL;
	q = FIELD(u64, REC_INFO1);
	*detail = DETAIL(q >> 3 & 1 ? ACCESS_READ : ACCESS_WRITE, (q & 7) + 1, q >> 16 & 0xffff);
	return DECODED;
}

#elif defined(KSTATS_DETAIL_CR)

/* Intel SDM vol. 3C, table 28-3. CLTS and LMSW write CR0. */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	u64 q;

	if (code != VMX_EXIT_CR_ACCESS)
		return NO_DETAIL;
	q = FIELD(u64, REC_INFO1);
	*detail = DETAIL((q >> 4 & 3) == 1 ? ACCESS_READ : ACCESS_WRITE, 0, q & 0xf);
	return DECODED;
}

#elif defined(KSTATS_DETAIL_ADDRESS)

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	if (code == VMX_EXIT_EPT_VIOLATION || code == VMX_EXIT_EPT_MISCONFIG)
		return DETAIL_PENDING;
	return NO_DETAIL;
}

#define EPT_WRITE (1 << 1) /* Intel SDM vol. 3C, table 28-7 */
#define EPT_FETCH (1 << 2)

/* kvm_page_fault (vcpu, address, exit qualification); older kernels do not pass the vCPU. */
PROGRAM(on_page_fault, void *ctx)
{
	u64 address, qualification;
	u32 access = ACCESS_READ;

	/* The verifier drops the branch that is not taken. Each is a load from the context, because
	 * the compiler would merge ordinary loads to one from a modified pointer to the context.
	 */
	if (NUMBER(PAGE_FAULT_ARGS) == 3) {
		address = FIELD(u64, 8);
		qualification = FIELD(u64, 16);
	} else {
		address = FIELD(u64, 0);
		qualification = FIELD(u64, 8);
	}
	if (qualification & EPT_FETCH)
		access = ACCESS_FETCH;
	else if (qualification & EPT_WRITE)
		access = ACCESS_WRITE;
	report_detail(VMX_EXIT_EPT_VIOLATION, DETAIL_AT(access, 0, address));
	return SEEN;
}

#define KVM_TRACE_MMIO_WRITE 2

/* kvm_mmio (type, bytes, address, value): once or more for each exit, in order. */
PROGRAM(on_mmio, void *ctx)
{
	u64 *arg = ((struct raw_args *)ctx)->arg;
	u32 access = (u32)arg[0] == KVM_TRACE_MMIO_WRITE ? ACCESS_WRITE : ACCESS_READ;

	report_detail(VMX_EXIT_EPT_MISCONFIG, DETAIL_AT(access, arg[1], arg[2]));
	return SEEN;
}

/* kvm_fast_mmio (address): a write to an ioeventfd. KVM does not decode the instruction. */
PROGRAM(on_fast_mmio, void *ctx)
{
	u64 *arg = ((struct raw_args *)ctx)->arg;

	report_detail(VMX_EXIT_EPT_MISCONFIG, DETAIL_AT(ACCESS_WRITE, 0, arg[0]));
	return SEEN;
}

#endif

#elif defined(KSTATS_DETAIL_CR)

static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	if (code < SVM_EXIT_CR_END)
		*detail = DETAIL(code & SVM_CR_WRITE ? ACCESS_WRITE : ACCESS_READ, 0, code & 0xf);
	else if (code >= SVM_EXIT_CR_TRAP && code < SVM_EXIT_CR_TRAP_END)
		*detail = DETAIL(ACCESS_WRITE, 0, code & 0xf);
	else if (code == SVM_EXIT_CR0_SEL_WRITE)
		*detail = DETAIL(ACCESS_WRITE, 0, 0);
	else
		return NO_DETAIL;
	return DECODED;
}

#else

/* EXITINFO1 and EXITINFO2 of the VMCB (AMD APM vol. 2, appendix B), or of the record. */
struct exit_info {
	u64 one;
	u64 two;
};

static __always_inline enum verdict exit_info(void *ctx, struct exit_info *info)
{
#ifdef KSTATS_CLASSIC
	info->one = FIELD(u64, REC_INFO1);
	info->two = FIELD(u64, REC_INFO2);
#else
	struct exit_info copy, *both = &copy;
	void *vmcb_copy, **vmcb = &vmcb_copy;

	READ(vmcb, AT(VCPU, VMCB_OFFSET));
	if (READ(both, AT(*vmcb, EXIT_INFO_OFFSET)))
		return UNREADABLE;
	*info = *both;
#endif
	return DECODED;
}

#if defined(KSTATS_DETAIL_IO)

/* AMD APM vol. 2, 15.10.2. */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	struct exit_info info;

	if (code != SVM_EXIT_IOIO)
		return NO_DETAIL;
	if (exit_info(ctx, &info))
		return UNREADABLE;
	*detail = DETAIL(info.one & 1 ? ACCESS_READ : ACCESS_WRITE, info.one >> 4 & 7,
			 info.one >> 16 & 0xffff);
	return DECODED;
}

#elif defined(KSTATS_DETAIL_ADDRESS)

#define PFERR_WRITE (1 << 1)
#define PFERR_FETCH (1 << 4)

/* AMD APM vol. 2, 15.25.6: a page fault's error code, and the address. */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail)
{
	struct exit_info info;
	u32 access = ACCESS_READ;

	if (code != SVM_EXIT_NPF)
		return NO_DETAIL;
	if (exit_info(ctx, &info))
		return UNREADABLE;
	if (info.one & PFERR_FETCH)
		access = ACCESS_FETCH;
	else if (info.one & PFERR_WRITE)
		access = ACCESS_WRITE;
	*detail = DETAIL_AT(access, 0, info.two);
	return DECODED;
}

#endif

#endif
