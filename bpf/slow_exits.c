/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Slow exits, reported one by one as they end: at most KSTATS_SLOW_RATE a second on each CPU, so
 * that too low a threshold costs neither the host nor the reader much. The others are counted.
 */

struct slow_exit {
	u64 thread;
	u64 code;
	u64 ended; /* the monotonic clock */
	u64 ns;
	u32 cpu;
	u32 padding;
};

#define PAGE_SIZE KSTATS_PAGE_SIZE /* BPF_RINGBUF_OUTPUT() needs it */

BPF_RINGBUF_OUTPUT(slow_exits, KSTATS_SLOW_PAGES);

struct slow_budget {
	u64 began;    /* of the current second */
	u64 reported; /* in this second */
	u64 dropped;  /* ever */
};

BPF_PERCPU_ARRAY(slow_budgets, struct slow_budget, 1);

#define SECOND 1000000000ULL

static __always_inline void report_slow_exit(u64 thread, u64 code, u32 cpu, u64 ended, u64 ns)
{
	struct slow_exit e = {.thread = thread, .code = code, .ended = ended, .ns = ns, .cpu = cpu};
	int zero = 0;
	struct slow_budget *b = slow_budgets.lookup(&zero);

	if (!b)
		return;
	if (ended - b->began >= SECOND) {
		b->began = ended;
		b->reported = 0;
	}
	if (b->reported >= KSTATS_SLOW_RATE || slow_exits.ringbuf_output(&e, sizeof(e), 0))
		b->dropped++;
	else
		b->reported++;
}
