/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * How long exits take: from kvm_exit to the next kvm_entry of the same thread, on whatever CPU
 * that is. threads.c calls begin_latency(), entries.c end_latency(), ends.c end_latencies().
 *
 * With details (detail.c), exits are told apart by what they tell, too.
 *
 * A histogram is stored by powers of two, each with its eight buckets (kstats/histogram.py), so
 * that memory goes only to durations that occur. A thread does one thing at a time: it alone
 * changes what is its own.
 */

#define SUB_BITS 3
#define SUB_BUCKETS (1 << SUB_BITS)
#define ANY_CPU (~0u)

#define ENDED (~0ULL)

/* The exit of a thread that has not been followed by an entry. */
struct open_exit {
	u64 began; /* 0: there is none; ENDED: the thread has ended */
	u64 code;
	u64 cpu;
#ifdef KSTATS_DETAILS
	u64 detail;
#endif
};

BPF_HASH(open_exits, u64, struct open_exit, KSTATS_OPEN_EXITS);

struct latency_key {
	u64 thread;
	u64 code;
	u32 cpu; /* where the guest was left */
	u32 power;
#ifdef KSTATS_DETAILS
	u64 detail;
#endif
};

struct latency {
	u64 buckets[SUB_BUCKETS];
	u64 total;
	u64 minimum;
	u64 maximum;
};

BPF_HASH(latencies, struct latency_key, struct latency, KSTATS_LATENCIES);

/* Exits whose end was not seen, or found no room. */
BPF_PERCPU_ARRAY(untimed, u64, 1);

static __always_inline void count_untimed(void)
{
	int zero = 0;
	u64 *n = untimed.lookup(&zero);

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
#ifdef KSTATS_DETAILS
	    .detail = e->detail,
#endif
	};
	struct latency *l = latencies.lookup_or_try_init(&key, &nothing);

	if (!l) {
		count_untimed();
		return;
	}
	l->buckets[ns >> (shift & 63) & (SUB_BUCKETS - 1)]++;
	l->total += ns;
	if (ns < l->minimum)
		l->minimum = ns;
	if (ns > l->maximum)
		l->maximum = ns;
}

/* Some kernels go back into the guest without saying so (VMX's fast path before 5.11). */
static __always_inline void abandon_latency(struct open_exit *e)
{
	if (!e->began || e->began == ENDED)
		return;
	count_untimed();
	e->began = 0;
}

static __always_inline void begin_latency(u64 thread, u64 code, u64 detail)
{
	struct open_exit none = {}, *e = open_exits.lookup_or_try_init(&thread, &none);

	if (!e) {
		count_untimed();
		return;
	}
	abandon_latency(e);
	e->code = code;
#ifdef KSTATS_DETAILS
	e->detail = detail;
#endif
	e->cpu = bpf_get_smp_processor_id();
	e->began = bpf_ktime_get_ns();
}

static __always_inline void end_latency(u64 thread)
{
	struct open_exit *e = open_exits.lookup(&thread);
	u64 now, ns;

	if (!e || !e->began || e->began == ENDED)
		return;
	now = bpf_ktime_get_ns();
	ns = now - e->began;
	keep_latency(thread, e, ns);
#ifdef KSTATS_SLOWER_THAN
	if (ns > KSTATS_SLOWER_THAN) {
		struct slow_exit slow = {
		    .thread = thread, .code = e->code, .ended = now, .ns = ns, .cpu = e->cpu};

		tell_slow(&slow);
	}
#endif
	e->began = 0;
}

#ifdef KSTATS_DETAILS

/* An exit that is not timed: none before it can end any more. */
static __always_inline void skip_latency(u64 thread)
{
	struct open_exit *e = open_exits.lookup(&thread);

	if (e)
		abandon_latency(e);
}

static __always_inline void tell_latency(u64 thread, u64 detail)
{
	struct open_exit *e = open_exits.lookup(&thread);

	if (e)
		e->detail = detail;
}

#endif

static __always_inline void end_latencies(u64 thread)
{
	struct open_exit *e = open_exits.lookup(&thread);

	if (e)
		e->began = ENDED;
}
