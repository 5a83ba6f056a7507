/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Exits by thread, CPU and code.
 *
 * Each CPU has a small open-addressed table of its own, which no other CPU writes: a thread that
 * keeps exiting for the same reasons finds its counters at the first or second probe, whatever
 * else runs on the CPU. Entries are never moved or copied; those of threads that have ended are
 * freed. Exits that do not fit there are counted in a hash that all CPUs share; exits that do not
 * fit there either are counted by CPU and code (counts.c), without their thread.
 *
 * A thread is identified by the kernel's pid_tgid: the kernel reuses the memory of vCPUs, and
 * arm64's tracepoints do not pass the vCPU.
 */

#define WAYS 4 /* probes before the shared hash is used */

struct thread_count {
	u64 thread; /* 0: unused. The reader copies it first: see count_in_table(). */
	u64 code;
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

static __always_inline enum counted count_in_table(u64 thread, u64 code)
{
	struct thread_table *table = only_value(MAP(threads));
	/* Multiply by 2^64 / phi to spread the threads. The codes of a thread are mostly small
	 * numbers, which are spread already.
	 */
	u64 way, at = (thread * 0x9e3779b97f4a7c15ULL >> 48) + code;

	if (!table)
		return NOT_COUNTED;
#pragma unroll
	for (way = 0; way < WAYS; way++) {
		struct thread_count *c;
		u64 i = at + way;

		asm("%0 &= %1" : "+r"(i) : "i"(KSTATS_TABLE_SIZE - 1));
		c = &table->entries[i];
		asm("" : "+r"(c)); /* keep the compiler from computing it again */
		if (c->thread == thread && c->code == code) {
			c->n++;
			return COUNTED;
		}
		if (RARELY(!c->thread)) {
			BARRIER(); /* do not merge it with the common path */
			c->code = code;
			c->n = 1;
			/* The reader skips an entry without a thread. It copies words in their
			 * order: if it finds the thread, it finds the others too.
			 */
			BARRIER();
			c->thread = thread;
			return ADDED;
		}
	}
	return NOT_COUNTED;
}

static __always_inline enum counted count_in_hash(u64 thread, u64 code)
{
	struct thread_key key = {.thread = thread, .code = code, .cpu = this_cpu()};
	u64 one = 1, *n = map_lookup(MAP(more_threads), &key);

	if (n) {
		(*n)++;
		return COUNTED;
	}
	if (!add_to_share(thread >> 32, SHARED_THREADS, MAP(more_threads),
			  NUMBER(KSTATS_MORE_THREADS), &key, &one))
		return NOT_COUNTED;
	return ADDED;
}

static __always_inline enum counted count_by_thread(u64 thread, u64 code)
{
	enum counted counted = count_in_table(thread, code);

	return counted ? counted : count_in_hash(thread, code);
}

PROGRAM(on_exit, void *ctx)
{
	u64 thread = this_thread();
	u64 code = 0, detail = DETAIL_UNKNOWN;
	enum verdict decoded, found = NO_DETAIL;
	enum counted counted = NOT_COUNTED;
	bool timed;

	if (!is_wanted(thread))
		return SEEN;

	decoded = exit_code(ctx, &code);
	if (KSTATS_DETAILS && decoded == DECODED) {
		found = find_detail(ctx, thread, code, &detail);
		if (found != NO_DETAIL && !KSTATS_HANDLERS)
			counted = count_detail(found, thread, code, detail);
	}
	if (KSTATS_HANDLERS)
		counted = await_handler(thread, decoded, code, found, detail);
	if (decoded == DECODED && !counted)
		counted = count_by_thread(thread, code);
	if (decoded != DECODED)
		count_undecoded(decoded);
	else if (!counted)
		count_on_cpu(code);
	else if (RARELY(counted == ADDED))
		report_first_exit(thread);

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

/* A counter of the table that the reader wants to free, because its thread has ended. */
struct old_count {
	u64 entry;
	u64 n; /* as the reader has seen it; 0: none */
	u64 freed;
};

struct old_counts {
	struct old_count counts[KSTATS_FREED];
};

ARRAY(old_counts, struct old_counts);

/*
 * Free counters of this CPU's table. The reader runs this program, on the CPU of the table: no
 * exit is counted there meanwhile. It interrupts the current thread, which may be counting one.
 *
 * A counter is freed only if the reader has seen all that it counted: a new thread may have the
 * number of the one that has ended, and uses its counters. A freed entry before that of another
 * thread makes that thread add a second counter; the reader adds them up.
 */
PROGRAM(free_counters, void *ctx)
{
	struct thread_table *table = only_value(MAP(threads));
	struct old_counts *old = VALUE(old_counts);
	u64 current = this_thread();

	if (!table)
		return 0;
	for (int n = 0; n < KSTATS_FREED; n++) {
		struct old_count *o = &old->counts[n];
		struct thread_count *c;
		u64 i = o->entry;

		asm("%0 &= %1" : "+r"(i) : "i"(KSTATS_TABLE_SIZE - 1));
		c = &table->entries[i];
		if (!o->n || c->n != o->n || c->thread == current)
			continue;
		c->thread = 0;
		c->code = 0;
		c->n = 0;
		o->freed = 1;
	}
	return 0;
}
