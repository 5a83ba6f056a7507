/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * RISC-V: the tracepoint passes a struct kvm_cpu_trap with the hart's scause. Its topmost bit
 * distinguishes interrupts and exceptions, which have numberings of their own.
 *
 * KSTATS_RAW_BTF  raw tracepoint (trap): scause is read at an offset from BTF
 * KSTATS_CLASSIC  the classic record, at an offset from the event's format file
 */

#define INTERRUPT 1

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	u64 scause = 0;

#ifdef KSTATS_CLASSIC
	scause = FIELD(u64, REC_SCAUSE);
#else
	struct raw_args *args = ctx;

	if (read_kernel(&scause, sizeof(scause), AT(args->arg[0], SCAUSE_OFFSET)))
		return UNREADABLE;
#endif
	*code = scause >> 63 ? QUALIFIED(INTERRUPT, scause) : (u32)scause;
	return DECODED;
}
