/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The per-thread layout: exits by thread, CPU and code.
 *
 * Each CPU has a small open-addressed table of its own, which no other CPU writes: a thread that
 * keeps exiting for the same reasons finds its counters at the first or second look, whatever
 * else runs on the CPU. Nothing is ever moved or copied. What finds no place there is counted in
 * a hash that all CPUs share; what finds none there either keeps its CPU and code in `counts`,
 * and loses only its thread.
 *
 * Threads are told apart by the kernel's pid_tgid: the memory of a vCPU is used again, and
 * arm64's tracepoints do not tell it.
 */

#define WAYS 4 /* looks before the hash is asked */

struct thread_count {
	u64 code;
	u64 thread; /* 0: unused */
	u64 n;
};

struct thread_table {
	struct thread_count entries[KSTATS_TABLE_SIZE]; /* a power of two */
};

BPF_PERCPU_ARRAY(threads, struct thread_table, 1);

struct thread_key {
	u64 thread;
	u64 code;
	u64 cpu;
};

BPF_HASH(more_threads, struct thread_key, u64, KSTATS_MORE_THREADS);

static __always_inline struct thread_count *place_of(struct thread_table *table, u64 thread,
						     u64 code)
{
	/* The codes of a thread are small numbers, mostly: they spread by themselves. */
	u64 i, at = (thread * 0x9e3779b97f4a7c15ULL >> 48) + code;

#pragma unroll
	for (i = 0; i < WAYS; i++) {
		struct thread_count *c = &table->entries[(at + i) & (KSTATS_TABLE_SIZE - 1)];

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

static __always_inline int count_in_table(u64 thread, u64 code)
{
	int zero = 0;
	struct thread_table *table = threads.lookup(&zero);
	struct thread_count *c;

	if (!table)
		return -1;
	c = place_of(table, thread, code);
	if (!c)
		return -1;
	c->n++;
	return 0;
}

static __always_inline int count_in_hash(u64 thread, u64 code)
{
	struct thread_key key = {.thread = thread, .code = code, .cpu = bpf_get_smp_processor_id()};
	u64 zero = 0, *n = more_threads.lookup_or_try_init(&key, &zero);

	if (!n)
		return -1;
	(*n)++;
	return 0;
}

static __always_inline void count_unattributed(u64 code, int why)
{
	if (why)
		count_undecoded(why);
	else
		count_on_cpu(code);
}

int on_exit(void *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	u64 code = 0, detail = DETAIL_UNTOLD;
	int why, timed, told = NO_DETAIL;

	if (!is_wanted(thread))
		return SEEN;
	why = exit_code(ctx, &code);
	timed = !why;
#ifdef KSTATS_DETAILS
	if (!why)
		told = count_detail(ctx, thread, code, &detail);
	timed = told != NO_DETAIL;
#endif
	if (told && (why || (count_in_table(thread, code) && count_in_hash(thread, code))))
		count_unattributed(code, why);
#ifdef KSTATS_LATENCY
	if (timed)
		begin_latency(thread, code, detail);
#ifdef KSTATS_DETAILS
	else
		skip_latency(thread);
#endif
#endif
#ifdef KSTATS_SPENT
	leave_guest(thread, code);
#endif
	return SEEN;
}
