/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Single exits that took long, told as they end: at most KSTATS_SLOW_RATE in a second on each
 * CPU, so that a threshold too low costs neither host nor reader much. What is not told is counted.
 */

struct slow_exit {
	u64 thread;
	u64 code;
	u64 ended; /* the monotonic clock */
	u64 ns;
	u32 cpu;
	u32 padding;
};

#define PAGE_SIZE KSTATS_PAGE_SIZE /* for bcc */

BPF_RINGBUF_OUTPUT(slow_exits, KSTATS_SLOW_PAGES);

struct slow_budget {
	u64 began;
	u64 told; /* since then */
	u64 dropped;
};

BPF_PERCPU_ARRAY(slow_budgets, struct slow_budget, 1);

#define SECOND 1000000000ULL

static __always_inline void tell_slow(struct slow_exit *e)
{
	int zero = 0;
	struct slow_budget *b = slow_budgets.lookup(&zero);

	if (!b)
		return;
	if (e->ended - b->began >= SECOND) {
		b->began = e->ended;
		b->told = 0;
	}
	if (b->told >= KSTATS_SLOW_RATE || slow_exits.ringbuf_output(e, sizeof(*e), 0))
		b->dropped++;
	else
		b->told++;
}
