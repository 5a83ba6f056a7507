/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Where the time of vCPU threads goes. A thread is in one state at a time: GUEST from kvm_entry,
 * KERNEL from kvm_exit, VMM from kvm_userspace_exit. How long it was halted, kvm_vcpu_wakeup
 * reports afterwards. The scheduler's tracepoints add how long the thread waited for a CPU.
 *
 * The thread itself writes its record. While it does not run, the CPU that wakes it or that
 * switches to it writes, under the lock of a run queue: there is never more than one writer.
 */

enum { GUEST, KERNEL, VMM, HALTED, WAITING, ENDED, STATES = 8 /* a power of two */ };

#define UNKNOWN_STATE 255

struct vcpu_time {
	u64 changed;    /* equals `changing` when no change is in progress */
	u64 ns[STATES]; /* of completed states */
	u64 since;      /* begin of the current state; 0: before the first event */
	u64 waited;     /* for a CPU, since then */
	u64 ready;      /* runnable since; 0: not waiting for a CPU */
	u64 code;       /* of the exit that is handled in this state */
	u32 state;
	u32 asleep; /* not running, and not woken yet */
	u32 first;  /* the state before the first event */
	u32 padding;
	u64 changing; /* changes begun. A reader that sees another number in `changed` has read an
		       * incomplete change.
		       */
};

HASH(vcpu_times, u64, struct vcpu_time);

/* Events of threads that did not fit in the table. */
PERCPU_ARRAY(time_dropped, u64);

/* The barriers keep the compiler from moving writes of the record out of a change. */
static __always_inline void begin_change(struct vcpu_time *t)
{
	t->changing++;
	BARRIER();
}

static __always_inline void end_change(struct vcpu_time *t)
{
	BARRIER();
	t->changed = t->changing;
}

/*
 * Return the record of a thread, NULL if it is not selected or the table is full. A new thread was
 * in the state `first` until now.
 */
static __always_inline struct vcpu_time *find_record(u64 thread, u32 first)
{
	struct vcpu_time new = {.first = first, .state = first}, *t;
	u64 *dropped;

	t = map_lookup(MAP(vcpu_times), &thread);
	if (t || !is_wanted(thread))
		return t;
	if (first == UNKNOWN_STATE) {
		new.state = VMM;
		new.since = clock_ns();
	}
	t = find_or_add(MAP(vcpu_times), &thread, &new);
	if (!t) {
		dropped = only_value(MAP(time_dropped));
		if (dropped)
			(*dropped)++;
	}
	return t;
}

/* End the state of a thread. KVM reports that it was halted for `halted` ns of that state. */
static __always_inline void change_state(struct vcpu_time *t, u32 state, u64 code, u64 halted)
{
	u64 now = clock_ns();
	u64 own = now - t->since - t->waited;

	/* KVM's figure includes the wait for a CPU after the wake-up. */
	halted = halted > t->waited ? halted - t->waited : 0;
	if (halted > own)
		halted = own;
	begin_change(t);
	t->ns[t->state & (STATES - 1)] += own - halted;
	t->ns[HALTED] += halted;
	t->ns[WAITING] += t->waited;
	t->waited = 0;
	t->since = now;
	t->state = state;
	t->code = code;
	end_change(t);
}

static __always_inline void leave_guest(u64 thread, u64 code)
{
	struct vcpu_time *t = find_record(thread, GUEST);

	if (t)
		change_state(t, KERNEL, code, 0);
}

static __always_inline void enter_guest(u64 thread)
{
	struct vcpu_time *t = find_record(thread, UNKNOWN_STATE);

	if (t)
		change_state(t, GUEST, 0, 0);
}

/* kvm_userspace_exit */
PROGRAM(leave_kernel, void *ctx)
{
	struct vcpu_time *t = find_record(this_thread(), KERNEL);

	if (t)
		change_state(t, VMM, 0, 0);
	return 0;
}

/* kvm_vcpu_wakeup(ns, waited, valid): the vCPU was halted, or polled, for so long. */
PROGRAM(wake_up, struct raw_args *ctx)
{
	struct vcpu_time *t = find_record(this_thread(), KERNEL);

	if (t)
		change_state(t, KERNEL, t->code, ctx->arg[0]);
	return 0;
}

/* Return the pid_tgid of a task that is not the current one. */
static __always_inline u64 thread_of(void *task)
{
	u32 tid = 0, tgid = 0;

	read_kernel(&tid, sizeof(tid), AT(task, TASK_PID_OFFSET));
	read_kernel(&tgid, sizeof(tgid), AT(task, TASK_TGID_OFFSET));
	return (u64)tgid << 32 | tid;
}

static __always_inline void stop_running(u64 thread, void *task, bool preempted)
{
	struct vcpu_time *t = map_lookup(MAP(vcpu_times), &thread);
	u32 state = 0;

	if (!t)
		return;
	read_kernel(&state, sizeof(state), AT(task, TASK_STATE_OFFSET));
	begin_change(t);
	if (preempted || !state) /* TASK_RUNNING */
		t->ready = clock_ns();
	else
		t->asleep = 1;
	end_change(t);
}

static __always_inline void start_running(u64 thread)
{
	struct vcpu_time *t = map_lookup(MAP(vcpu_times), &thread);

	if (!t)
		return;
	begin_change(t);
	if (t->ready)
		t->waited += clock_ns() - t->ready;
	t->ready = 0;
	t->asleep = 0;
	end_change(t);
}

/* sched_switch(preempt, prev, next, …): the current thread is still prev. */
PROGRAM(switch_threads, struct raw_args *ctx)
{
	u64 thread = this_thread();

	if (thread)
		stop_running(thread, (void *)ctx->arg[1], ctx->arg[0] & 1);
	thread = thread_of((void *)ctx->arg[2]);
	if (thread)
		start_running(thread);
	return 0;
}

/* sched_wakeup(task). The wake-up of a task that still runs has no effect. */
PROGRAM(make_ready, struct raw_args *ctx)
{
	u64 thread = thread_of((void *)ctx->arg[0]);
	struct vcpu_time *t = map_lookup(MAP(vcpu_times), &thread);

	if (!t || !t->asleep)
		return 0;
	begin_change(t);
	t->asleep = 0;
	t->ready = clock_ns();
	end_change(t);
	return 0;
}

/* sched_process_exit: mark the record. The reader deletes it. */
PROGRAM(end_thread_time, void *ctx)
{
	u64 thread = this_thread();
	struct vcpu_time *t = map_lookup(MAP(vcpu_times), &thread);

	if (t)
		change_state(t, ENDED, 0, 0);
	return 0;
}
