/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Details that the kernel reports while it handles an exit, through tracepoints after kvm_exit.
 * Until then the exit is pending: it is counted when its detail is reported, or with the detail
 * DETAIL_UNKNOWN when the thread exits again. The first reported detail of an exit counts.
 */

/* At most one for each thread. */
struct pending_exit {
	u64 code;
	u64 cpu;
};

HASH(pending_exits, u64, struct pending_exit);

static __always_inline void settle(u64 thread, struct pending_exit *exit, u64 detail)
{
	u64 code = exit->code, cpu = exit->cpu;
	enum counted counted;

	map_delete(MAP(pending_exits), &thread);
	if (KSTATS_LATENCY)
		set_latency_detail(thread, detail);
	if (KSTATS_HANDLERS) {
		set_open_detail(thread, detail);
		return;
	}
	counted = keep_detail(thread, code, cpu, detail);
	if (!counted)
		counted = count_by_thread(thread, code);
	if (!counted)
		count_on_cpu(code);
	else if (counted == ADDED)
		report_first_exit(thread);
}

static __always_inline bool await_detail(u64 thread, u64 code)
{
	struct pending_exit exit = {.code = code, .cpu = this_cpu()};

	return !map_update(MAP(pending_exits), &thread, &exit, 0);
}

static __always_inline void settle_last_exit(u64 thread)
{
	struct pending_exit *exit = map_lookup(MAP(pending_exits), &thread);

	if (exit)
		settle(thread, exit, DETAIL_UNKNOWN);
}

/* The current thread's exit has this detail, if its code is `code`. */
static __always_inline void report_detail(u32 code, u64 detail)
{
	u64 thread = this_thread();
	struct pending_exit *exit = map_lookup(MAP(pending_exits), &thread);

	if (exit && exit->code == code)
		settle(thread, exit, detail);
}
