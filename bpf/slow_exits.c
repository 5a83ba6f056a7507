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

RING_BUFFER(slow_exits);

struct slow_budget {
	u64 began;    /* of the current second */
	u64 reported; /* in this second */
	u64 dropped;  /* ever */
};

PERCPU_ARRAY(slow_budgets, struct slow_budget);

#define SECOND 1000000000ULL

static __always_inline bool is_slow(u64 ns)
{
	u64 threshold;

	/* More than 32 bits, so not NUMBER(). */
	asm("%0 = %1 ll" : "=r"(threshold) : "i"(KSTATS_SLOWER_THAN));
	return ns > threshold;
}

static __always_inline void report_slow_exit(u64 thread, u64 code, u32 cpu, u64 ended, u64 ns)
{
	struct slow_exit e = {.thread = thread, .code = code, .ended = ended, .ns = ns, .cpu = cpu};
	struct slow_budget *b = only_value(MAP(slow_budgets));

	if (!b)
		return;
	if (ended - b->began >= SECOND) {
		b->began = ended;
		b->reported = 0;
	}
	if (b->reported >= NUMBER(KSTATS_SLOW_RATE) ||
	    ring_output(MAP(slow_exits), &e, sizeof(e), 0))
		b->dropped++;
	else
		b->reported++;
}
