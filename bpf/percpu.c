/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The per-CPU layout: exits of each physical CPU, and nothing else. */

int on_exit(void *ctx)
{
	int zero = 0;
	struct percpu_counts *c = counts.lookup(&zero);
	u64 code;
	int why;

	if (!c)
		return SEEN;
	why = exit_code(ctx, &code);
	if (why)
		count_undecoded(c, why);
	else
		count_on_cpu(c, code);
	return SEEN;
}
