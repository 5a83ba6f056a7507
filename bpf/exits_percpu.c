/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Exits by physical CPU and code. */

PROGRAM(on_exit, void *ctx)
{
	u64 code;
	enum verdict decoded = exit_code(ctx, &code);

	if (RARELY(decoded != DECODED))
		count_undecoded(decoded);
	else
		count_on_cpu(code);
	return SEEN;
}
