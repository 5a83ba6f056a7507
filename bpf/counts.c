/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Counters per physical CPU: one array whose single value holds all counters of all CPUs, so that
 * one system call reads them. Counters only grow; a report is the difference of two readings.
 *
 * Plain increments are safe: the kernel runs a program of ours at most once at a time on a CPU,
 * and says so (recursion_misses) when it had to skip one.
 */

struct percpu_counts {
	u64 entries;
	u64 foreign; /* exits of an ISA that exit_code() does not decode */
	u64 lost;    /* exits whose code could not be read, or found no room in odd_codes */
	u64 exits[KSTATS_SLOTS];
};

/* Not an array of the per-CPU kind: the address of its value can be part of the program. What
 * neighbours share a cache line are a CPU's last slots, of codes that hardly occur, and the next
 * one's first words.
 */
struct all_counts {
	struct percpu_counts cpu[KSTATS_CPUS];
};

BPF_ARRAY(counts, struct all_counts, 1);

static __always_inline struct percpu_counts *counts_here(void)
{
	u64 cpu = bpf_get_smp_processor_id();
#ifdef KSTATS_COUNTS
	struct all_counts *all = (void *)bpf_pseudo_fd(2, KSTATS_COUNTS);

	if (!all)
		__builtin_unreachable();
#else
	int zero = 0;
	struct all_counts *all = counts.lookup(&zero);

	if (!all)
		return NULL;
#endif
	/* There is no such CPU, but the verifier does not know. */
	return &all->cpu[RARELY(cpu >= KSTATS_CPUS) ? 0 : cpu];
}

/* Codes without a slot: few exist, but every one must keep its number. */
struct odd_code {
	u64 code;
	u64 cpu;
};

BPF_HASH(odd_codes, struct odd_code, u64, KSTATS_ODD_CODES);

/* Keeps the compiler from joining what is rare with what is not, at the latter's expense. */
#define RARE asm volatile("" ::: "memory")

static __always_inline void count_undecoded(int why)
{
	struct percpu_counts *c;

	RARE;
	c = counts_here();
	if (!c)
		return;
	if (why == FOREIGN)
		c->foreign++;
	else
		c->lost++;
}

static __always_inline void count_odd_code(u64 code)
{
	struct odd_code key = {.code = code, .cpu = bpf_get_smp_processor_id()};
	u64 zero = 0, *n = odd_codes.lookup_or_try_init(&key, &zero);

	RARE;
	if (n)
		(*n)++;
	else
		count_undecoded(UNREADABLE);
}

static __always_inline void count_on_cpu(u64 code)
{
	struct percpu_counts *c = counts_here();
	u64 slot; /* as wide as a register, or the verifier would have it cut to size first */

	if (RARELY(!c))
		return;
	if (!RARELY(code >= KSTATS_LOW_CODES)) {
		c->exits[code]++;
		return;
	}
	RARE;
	slot = slot_of(code);
	/* The verifier must see the comparison below, which the compiler knows it could leave out.
	 */
	asm volatile("" : "+r"(slot));
	if (slot < KSTATS_SLOTS)
		c->exits[slot]++;
	else
		count_odd_code(code);
}
