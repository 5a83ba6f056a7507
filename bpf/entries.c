/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Entries of each physical CPU, beside exits of whatever layout. */

int on_entry(void *ctx)
{
	int zero = 0;
	struct percpu_counts *c = counts.lookup(&zero);

	if (c)
		c->entries++;
	return SEEN;
}
