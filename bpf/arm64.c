/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * ARM64: the tracepoint passes KVM's return code and the exception class of ESR_EL2. The class is
 * that of the last trap: it is valid only when the return code says "trap".
 *
 * KSTATS_RAW      raw tracepoint (ret, esr_ec, vcpu_pc)
 * KSTATS_CLASSIC  the classic record, at offsets from the event's format file
 */

#define ARM_EXCEPTION_TRAP 2
#define SERROR_PENDING (1U << 31) /* ARM_EXIT_WITH_SERROR_BIT, set in any return code */
#define RETURN_CODE 1

#ifdef KSTATS_CLASSIC
#define RET FIELD(u32, REC_RET)
#define ESR_EC FIELD(u32, REC_ESR_EC)
#else
#define RET ((u32)((struct raw_args *)ctx)->arg[0])
#define ESR_EC ((u32)((struct raw_args *)ctx)->arg[1])
#endif

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	u32 ret = RET & ~SERROR_PENDING;

	*code = ret == ARM_EXCEPTION_TRAP ? ESR_EC : QUALIFIED(RETURN_CODE, ret);
	return DECODED;
}
