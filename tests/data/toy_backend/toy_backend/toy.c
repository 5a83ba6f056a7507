/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The number of a visit is an argument of the tracepoint: the second of two, or the first of
 * three in houses that also pass the time.
 *
 * TOY_SECOND_ARGUMENT or TOY_FIRST_ARGUMENT selects the argument.
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
