/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Exits by one kind of detail: by MSR, by port, by address. An exit that fits in the details table
 * is counted there and nowhere else. One that does not fit is counted by thread, like an exit
 * without a detail, so the sum is right and the number of dropped details is known.
 */

struct detail_key {
	u64 thread;
	u64 code;
	u64 cpu;
	u64 detail;
};

HASH(details, struct detail_key, u64);

/* Count an exit by its detail. */
static __always_inline enum counted keep_detail(u64 thread, u64 code, u64 cpu, u64 detail)
{
	struct detail_key key = {.thread = thread, .code = code, .cpu = cpu, .detail = detail};
	u64 one = 1, *n = map_lookup(MAP(details), &key);

	if (n) {
		(*n)++;
		return COUNTED;
	}
	if (!add_to_share(thread >> 32, SHARED_DETAILS, MAP(details), NUMBER(KSTATS_DETAILS_SIZE),
			  &key, &one))
		return NOT_COUNTED;
	return ADDED;
}

/* Like exit_detail(). A new exit also settles the thread's last one, if it is still pending. */
static __always_inline enum verdict find_detail(void *ctx, u64 thread, u64 code, u64 *detail)
{
	if (KSTATS_PENDING_DETAILS)
		settle_last_exit(thread);
	return exit_detail(ctx, code, detail);
}

/* Count an exit that has a detail, or leave it pending. */
static __always_inline enum counted count_detail(enum verdict found, u64 thread, u64 code,
						 u64 detail)
{
	if (KSTATS_PENDING_DETAILS && found == DETAIL_PENDING && await_detail(thread, code))
		return COUNTED;
	return keep_detail(thread, code, this_cpu(), detail);
}
