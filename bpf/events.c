/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Firings of other tracepoints by thread, beside exits and in the same tables (threads.c): the
 * code of event number N is N under a qualifier that no exit has. The functions that the
 * tracepoints run are generated, as what they look at is data of the architecture; each calls
 * count_event() in the thread of the vCPU.
 */

struct event_counts {
	u64 n[KSTATS_EVENTS];
};

/* What finds no room with its thread keeps its event and CPU. */
BPF_PERCPU_ARRAY(other_events, struct event_counts, 1);

static __always_inline void count_event(u32 number)
{
	u64 thread = bpf_get_current_pid_tgid();
	u64 code = QUALIFIED(KSTATS_EVENT_QUALIFIER, number);
	int zero = 0;
	struct event_counts *c;

	if (!is_wanted(thread))
		return;
	if (!count_in_table(thread, code) || !count_in_hash(thread, code))
		return;
	c = other_events.lookup(&zero);
	if (c)
		c->n[number]++;
}
