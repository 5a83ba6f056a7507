/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A guest that does nothing but exit, and how long each of its exits takes.
 *
 *	exits FILE COUNT		one vCPU; the kernel handles every exit
 *	exits FILE COUNT VCPUS TURN	vCPUs that share a CPU: every TURNth exit goes to the VMM,
 *					which hands the CPU on to the next of them
 *
 * appends the nanoseconds of an exit, entry included, to FILE. Where the clock counts executed
 * instructions, as in the emulated hosts of the benchmark, a nanosecond is an instruction.
 */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define MOST_VCPUS 16
#define WINDOW 4096 /* of each vCPU: its code */

extern const char guest[], guest_end[];

/* Global, though one file has all: by the GOT, which is how GCC finds them on arm64, the assembler
 * would take both for the beginning of their section. */
asm(".globl guest, guest_end");

#if defined(__x86_64__)

/* In real mode; %ebp exits to the kernel, then one to the VMM. */
asm(".pushsection .rodata\n"
    ".code16\n"
    "guest:\n"
    "	movl %ebp, %edi\n"
    "	testl %edi, %edi\n"
    "	jz 2f\n"
    "1:	xorl %eax, %eax\n"
    "	cpuid\n"
    "	decl %edi\n"
    "	jnz 1b\n"
    "2:	outb %al, $0x10\n"
    "	jmp guest\n"
    "guest_end:\n"
    ".code64\n"
    ".popsection\n");

#define EXIT_TO_VMM KVM_EXIT_IO

static void set_up(int vm, int vcpu, uint64_t window, uint64_t in_kernel)
{
	struct kvm_regs regs = {.rip = 0, .rbp = in_kernel, .rflags = 2};
	struct kvm_sregs sregs;

	(void)vm;
	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		err(1, "KVM_GET_SREGS");
	sregs.cs.base = window;
	sregs.cs.selector = window >> 4;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs))
		err(1, "setting a vCPU's registers");
}

#elif defined(__aarch64__)

/* x20 exits to the kernel, then one to the VMM: a store where there is no memory. */
asm(".pushsection .rodata\n"
    "guest:\n"
    "	mov x21, x20\n"
    "	cbz x21, 2f\n"
    "1:	mov w0, #0x84000000\n" /* PSCI_VERSION */
    "	hvc #0\n"
    "	subs x21, x21, #1\n"
    "	b.ne 1b\n"
    "2:	str w0, [x22]\n"
    "	b guest\n"
    "guest_end:\n"
    ".popsection\n");

#define EXIT_TO_VMM KVM_EXIT_MMIO
#define NO_MEMORY 0x10000000
#define CORE(n) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | (n)*2)
#define PC 32

static void set(int vcpu, uint64_t id, uint64_t value)
{
	struct kvm_one_reg reg = {.id = id, .addr = (uint64_t)&value};

	if (ioctl(vcpu, KVM_SET_ONE_REG, &reg))
		err(1, "KVM_SET_ONE_REG");
}

static void set_up(int vm, int vcpu, uint64_t window, uint64_t in_kernel)
{
	struct kvm_vcpu_init init;

	if (ioctl(vm, KVM_ARM_PREFERRED_TARGET, &init))
		err(1, "KVM_ARM_PREFERRED_TARGET");
	init.features[0] |= 1 << KVM_ARM_VCPU_PSCI_0_2;
	if (ioctl(vcpu, KVM_ARM_VCPU_INIT, &init))
		err(1, "KVM_ARM_VCPU_INIT");
	set(vcpu, CORE(20), in_kernel);
	set(vcpu, CORE(22), NO_MEMORY);
	set(vcpu, CORE(PC), window);
}

#else
#error "no guest for this architecture"
#endif

struct vcpu {
	pthread_t thread;
	int fd;
	struct kvm_run *run;
	struct timespec begun, ended;
};

static struct vcpu vcpus[MOST_VCPUS];
static long turns;
static int shared;
static pthread_barrier_t together;

static void one_turn(struct vcpu *v)
{
	if (ioctl(v->fd, KVM_RUN, 0))
		err(1, "KVM_RUN");
	if (v->run->exit_reason != EXIT_TO_VMM)
		errx(1, "the guest stopped: exit %u", v->run->exit_reason);
}

static void *work(void *vcpu)
{
	struct vcpu *v = vcpu;
	long i;

	one_turn(v); /* the first one maps the guest's memory */
	pthread_barrier_wait(&together);
	clock_gettime(CLOCK_MONOTONIC, &v->begun);
	for (i = 0; i < turns; i++) {
		one_turn(v);
		if (shared)
			sched_yield();
	}
	clock_gettime(CLOCK_MONOTONIC, &v->ended);
	return NULL;
}

static void make(int system, int vm, char *memory, int i, uint64_t in_kernel)
{
	struct vcpu *v = &vcpus[i];

	memcpy(memory + i * WINDOW, guest, guest_end - guest);
	v->fd = ioctl(vm, KVM_CREATE_VCPU, i);
	if (v->fd < 0)
		err(1, "KVM_CREATE_VCPU");
	v->run = mmap(NULL, ioctl(system, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		      MAP_SHARED, v->fd, 0);
	if (v->run == MAP_FAILED)
		err(1, "mmap of a vCPU");
	set_up(vm, v->fd, i * WINDOW, in_kernel);
}

static void make_all(int n, uint64_t in_kernel)
{
	char *memory = mmap(NULL, MOST_VCPUS * WINDOW, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = {
	    .memory_size = MOST_VCPUS * WINDOW,
	    .userspace_addr = (uint64_t)memory,
	};
	int system = open("/dev/kvm", O_RDWR), vm, i;

	if (system < 0)
		err(1, "/dev/kvm");
	vm = ioctl(system, KVM_CREATE_VM, 0);
	if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "making a VM");
	for (i = 0; i < n; i++)
		make(system, vm, memory, i, in_kernel);
}

/* In turn: a thread of this policy that yields lets every other one go first. */
static void run_all(int n)
{
	struct sched_param first = {.sched_priority = 1};
	pthread_attr_t attr;
	int i, error;

	pthread_barrier_init(&together, NULL, n);
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, shared ? SCHED_FIFO : SCHED_OTHER);
	if (shared)
		pthread_attr_setschedparam(&attr, &first);
	for (i = 0; i < n; i++) {
		error = pthread_create(&vcpus[i].thread, &attr, work, &vcpus[i]);
		if (error)
			errx(1, "pthread_create: %s", strerror(error));
	}
	for (i = 0; i < n; i++)
		pthread_join(vcpus[i].thread, NULL);
}

static int64_t nanoseconds(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

static int64_t elapsed(int n)
{
	int64_t begun = INT64_MAX, ended = 0;
	int i;

	for (i = 0; i < n; i++) {
		if (nanoseconds(&vcpus[i].begun) < begun)
			begun = nanoseconds(&vcpus[i].begun);
		if (nanoseconds(&vcpus[i].ended) > ended)
			ended = nanoseconds(&vcpus[i].ended);
	}
	return ended - begun;
}

int main(int argc, char **argv)
{
	int n = argc > 3 ? atoi(argv[3]) : 1;
	long count, turn;
	FILE *file;

	if (argc != 3 && argc != 5)
		errx(2, "usage: exits FILE COUNT [VCPUS TURN]");
	shared = argc == 5;
	count = atol(argv[2]);
	turn = shared ? atol(argv[4]) : count;
	if (n < 1 || n > MOST_VCPUS || turn < 1 || count < n * turn)
		errx(2, "1 to %d vCPUs, and a turn for each of them", MOST_VCPUS);
	turns = count / n / turn;
	make_all(n, turn - 1);
	run_all(n);
	file = fopen(argv[1], "a");
	if (!file)
		err(1, "%s", argv[1]);
	fprintf(file, "%.3f\n", (double)elapsed(n) / (turns * turn * n));
	return fclose(file) ? 1 : 0;
}
