/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every program shares. kstats puts the files of one program one behind the other and
 * compiles the whole: this file, the architecture's (x64.c, arm64.c, or a backend's own), a
 * generated slot_of(), then the layout (percpu.c).
 *
 * An architecture's file gives
 *
 *	static __always_inline int exit_code(void *ctx, u64 *code)
 *
 * which stores the code of the exit that the kvm_exit tracepoint in ctx tells of, and returns
 * 0, FOREIGN when the exit belongs to an ISA that this program does not decode, or UNREADABLE
 * when the kernel did not let it be read. The low 32 bits of a code are the kernel's number, the
 * high 32 bits a qualifier.
 */

#define FOREIGN (-1)
#define UNREADABLE (-2)

#define QUALIFIED(qualifier, number) ((u64)(qualifier) << 32 | (u32)(number))

/* What a raw tracepoint program is given: the tracepoint's own arguments. */
struct raw_args {
	u64 arg[12];
};
