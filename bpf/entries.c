/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Entries of each physical CPU, beside exits of whatever layout; and what waits for an entry. */

int on_entry(void *ctx)
{
#if defined(KSTATS_LATENCY) || defined(KSTATS_SPENT)
	u64 thread = bpf_get_current_pid_tgid();
#endif
	struct percpu_counts *c;

#ifdef KSTATS_LATENCY
	end_latency(thread);
#endif
#ifdef KSTATS_SPENT
	enter_guest(thread);
#endif
	c = counts_here();
	if (c)
		c->entries++;
	return SEEN;
}
