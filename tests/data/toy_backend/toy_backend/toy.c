/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The number of a visit is an argument of the tracepoint: the second of two, or, in houses
 * where the door tells the time as well, the first of three.
 *
 * TOY_SECOND_ARGUMENT, TOY_FIRST_ARGUMENT: which.
 */

static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	struct raw_args *args = ctx;

#ifdef TOY_SECOND_ARGUMENT
	*code = (u32)args->arg[1];
#else
	*code = (u32)args->arg[0];
#endif
	return DECODED;
}
