/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Who a thread is, reported with its first exit. The record wakes the reader at once, which looks
 * the thread up in /proc: VMs may end before the next report. What the record contains is all that
 * is known of a VM that has ended even before that.
 *
 * A first exit is found where a counter is added, so that the other exits do not cost anything.
 */

#define NAME_SIZE 16 /* TASK_COMM_LEN */
#define NO_VCPU (~0u)

struct first_exit {
	u64 thread;
	u64 started; /* the process, in nanoseconds after boot; 0: unknown */
	u32 vcpu;    /* KVM's number, or NO_VCPU */
	u32 padding;
	char name[NAME_SIZE];
	char process[NAME_SIZE]; /* the name of the process's first thread; empty: unknown */
};

RING_BUFFER(first_exits);

/* The threads that were reported. The reader deletes those that have ended. */
HASH(reported_threads, u64, u64);

/* First exits that were not reported because a map was full. */
PERCPU_ARRAY(first_exits_dropped, u64);

/*
 * The vCPU that the current thread runs. The scheduler notifies KVM when it switches such a thread:
 * the thread's only preempt notifier is a member of struct kvm_vcpu.
 */
static __always_inline u32 running_vcpu_number(void)
{
	void *notifier = NULL;
	u32 number = NO_VCPU;

	if (!NUMBER(NOTE_VCPU_ID_OFFSET) || !NUMBER(NOTE_NOTIFIERS_OFFSET) ||
	    !NUMBER(NOTE_NOTIFIER_OFFSET))
		return NO_VCPU;
	read_kernel(&notifier, sizeof(notifier), AT(this_task(), NOTE_NOTIFIERS_OFFSET));
	if (!notifier)
		return NO_VCPU;
	notifier -= NUMBER(NOTE_NOTIFIER_OFFSET);
	if (read_kernel(&number, sizeof(number), AT(notifier, NOTE_VCPU_ID_OFFSET)))
		return NO_VCPU;
	return number;
}

/* Store when the process started and its name: those of its first thread. */
static __always_inline void describe_process(struct first_exit *e)
{
	void *leader = NULL;

	e->started = 0;
	e->process[0] = 0;
	if (!NUMBER(NOTE_LEADER_OFFSET))
		return;
	read_kernel(&leader, sizeof(leader), AT(this_task(), NOTE_LEADER_OFFSET));
	if (NUMBER(NOTE_STARTED_OFFSET))
		read_kernel(&e->started, sizeof(e->started), AT(leader, NOTE_STARTED_OFFSET));
	if (NUMBER(NOTE_NAME_OFFSET))
		read_kernel(e->process, NAME_SIZE, AT(leader, NOTE_NAME_OFFSET));
}

static __always_inline void drop_first_exit(void)
{
	u64 *n = only_value(MAP(first_exits_dropped));

	if (n)
		(*n)++;
}

static __always_inline void report_first_exit(u64 thread)
{
	struct first_exit *e;
	u64 yes = 1;

	if (map_lookup(MAP(reported_threads), &thread))
		return;
	if (map_update(MAP(reported_threads), &thread, &yes, NO_EXIST)) {
		drop_first_exit();
		return;
	}
	e = ring_reserve(MAP(first_exits), sizeof(*e), 0);
	if (!e) {
		/* The next counter that is added tries again. */
		map_delete(MAP(reported_threads), &thread);
		drop_first_exit();
		return;
	}
	e->thread = thread;
	e->vcpu = running_vcpu_number();
	e->padding = 0;
	this_name(e->name, NAME_SIZE);
	describe_process(e);
	ring_submit(e, 0);
}
