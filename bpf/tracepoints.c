/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Firings of other tracepoints by thread, in the tables of exits_thread.c: the code of event N is
 * N with a qualifier that no exit has. The functions that run at the tracepoints are generated,
 * because the arguments that they test are data of the architecture. Each calls count_event() in
 * the vCPU's thread.
 */

struct event_counts {
	u64 n[KSTATS_EVENTS];
};

/* Firings that do not fit in the thread tables: without their thread, by event and CPU. */
PERCPU_ARRAY(other_events, struct event_counts);

static __always_inline void count_event(u32 number)
{
	u64 thread = this_thread();
	struct event_counts *c;

	if (!is_wanted(thread) ||
	    count_by_thread(thread, QUALIFIED(KSTATS_EVENT_QUALIFIER, number)))
		return;
	c = only_value(MAP(other_events));
	if (c)
		c->n[number]++;
}
