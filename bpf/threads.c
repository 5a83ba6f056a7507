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

static __always_inline int count_in_table(u64 thread, u64 code)
{
	int zero = 0;
	struct thread_table *table = threads.lookup(&zero);
	u32 i, at = (u32)thread * 0x9e3779b1u >> 16;

	if (!table)
		return -1;
	/* The codes of a thread are small numbers, mostly: they spread by themselves. */
	at += (u32)code + (u32)(code >> 32);
#pragma unroll
	for (i = 0; i < WAYS; i++) {
		struct thread_count *c = &table->entries[(at + i) & (KSTATS_TABLE_SIZE - 1)];

		if (c->thread == thread && c->code == code) {
			c->n++;
			return 0;
		}
		if (!c->thread) {
			c->code = code;
			c->thread = thread;
			c->n = 1;
			return 0;
		}
	}
	return -1;
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
	int zero = 0;
	struct percpu_counts *c = counts.lookup(&zero);

	if (!c)
		return;
	if (why)
		count_undecoded(c, why);
	else
		count_on_cpu(c, code);
}

int on_exit(void *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();
	u64 code;
	int why;

	if (!is_wanted(thread))
		return SEEN;
	why = exit_code(ctx, &code);
	if (why || (count_in_table(thread, code) && count_in_hash(thread, code)))
		count_unattributed(code, why);
	return SEEN;
}
