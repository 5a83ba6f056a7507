/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * RISC-V: the tracepoint passes a struct kvm_cpu_trap, which has scause as the hart left it. Its
 * topmost bit tells interrupts from exceptions, which are numbered apart.
 *
 * KSTATS_RAW_BTF  raw tracepoint (trap): scause is read at an offset that BTF gives
 * KSTATS_CLASSIC  the classic record, at an offset that the event's format file gives
 */

#define INTERRUPT 1

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	u64 scause = 0;

#ifdef KSTATS_CLASSIC
	scause = *(u64 *)(ctx + REC_SCAUSE);
#else
	struct raw_args *args = ctx;

	if (bpf_probe_read_kernel(&scause, sizeof(scause), (void *)args->arg[0] + SCAUSE_OFFSET))
		return UNREADABLE;
#endif
	*code = scause >> 63 ? QUALIFIED(INTERRUPT, scause) : (u32)scause;
	return DECODED;
}
