/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Slow exits, reported one by one as they end: at most KSTATS_SLOW_RATE a second of each process,
 * so that too low a threshold costs neither the host nor the reader much, and no more than its
 * share of the ring buffer (shares.c). The others are counted.
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

PERCPU_ARRAY(slow_dropped, u64);

#define SECOND 1000000000LL

static __always_inline bool is_slow(u64 ns)
{
	u64 threshold;

	/* More than 32 bits, so not NUMBER(). */
	asm("%0 = %1 ll" : "=r"(threshold) : "i"(KSTATS_SLOWER_THAN));
	return ns > threshold;
}

/* Report an exit if its process may. Several CPUs may find that it may, at the same time. */
static __always_inline bool report_of(u64 process, struct slow_exit *e)
{
	struct share none = {}, *own, *all;
	u64 everyone = EVERYONE;

	own = find_or_add(MAP(shares), &process, &none);
	all = find_or_add(MAP(shares), &everyone, &none);
	if (!own || !all)
		return false;
	/* Another CPU may have begun the second a little later than this exit ended. */
	if ((long long)(e->ended - own->second) >= SECOND) {
		own->second = e->ended;
		own->reported = 0;
	}
	if (own->reported >= NUMBER(KSTATS_SLOW_RATE) ||
	    !fits(own, all, process, SHARED_SLOW_EXITS, NUMBER(KSTATS_SLOW_SIZE)) ||
	    ring_output(MAP(slow_exits), e, sizeof(*e), 0)) {
		__sync_fetch_and_add(&own->refused[SHARED_SLOW_EXITS], 1);
		return false;
	}
	__sync_fetch_and_add(&own->reported, 1);
	__sync_fetch_and_add(&own->added[SHARED_SLOW_EXITS], 1);
	__sync_fetch_and_add(&all->added[SHARED_SLOW_EXITS], 1);
	return true;
}

static __always_inline void report_slow_exit(u64 thread, u64 code, u32 cpu, u64 ended, u64 ns)
{
	struct slow_exit e = {.thread = thread, .code = code, .ended = ended, .ns = ns, .cpu = cpu};
	u64 *dropped;

	if (report_of(thread >> 32, &e))
		return;
	dropped = only_value(MAP(slow_dropped));
	if (dropped)
		(*dropped)++;
}
