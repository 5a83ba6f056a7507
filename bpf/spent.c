/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Where the time of the threads that run vCPUs goes. Each is in one state at a time, which
 * tracepoints of KVM tell: kvm_entry GUEST, kvm_exit KERNEL, kvm_userspace_exit VMM. How long it
 * was halted, KVM says when it wakes up. On top of that, the scheduler tells since when a thread
 * is ready to run and does not.
 *
 * A thread's record is written by the thread itself, and while it does not run by whoever wakes
 * it or makes room for it, under the lock of a run queue: never by two at once.
 */

enum { GUEST, KERNEL, VMM, HALTED, WAITING, GONE, STATES = 8 /* a power of two */ };

#define UNKNOWN_STATE 255

struct spent {
	u64 changed; /* what `changing` was when the last change was complete */
	u64 ns[STATES];
	u64 since;  /* when this state began; 0: before anybody looked */
	u64 waited; /* of the time since then */
	u64 ready;  /* since when it waits for a CPU; 0: it does not */
	u64 code;   /* of the exit that is handled in this state */
	u32 state;
	u32 asleep; /* it does not run, and nobody has woken it yet */
	u32 first;  /* the state before the first event that was seen */
	u32 padding;
	u64 changing; /* how many changes were begun: a reader that finds another number in
		       * `changed` has seen half of one
		       */
};

BPF_HASH(spents, u64, struct spent, KSTATS_SPENTS);

/* Threads that found no room. */
BPF_PERCPU_ARRAY(unseen, u64, 1);

#define ORDERED() asm volatile("" ::: "memory")

static __always_inline void begin_change(struct spent *s)
{
	s->changing++;
	ORDERED();
}

static __always_inline void end_change(struct spent *s)
{
	ORDERED();
	s->changed = s->changing;
}

/* The record of a thread; a new one was in the state `first` until now. */
static __always_inline struct spent *record_of(u64 thread, u32 first)
{
	struct spent new = {.first = first, .state = first}, *s = spents.lookup(&thread);
	int zero = 0;
	u64 *n;

	if (s || !is_wanted(thread))
		return s;
	if (first == UNKNOWN_STATE) {
		new.state = VMM;
		new.since = bpf_ktime_get_ns();
	}
	s = spents.lookup_or_try_init(&thread, &new);
	if (!s) {
		n = unseen.lookup(&zero);
		if (n)
			(*n)++;
	}
	return s;
}

/* Ends the state of a thread; of its time, KVM was halted for so long. */
static __always_inline void change(struct spent *s, u32 state, u64 code, u64 halted)
{
	u64 now = bpf_ktime_get_ns();
	u64 own = now - s->since - s->waited;

	halted = halted > s->waited ? halted - s->waited : 0;
	if (halted > own)
		halted = own;
	begin_change(s);
	s->ns[s->state & (STATES - 1)] += own - halted;
	s->ns[HALTED] += halted;
	s->ns[WAITING] += s->waited;
	s->waited = 0;
	s->since = now;
	s->state = state;
	s->code = code;
	end_change(s);
}

static __always_inline void leave_guest(u64 thread, u64 code)
{
	struct spent *s = record_of(thread, GUEST);

	if (s)
		change(s, KERNEL, code, 0);
}

static __always_inline void enter_guest(u64 thread)
{
	struct spent *s = record_of(thread, UNKNOWN_STATE);

	if (s)
		change(s, GUEST, 0, 0);
}

int leave_kernel(void *ctx)
{
	struct spent *s = record_of(bpf_get_current_pid_tgid(), KERNEL);

	if (s)
		change(s, VMM, 0, 0);
	return 0;
}

/* kvm_vcpu_wakeup(ns, waited, valid): how long it was halted, or polled instead. */
int wake_up(struct raw_args *ctx)
{
	struct spent *s = record_of(bpf_get_current_pid_tgid(), KERNEL);

	if (s)
		change(s, KERNEL, s->code, ctx->arg[0]);
	return 0;
}

static __always_inline u64 thread_of(void *task)
{
	u32 tid = 0, tgid = 0;

	bpf_probe_read_kernel(&tid, sizeof(tid), task + TASK_PID_OFFSET);
	bpf_probe_read_kernel(&tgid, sizeof(tgid), task + TASK_TGID_OFFSET);
	return (u64)tgid << 32 | tid;
}

static __always_inline void stop_running(u64 thread, void *task, bool preempted)
{
	struct spent *s = spents.lookup(&thread);
	u32 state = 0;

	if (!s)
		return;
	bpf_probe_read_kernel(&state, sizeof(state), task + TASK_STATE_OFFSET);
	begin_change(s);
	if (preempted || !state)
		s->ready = bpf_ktime_get_ns();
	else
		s->asleep = 1;
	end_change(s);
}

static __always_inline void start_running(u64 thread)
{
	struct spent *s = spents.lookup(&thread);

	if (!s)
		return;
	begin_change(s);
	if (s->ready)
		s->waited += bpf_ktime_get_ns() - s->ready;
	s->ready = 0;
	s->asleep = 0;
	end_change(s);
}

/* sched_switch(preempt, prev, next, …): the current thread is still prev. */
int switch_threads(struct raw_args *ctx)
{
	u64 thread = bpf_get_current_pid_tgid();

	if (thread)
		stop_running(thread, (void *)ctx->arg[1], ctx->arg[0] & 1);
	thread = thread_of((void *)ctx->arg[2]);
	if (thread)
		start_running(thread);
	return 0;
}

/* sched_wakeup(task): of a task that still runs it means nothing. */
int make_ready(struct raw_args *ctx)
{
	u64 thread = thread_of((void *)ctx->arg[0]);
	struct spent *s = spents.lookup(&thread);

	if (!s || !s->asleep)
		return 0;
	begin_change(s);
	s->asleep = 0;
	s->ready = bpf_ktime_get_ns();
	end_change(s);
	return 0;
}

static __always_inline void end_spending(u64 thread)
{
	struct spent *s = spents.lookup(&thread);

	if (s)
		change(s, GONE, 0, 0);
}
