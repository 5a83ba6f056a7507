/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Counters of each physical CPU. Counters only grow; a report is the difference of two readings.
 *
 * Plain increments are safe: the kernel runs one of our programs at most once at a time on a CPU,
 * and counts (recursion_misses) when it had to skip one.
 */

struct percpu_counts {
	u64 entries;
	u64 unsupported_isa; /* exits of an ISA that exit_code() does not decode */
	u64 code_dropped;    /* exits whose code was unreadable, or did not fit in odd_codes */
	u64 exits[KSTATS_SLOTS];
};

/*
 * The only value of an array, with the counters of all CPUs, so that one system call reads them.
 * It is not a per-CPU array because the loader can put the address of this value into the
 * program, which saves the lookup. A cache line that two CPUs share holds the last slots of one,
 * which are rarely used codes, and the first words of the other.
 */
struct all_counts {
	struct percpu_counts cpu[SIZE_AT_LOAD(KSTATS_CPUS)];
};

ARRAY(counts, struct all_counts);

static __always_inline struct percpu_counts *counts_here(void)
{
	struct all_counts *all = VALUE(counts);
	u64 cpu = this_cpu();

	/* No CPU has such a number, but the verifier requires the bound. */
	asm("if %0 < %1 goto +1\n\t"
	    "%0 = 0"
	    : "+r"(cpu)
	    : "i"(KSTATS_CPUS));
	return &all->cpu[cpu];
}

/* Codes without a slot. They are rare, but each must keep its number. */
struct odd_code {
	u64 code;
	u64 cpu;
};

HASH(odd_codes, struct odd_code, u64);

static __always_inline void count_entry(void)
{
	counts_here()->entries++;
}

static __always_inline void count_undecoded(enum verdict verdict)
{
	struct percpu_counts *c;

	BARRIER(); /* this code is rare: do not merge it with the common path */
	c = counts_here();
	if (verdict == UNSUPPORTED_ISA)
		c->unsupported_isa++;
	else
		c->code_dropped++;
}

static __always_inline void count_odd_code(u64 code)
{
	struct odd_code key = {.code = code, .cpu = this_cpu()};
	u64 zero = 0, *n = find_or_add(MAP(odd_codes), &key, &zero);

	BARRIER();
	if (n)
		(*n)++;
	else
		count_undecoded(UNREADABLE);
}

static __always_inline void count_on_cpu(u64 code)
{
	struct percpu_counts *c = counts_here();
	u64 slot; /* 64 bits: a narrower index would cost the verifier an extra masking step */

	/* The codes from 0 to KSTATS_LOW_CODES are their own slots. */
	if (!RARELY(code >= KSTATS_LOW_CODES)) {
		c->exits[code]++;
		return;
	}
	BARRIER();
	slot = slot_of(code);
	/* Hide the value's origin: the compiler could prove the comparison below, but the verifier
	 * needs to see it.
	 */
	asm volatile("" : "+r"(slot));
	if (slot < KSTATS_SLOTS)
		c->exits[slot]++;
	else
		count_odd_code(code);
}
