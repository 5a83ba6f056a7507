/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The code of an exit is the second argument of the tracepoint, whichever that is. */

#if defined(NATIVE_RAW2) || defined(NATIVE_RAW3)
static __always_inline enum verdict exit_code(void *ctx, u64 *code)
{
	*code = ((struct raw_args *)ctx)->arg[1];
	return DECODED;
}
#endif
