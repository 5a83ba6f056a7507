/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What more some exits tell, one kind at a time: which MSR, which port, which address. An exit
 * whose detail is kept is counted here and nowhere else; one that finds no room is counted by
 * threads.c like any other, so that the sum is right and what has no detail is known.
 *
 * An architecture's detail file, which comes before this one, gives
 *
 *	static __always_inline int exit_detail(void *ctx, u64 code, u64 *detail)
 *
 * which returns 0 and the detail of an exit, NO_DETAIL when exits of this code have none of the
 * kind, UNREADABLE, or DETAIL_LATER: then the kernel tells it while it handles the exit, to one
 * of the functions that call tell_detail().
 */

struct detail_key {
	u64 thread;
	u64 code;
	u64 cpu;
	u64 detail;
};

BPF_HASH(details, struct detail_key, u64, KSTATS_DETAILS);

static __always_inline int keep_detail(struct detail_key *key)
{
	u64 zero = 0, *n = details.lookup_or_try_init(key, &zero);

	if (!n)
		return -1;
	(*n)++;
	return 0;
}

#ifdef KSTATS_UNTOLD

/* Exits whose detail is not told yet: at most one of each thread. */
struct untold_exit {
	u64 code;
	u64 cpu;
};

BPF_HASH(untold_exits, u64, struct untold_exit, KSTATS_UNTOLD);

static __always_inline int count_in_table(u64 thread, u64 code);
static __always_inline int count_in_hash(u64 thread, u64 code);
static __always_inline void count_unattributed(u64 code, int why);

static __always_inline void settle(u64 thread, struct untold_exit *exit, u64 detail)
{
	struct detail_key key = {
	    .thread = thread, .code = exit->code, .cpu = exit->cpu, .detail = detail};

	untold_exits.delete(&thread);
#ifdef KSTATS_LATENCY
	tell_latency(thread, detail);
#endif
	if (keep_detail(&key) && count_in_table(thread, key.code) &&
	    count_in_hash(thread, key.code))
		count_unattributed(key.code, 0);
}

/* The first detail that is told of an exit is its detail. */
static __always_inline void tell_detail(u32 code, u64 detail)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct untold_exit *exit = untold_exits.lookup(&thread);

	if (exit && exit->code == code)
		settle(thread, exit, detail);
}

/* Counted when it is told, or else when the thread exits again. */
static __always_inline int await_detail(u64 thread, u64 code)
{
	struct untold_exit exit = {.code = code, .cpu = bpf_get_smp_processor_id()};

	return untold_exits.update(&thread, &exit);
}

static __always_inline void settle_last_exit(u64 thread)
{
	struct untold_exit *exit = untold_exits.lookup(&thread);

	if (exit)
		settle(thread, exit, DETAIL_UNTOLD);
}

#else

static __always_inline int await_detail(u64 thread, u64 code)
{
	return -1;
}

static __always_inline void settle_last_exit(u64 thread)
{
}

#endif

/* 0 if the exit is counted here, or is going to be; NO_DETAIL if it has none. */
static __always_inline int count_detail(void *ctx, u64 thread, u64 code, u64 *detail)
{
	struct detail_key key = {.thread = thread, .code = code, .detail = DETAIL_UNTOLD};
	int why;

	settle_last_exit(thread);
	why = exit_detail(ctx, code, &key.detail);
	*detail = key.detail;
	if (why == NO_DETAIL)
		return NO_DETAIL;
	if (why == DETAIL_LATER && !await_detail(thread, code))
		return 0;
	key.cpu = bpf_get_smp_processor_id();
	return keep_detail(&key);
}
