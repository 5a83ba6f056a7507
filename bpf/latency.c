/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Latencies of exits: the time from kvm_exit to the next kvm_entry of the same thread, on whatever
 * CPU that is. Where details are counted (detail.c), latencies are kept by detail, too.
 *
 * A histogram is stored as one map entry for each power of two, with its eight buckets
 * (kstats/histogram.py), so that only durations that occur take memory. A thread alone writes
 * what belongs to it, and it does one thing at a time: no locks are needed.
 */

#define SUB_BITS 3
#define SUB_BUCKETS (1 << SUB_BITS)
#define ANY_CPU (~0u)

#define NOT_OPEN 0
#define THREAD_ENDED (~0ULL)

/* The last exit of a thread, until an entry follows. */
struct open_exit {
	u64 began; /* monotonic clock, or NOT_OPEN, or THREAD_ENDED */
	u64 code;
	u64 cpu;
#if KSTATS_DETAILS
	u64 detail;
#endif
};

HASH(open_exits, u64, struct open_exit);

struct latency_key {
	u64 thread;
	u64 code;
	u32 cpu; /* where the exit happened, or ANY_CPU */
	u32 power;
#if KSTATS_DETAILS
	u64 detail;
#endif
};

struct latency {
	u64 buckets[SUB_BUCKETS];
	u64 total;
	u64 minimum;
	u64 maximum;
};

HASH(latencies, struct latency_key, struct latency);

/* Exits that are counted but not timed: the entry was not seen, or a table was full. */
PERCPU_ARRAY(latency_dropped, u64);

static __always_inline void drop_latency(void)
{
	u64 *n = only_value(MAP(latency_dropped));

	if (n)
		(*n)++;
}

static __always_inline u32 log2_of(u64 value)
{
	u32 log2 = 0;

	if (value >> 32) {
		value >>= 32;
		log2 += 32;
	}
	if (value >> 16) {
		value >>= 16;
		log2 += 16;
	}
	if (value >> 8) {
		value >>= 8;
		log2 += 8;
	}
	if (value >> 4) {
		value >>= 4;
		log2 += 4;
	}
	if (value >> 2) {
		value >>= 2;
		log2 += 2;
	}
	return log2 + (value >> 1);
}

static __always_inline void keep_latency(u64 thread, struct open_exit *e, u64 ns)
{
	struct latency nothing = {.minimum = ~0ULL};
	u32 shift = ns < SUB_BUCKETS ? 0 : log2_of(ns) - SUB_BITS;
	struct latency_key key = {
		.thread = thread,
		.code = e->code,
		.cpu = KSTATS_LATENCY_BY_CPU ? e->cpu : ANY_CPU,
		.power = ns < SUB_BUCKETS ? 0 : shift + 1,
#if KSTATS_DETAILS
		.detail = e->detail,
#endif
	};
	struct latency *l = map_lookup(MAP(latencies), &key);

	if (!l && add_to_share(thread >> 32, SHARED_LATENCIES, MAP(latencies),
			       NUMBER(KSTATS_LATENCIES_SIZE), &key, &nothing))
		l = map_lookup(MAP(latencies), &key);
	if (!l) {
		drop_latency();
		return;
	}
	/* The verifier cannot derive that shift is below 64. */
	l->buckets[ns >> (shift & 63) & (SUB_BUCKETS - 1)]++;
	l->total += ns;
	if (ns < l->minimum)
		l->minimum = ns;
	if (ns > l->maximum)
		l->maximum = ns;
}

static __always_inline bool is_open(struct open_exit *e)
{
	return e->began != NOT_OPEN && e->began != THREAD_ENDED;
}

/* Some kernels re-enter the guest without kvm_entry (VMX's fast path before 5.11). */
static __always_inline void abandon_latency(struct open_exit *e)
{
	if (!is_open(e))
		return;
	drop_latency();
	e->began = NOT_OPEN;
}

static __always_inline void begin_latency(u64 thread, u64 code, u64 detail)
{
	struct open_exit none = {}, *e = find_or_add(MAP(open_exits), &thread, &none);

	if (!e) {
		drop_latency();
		return;
	}
	abandon_latency(e);
	e->code = code;
#if KSTATS_DETAILS
	e->detail = detail;
#endif
	e->cpu = this_cpu();
	e->began = clock_ns();
}

static __always_inline void end_latency(u64 thread)
{
	struct open_exit *e = map_lookup(MAP(open_exits), &thread);
	u64 now, ns;

	if (!e || !is_open(e))
		return;
	now = clock_ns();
	ns = now - e->began;
	keep_latency(thread, e, ns);
	if (KSTATS_SLOW_EXITS && is_slow(ns))
		report_slow_exit(thread, e->code, e->cpu, now, ns);
	e->began = NOT_OPEN;
}

#if KSTATS_DETAILS

/* An exit that is not timed: no entry after it can end an exit before it. */
static __always_inline void skip_latency(u64 thread)
{
	struct open_exit *e = map_lookup(MAP(open_exits), &thread);

	if (e)
		abandon_latency(e);
}

static __always_inline void set_latency_detail(u64 thread, u64 detail)
{
	struct open_exit *e = map_lookup(MAP(open_exits), &thread);

	if (e)
		e->detail = detail;
}

#endif

/* sched_process_exit: mark the thread's entry. The reader deletes what belongs to the thread. */
PROGRAM(end_thread_latency, void *ctx)
{
	u64 thread = this_thread();
	struct open_exit *e = map_lookup(MAP(open_exits), &thread);

	if (e)
		e->began = THREAD_ENDED;
	return 0;
}
