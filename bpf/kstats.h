/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Declarations that the files of a program share. kstats concatenates the header of a loader
 * (prebuilt.h or bcc.h), this file, the architecture's files, generated functions and the files of
 * the chosen measurements, and compiles the result. Each function that one file defines and another
 * calls is declared here, so the order of the other files does not matter.
 *
 * A program defines KSTATS_<MEASUREMENT> for each measurement that it contains. The others are 0,
 * and the compiler drops what `if` guards with them.
 *
 * Numbers that only the running host knows, such as the offsets of struct members, reach the
 * program through NUMBER(), AT() and FIELD() only. Each makes one instruction that
 * contains the number as it is, so that the loader can put it into a prebuilt object
 * (kstats/loader/patch.py).
 */

#ifndef KSTATS_LATENCY
#define KSTATS_LATENCY 0
#endif
#ifndef KSTATS_DETAILS
#define KSTATS_DETAILS 0
#endif
#ifndef KSTATS_PENDING_DETAILS
#define KSTATS_PENDING_DETAILS 0
#endif
#ifndef KSTATS_HANDLERS
#define KSTATS_HANDLERS 0
#endif
#ifndef KSTATS_LATENCY_BY_CPU
#define KSTATS_LATENCY_BY_CPU 0
#endif
#ifndef KSTATS_SLOW_EXITS
#define KSTATS_SLOW_EXITS 0
#endif
#ifndef KSTATS_VCPU_TIME
#define KSTATS_VCPU_TIME 0
#endif

/* Such an `if` may guard a call of a function that is not in the program. */
#pragma clang diagnostic ignored "-Wundefined-internal"

/* A classic tracepoint's program must return 1: 0 would hide the event from perf. */
#define SEEN 1

/* Keep the common path straight: the compiler moves the rare branch out of the way. */
#define RARELY(condition) __builtin_expect(!!(condition), 0)

/* An empty barrier. It keeps the compiler from merging code before it with code after it. */
#define BARRIER() asm volatile("" ::: "memory")

/* A number of the running host: see above. */
#define NUMBER(n)                                                                                  \
	({                                                                                         \
		u64 number_;                                                                       \
		asm("%0 = %1" : "=r"(number_) : "i"(n));                                           \
		number_;                                                                           \
	})

/* The address `base + offset`. */
#define AT(base, offset)                                                                           \
	({                                                                                         \
		void *at_ = (void *)(base);                                                        \
		asm("%0 += %1" : "+r"(at_) : "i"(offset));                                         \
		at_;                                                                               \
	})

/* A word of the context: of the classic tracepoint's record, or an argument. */
#define FIELD(type, offset)                                                                        \
	({                                                                                         \
		u64 field_;                                                                        \
		asm("%0 = *(" #type " *)(%1 + %2)" : "=r"(field_) : "r"(ctx), "i"(offset));        \
		(type) field_;                                                                     \
	})

/* Helpers by their numbers in include/uapi/linux/bpf.h. They return 64 bits. A map is MAP(name). */
static u64 (*clock_ns)(void) = (void *)5;
static u64 (*this_cpu)(void) = (void *)8;
static u64 (*this_thread)(void) = (void *)14; /* pid_tgid */
static u64 (*this_task)(void) = (void *)35;
static void *(*map_lookup)(void *map, const void *key) = (void *)1;
static long (*map_update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*map_delete)(void *map, const void *key) = (void *)3;
static long (*this_name)(void *to, u32 size) = (void *)16;
static long (*read_kernel)(void *to, u32 size, const void *from) = (void *)113;
static long (*read_kernel_text)(void *to, u32 size, const void *from) = (void *)115;
static long (*ring_output)(void *map, void *record, u64 size, u64 flags) = (void *)130;
static void *(*ring_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*ring_submit)(void *record, u64 flags) = (void *)132;

/* Return the only value of an array. */
static __always_inline void *only_value(void *map)
{
	u32 zero = 0;

	return map_lookup(map, &zero);
}

#define NO_EXIST 1 /* BPF_NOEXIST: do not replace what another CPU has just added */

/* Return the value of a key in a hash, which is added if it is missing; NULL if it is full. */
static __always_inline void *find_or_add(void *map, const void *key, const void *initial)
{
	void *value = map_lookup(map, key);

	if (value)
		return value;
	map_update(map, key, initial, NO_EXIST);
	return map_lookup(map, key);
}

/* A code: the kernel's number in the low 32 bits, a qualifier in the high 32 bits. */
#define QUALIFIED(qualifier, number) ((u64)(qualifier) << 32 | (u32)(number))

/*
 * READ(p, address): read sizeof(*p) bytes, at most 16, of kernel memory, and make p point to
 * them. On entry, p points to a buffer. Returns 0, or -errno with the buffer zeroed.
 *
 * With KSTATS_CAST nothing is copied: p becomes a pointer into kernel memory, and *p is a load,
 * which costs a tenth of the helper call and reads 0 where nothing is mapped. bpf_rdonly_cast()
 * turns any number into a pointer to a kernel struct, here one of two 64-bit words. Only the
 * running kernel knows the number of the function: we call a helper with the number KSTATS_CAST,
 * and the loader turns that into a call of the function (kstats/loader/kfunc.py).
 */
#ifdef KSTATS_CAST
static void *(*two_words)(const void *address, u32 type) = (void *)KSTATS_CAST;
#define READ(p, address) ((p) = two_words(address, KSTATS_TWO_WORDS), 0)
#else
#define READ(p, address) read_kernel(p, sizeof(*(p)), address)
#endif

/* The context of a raw tracepoint program: the arguments of the tracepoint. */
struct raw_args {
	u64 arg[12];
};

/* What an architecture's functions return. */
enum verdict {
	DECODED = 0,
	UNSUPPORTED_ISA, /* the exit belongs to an ISA that this program does not decode */
	UNREADABLE,      /* the kernel memory could not be read */
	NO_DETAIL,       /* exits with this code carry no detail of the kind */
	DETAIL_PENDING,  /* the kernel reports the detail later, see report_detail() */
};

/* The architecture's file: store the code of the exit that fired kvm_exit. */
static __always_inline enum verdict exit_code(void *ctx, u64 *code);

/* The architecture's detail file: store the detail of an exit. */
static __always_inline enum verdict exit_detail(void *ctx, u64 code, u64 *detail);

/* Generated: the slot of a code in struct percpu_counts, KSTATS_SLOTS if it has none. */
static __always_inline u64 slot_of(u64 code);

/* Generated: whether the user selected this thread. A thread is the kernel's pid_tgid. */
static __always_inline bool is_wanted(u64 thread);

/* counts.c */
static __always_inline void count_entry(void);
static __always_inline void count_on_cpu(u64 code);
static __always_inline void count_undecoded(enum verdict verdict);

/* What counting does to the tables. */
enum counted {
	NOT_COUNTED = 0, /* they are full */
	COUNTED,
	ADDED, /* the same, in a new counter */
};

/* exits_thread.c */
static __always_inline enum counted count_by_thread(u64 thread, u64 code);

/* shares.c: hashes of which each process has a share. kstats/collector/shares.py has the names. */
enum shared_hash {
	SHARED_DETAILS,
	SHARED_THREADS,
	SHARED_LATENCIES,
	SHARED_SLOW_EXITS, /* a ring buffer */
	SHARED_HANDLED,
	SHARED_HASHES
};

static __always_inline bool add_to_share(u64 process, enum shared_hash hash, void *map, u64 size,
					 const void *key, const void *value);

/* first_exits.c: call it when a counter of the current thread is added. */
static __always_inline void report_first_exit(u64 thread);

/* detail.c */
static __always_inline enum verdict find_detail(void *ctx, u64 thread, u64 code, u64 *detail);
static __always_inline enum counted count_detail(enum verdict found, u64 thread, u64 code,
						 u64 detail);
static __always_inline enum counted keep_detail(u64 thread, u64 code, u64 cpu, u64 detail);

/* pending_details.c */
static __always_inline bool await_detail(u64 thread, u64 code);
static __always_inline void settle_last_exit(u64 thread);
static __always_inline void report_detail(u32 code, u64 detail);

/* handlers.c */
static __always_inline enum counted await_handler(u64 thread, enum verdict decoded, u64 code,
						  enum verdict found, u64 detail);
static __always_inline void set_open_detail(u64 thread, u64 detail);

/* latency.c */
static __always_inline void begin_latency(u64 thread, u64 code, u64 detail);
static __always_inline void set_latency_detail(u64 thread, u64 detail);
static __always_inline void skip_latency(u64 thread);
static __always_inline void end_latency(u64 thread);

/* slow_exits.c */
static __always_inline bool is_slow(u64 ns);
static __always_inline void report_slow_exit(u64 thread, u64 code, u32 cpu, u64 ended, u64 ns);

/* vcpu_time.c */
static __always_inline void leave_guest(u64 thread, u64 code);
static __always_inline void enter_guest(u64 thread);

/* tracepoints.c */
static __always_inline void count_event(u32 number);

/*
 * A detail: how the guest accessed, the size of the access in bytes (0: unknown), and the number
 * of what it accessed. kstats/arch/details.py takes it apart.
 */
#define ACCESS_NONE 0
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_FETCH 3

#define DETAIL(access, size, number)                                                               \
	((u64)(access) << 62 | ((u64)(size)&0x3f) << 56 | ((u64)(number) & ((1ULL << 56) - 1)))
#define DETAIL_UNKNOWN (~0ULL)

/* The detail of an access to an address, or to its page if pages are counted. */
#ifdef KSTATS_DETAIL_PAGES
#define DETAIL_AT(access, size, address) DETAIL(access, 0, (address) & ~0xfffULL)
#else
#define DETAIL_AT(access, size, address) DETAIL(access, size, address)
#endif
