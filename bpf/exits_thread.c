/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Exits by thread, CPU and code.
 *
 * Each CPU has a small open-addressed table of its own, which no other CPU writes: a thread that
 * keeps exiting for the same reasons finds its counters at the first or second probe, whatever
 * else runs on the CPU. Entries are never moved or copied. Exits that do not fit there are counted
 * in a hash that all CPUs share; exits that do not fit there either are counted by CPU and code
 * (counts.c), without their thread.
 *
 * A thread is identified by the kernel's pid_tgid: the kernel reuses the memory of vCPUs, and
 * arm64's tracepoints do not pass the vCPU.
 */

#define WAYS 4 /* probes before the shared hash is used */

struct thread_count {
	u64 code;
	u64 thread; /* 0: unused */
	u64 n;
};

struct thread_table {
	struct thread_count entries[SIZE_AT_LOAD(KSTATS_TABLE_SIZE)]; /* a power of two */
};

PERCPU_ARRAY(threads, struct thread_table);

struct thread_key {
	u64 thread;
	u64 code;
	u64 cpu;
};

HASH(more_threads, struct thread_key, u64);

/* Return the counter of a thread and code, or take an unused entry; NULL if the ways are full. */
static __always_inline struct thread_count *find_count(struct thread_table *table, u64 thread,
						       u64 code)
{
	/* Multiply by 2^64 / phi to spread the threads. The codes of a thread are mostly small
	 * numbers, which are spread already.
	 */
	u64 way, at = (thread * 0x9e3779b97f4a7c15ULL >> 48) + code;

#pragma unroll
	for (way = 0; way < WAYS; way++) {
		struct thread_count *c;
		u64 i = at + way;

		asm("%0 &= %1" : "+r"(i) : "i"(KSTATS_TABLE_SIZE - 1));
		c = &table->entries[i];
		if (c->thread == thread && c->code == code)
			return c;
		if (!c->thread) {
			c->code = code;
			c->thread = thread;
			return c;
		}
	}
	return NULL;
}

static __always_inline bool count_in_table(u64 thread, u64 code)
{
	struct thread_table *table = only_value(MAP(threads));
	struct thread_count *c;

	if (!table)
		return false;
	c = find_count(table, thread, code);
	if (!c)
		return false;
	c->n++;
	return true;
}

static __always_inline bool count_in_hash(u64 thread, u64 code)
{
	struct thread_key key = {.thread = thread, .code = code, .cpu = this_cpu()};
	u64 zero = 0, *n = find_or_add(MAP(more_threads), &key, &zero);

	if (!n)
		return false;
	(*n)++;
	return true;
}

static __always_inline bool count_by_thread(u64 thread, u64 code)
{
	return count_in_table(thread, code) || count_in_hash(thread, code);
}

PROGRAM(on_exit, void *ctx)
{
	u64 thread = this_thread();
	u64 code = 0, detail = DETAIL_UNKNOWN;
	enum verdict decoded, found = NO_DETAIL;
	bool counted = false, timed;

	if (!is_wanted(thread))
		return SEEN;

	decoded = exit_code(ctx, &code);
	if (KSTATS_DETAILS && decoded == DECODED) {
		found = find_detail(ctx, thread, code, &detail);
		counted = found != NO_DETAIL && count_detail(found, thread, code, detail);
	}
	if (decoded != DECODED)
		count_undecoded(decoded);
	else if (!counted && !count_by_thread(thread, code))
		count_on_cpu(code);

	/* Where details are counted, only exits with a detail are timed. */
	timed = KSTATS_DETAILS ? found != NO_DETAIL : decoded == DECODED;
	if (KSTATS_LATENCY && timed)
		begin_latency(thread, code, detail);
	else if (KSTATS_LATENCY && KSTATS_DETAILS)
		skip_latency(thread);

	if (KSTATS_VCPU_TIME)
		leave_guest(thread, code);
	return SEEN;
}
