/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The sys_enter tracepoint (regs, id) as if it were kvm_exit on SVM: the code is the number of
 * the system call, but two places of the kernel's memory are read first, as large as SVM's and
 * one behind the other.
 */

struct two_words_read {
	u64 first;
	u64 second;
};

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
#if defined(SYS_ENTER_CAST) || defined(SYS_ENTER_BTF)
	void *regs = (void *)((struct raw_args *)ctx)->arg[0];
	void *copy, **pointer = &copy;
	struct two_words_read words, *read = &words;

	READ(pointer, regs);
	if (RARELY(READ(read, regs + 8 + ((u64)*pointer & 0))))
		return UNREADABLE;
	*code = ((struct raw_args *)ctx)->arg[1] + (read->first & 0);
#endif
	return DECODED;
}
