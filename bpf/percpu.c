/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The per-CPU layout: exits of each physical CPU, and nothing else. */

int on_exit(void *ctx)
{
	u64 code;
	int why = exit_code(ctx, &code);

	if (RARELY(why))
		count_undecoded(why);
	else
		count_on_cpu(code);
	return SEEN;
}
