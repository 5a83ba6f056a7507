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
#define CGROUP_PARTS 4
#define CGROUP_PART_SIZE 128

struct first_exit {
	u64 thread;
	u64 started; /* the process, in nanoseconds after boot; 0: unknown */
	u32 vcpu;    /* KVM's number, or NO_VCPU */
	u32 cgroup;  /* a key of cgroup_paths; 0: unknown */
	char name[NAME_SIZE];
	char process[NAME_SIZE]; /* the name of the process's first thread; empty: unknown */
};

RING_BUFFER(first_exits);

/* The threads that were reported. The reader deletes those that have ended. */
HASH(reported_threads, u64, u64);

/*
 * The end of the path of a cgroup, the last part first. Managers of VMs put names and numbers
 * there, at most four parts before the end: /machine.slice/machine-….scope/libvirt/emulator.
 */
struct cgroup_path {
	char parts[CGROUP_PARTS * CGROUP_PART_SIZE];
};

/* By the inode of the cgroup's directory. The least recently used ones are replaced. */
LRU_HASH(cgroup_paths, u32, struct cgroup_path);

/* Where a path is put together: it is too large for the stack. */
PERCPU_ARRAY(cgroup_scratch, struct cgroup_path);

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

/*
 * Store the path of a thread's cgroup in the hierarchy of version 2; return its key, or 0.
 *
 * After a read that fails, the pointer is NULL and the name is empty.
 */
static __always_inline u32 keep_cgroup(void *task)
{
	struct cgroup_path *path;
	void *name = NULL;
	void *at = NULL;
	u32 inode = 0; /* the low half of the directory's ID */

	if (!NUMBER(NOTE_CGROUPS_OFFSET) || !NUMBER(NOTE_CGROUP_OFFSET) ||
	    !NUMBER(NOTE_DIRECTORY_OFFSET) || !NUMBER(NOTE_DIRECTORY_ID_OFFSET) ||
	    !NUMBER(NOTE_DIRECTORY_NAME_OFFSET) || !NUMBER(NOTE_DIRECTORY_PARENT_OFFSET))
		return 0;
	read_kernel(&at, sizeof(at), AT(task, NOTE_CGROUPS_OFFSET));
	read_kernel(&at, sizeof(at), AT(at, NOTE_CGROUP_OFFSET));
	read_kernel(&at, sizeof(at), AT(at, NOTE_DIRECTORY_OFFSET));
	read_kernel(&inode, sizeof(inode), AT(at, NOTE_DIRECTORY_ID_OFFSET));
	if (!inode || map_lookup(MAP(cgroup_paths), &inode))
		return inode;
	path = only_value(MAP(cgroup_scratch));
	if (!path)
		return 0;
#pragma unroll
	for (int i = 0; i < CGROUP_PARTS; i++) {
		read_kernel(&name, sizeof(name), AT(at, NOTE_DIRECTORY_NAME_OFFSET));
		read_kernel_text(path->parts + i * CGROUP_PART_SIZE, CGROUP_PART_SIZE, name);
		read_kernel(&at, sizeof(at), AT(at, NOTE_DIRECTORY_PARENT_OFFSET));
	}
	map_update(MAP(cgroup_paths), &inode, path, 0);
	return inode;
}

/* Store when the process started, its name and its cgroup: those of its first thread. */
static __always_inline void describe_process(struct first_exit *e)
{
	void *leader = NULL;

	e->started = 0;
	e->cgroup = 0;
	e->process[0] = 0;
	if (!NUMBER(NOTE_LEADER_OFFSET))
		return;
	read_kernel(&leader, sizeof(leader), AT(this_task(), NOTE_LEADER_OFFSET));
	if (NUMBER(NOTE_STARTED_OFFSET))
		read_kernel(&e->started, sizeof(e->started), AT(leader, NOTE_STARTED_OFFSET));
	if (NUMBER(NOTE_NAME_OFFSET))
		read_kernel(e->process, NAME_SIZE, AT(leader, NOTE_NAME_OFFSET));
	e->cgroup = keep_cgroup(leader);
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
	this_name(e->name, NAME_SIZE);
	describe_process(e);
	ring_submit(e, 0);
}
