/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Exits by who handled them: KVM, or the VMM, to which KVM_RUN returned between the exit and the
 * next entry. This is known some time after the exit. Until then the exit is open: it is counted
 * when KVM_RUN returns, or as handled by the kernel when its thread exits again. So each exit is
 * counted once, and the sum over the handlers is the number of exits.
 *
 * A return without an open exit belongs to none: KVM_RUN was interrupted before it entered the
 * guest, or it completes an access in several steps.
 */

#define HANDLER(kind, number) ((u64)(kind) << 32 | (u32)(number))
#define HANDLED_BY_KERNEL HANDLER(0, 0)
#define HANDLED_BY_VMM 1 /* the number is a KVM_EXIT_* */
#define FAILED 2         /* the number is an errno */

/* KVM_RUN fails with an error number, but sets the reason. Other errors leave an old reason. */
#define KVM_EXIT_MEMORY_FAULT 39

/* The detail of exits that do not carry the kind that is counted: no other detail is as large. */
#define WITHOUT_DETAIL (~1ULL)

struct unhandled_exit {
	u64 code;
	u64 detail;
	u64 cpu;
};

/*
 * By thread, which may move to another CPU. While KVM handles the exits, an entry is written in
 * place. A return deletes it, and a thread cannot end between an exit and a return.
 */
HASH(unhandled, u64, struct unhandled_exit);

struct handled_key {
	u64 thread;
	u64 code;
	u64 cpu; /* where the exit happened */
	u64 detail;
	u64 handler;
};

HASH(handled, struct handled_key, u64);

static __always_inline enum counted count_handled(u64 thread, struct unhandled_exit *e, u64 handler)
{
	struct handled_key key = {
	    .thread = thread,
	    .code = e->code,
	    .cpu = e->cpu,
	    .detail = e->detail,
	    .handler = handler,
	};
	u64 one = 1, *n = map_lookup(MAP(handled), &key);
	enum counted counted;

	if (n) {
		(*n)++;
		return COUNTED;
	}
	if (add_to_share(thread >> 32, SHARED_HANDLED, MAP(handled), NUMBER(KSTATS_HANDLED_SIZE),
			 &key, &one))
		return ADDED;
	/* Without its handler and detail, on the CPU where the thread is by now. */
	counted = count_by_thread(thread, key.code);
	if (counted)
		return counted;
	count_on_cpu(key.code);
	return COUNTED;
}

/*
 * Count the last exit of a thread, and keep a new one open. Return NOT_COUNTED if there is no room
 * for it: then it is counted without its handler.
 */
static __always_inline enum counted await_handler(u64 thread, enum verdict decoded, u64 code,
						  enum verdict found, u64 detail)
{
	struct unhandled_exit next = {.code = code, .cpu = this_cpu()}, *e;
	enum counted counted = COUNTED;

	next.detail = found == NO_DETAIL ? WITHOUT_DETAIL : detail;
	if (KSTATS_PENDING_DETAILS && found == DETAIL_PENDING)
		await_detail(thread, code);
	e = map_lookup(MAP(unhandled), &thread);
	if (e)
		counted = count_handled(thread, e, HANDLED_BY_KERNEL);
	if (decoded != DECODED)
		map_delete(MAP(unhandled), &thread);
	else if (e)
		*e = next;
	else if (map_update(MAP(unhandled), &thread, &next, 0))
		return NOT_COUNTED;
	return counted;
}

/* A detail that the kernel reports after the exit. */
static __always_inline void set_open_detail(u64 thread, u64 detail)
{
	struct unhandled_exit *e = map_lookup(MAP(unhandled), &thread);

	if (e)
		e->detail = detail;
}

/* kvm_userspace_exit(reason, errno) */
PROGRAM(on_return, struct raw_args *ctx)
{
	u64 thread = this_thread(), handler;
	u32 reason = ctx->arg[0], failed = -(u32)ctx->arg[1];
	struct unhandled_exit *e;

	if (!is_wanted(thread))
		return SEEN;
	e = map_lookup(MAP(unhandled), &thread);
	if (!e)
		return SEEN;
	handler = HANDLER(HANDLED_BY_VMM, reason);
	if (failed && reason != KVM_EXIT_MEMORY_FAULT)
		handler = HANDLER(FAILED, failed);
	if (count_handled(thread, e, handler) == ADDED)
		report_first_exit(thread);
	map_delete(MAP(unhandled), &thread);
	return SEEN;
}
