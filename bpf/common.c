/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every program shares. kstats puts the files of one program one behind the other and
 * compiles the whole: this file, the architecture's (x64.c, arm64.c, or a backend's own), a
 * generated slot_of(), then the layout (percpu.c).
 *
 * An architecture's file gives
 *
 *	static __always_inline int exit_code(void *ctx, u64 *code)
 *
 * which stores the code of the exit that the kvm_exit tracepoint in ctx tells of, and returns
 * 0, FOREIGN when the exit belongs to an ISA that this program does not decode, or UNREADABLE
 * when the kernel did not let it be read. The low 32 bits of a code are the kernel's number, the
 * high 32 bits a qualifier.
 */

#define FOREIGN (-1)
#define UNREADABLE (-2)

/* A classic tracepoint's program must return 1: with 0 it hides the event from perf. */
#define SEEN 1

/* Puts what is common on the straight way through the program. */
#define RARELY(condition) __builtin_expect(!!(condition), 0)

#define QUALIFIED(qualifier, number) ((u64)(qualifier) << 32 | (u32)(number))

/*
 * READ(p, address): afterwards *p is what the kernel has at the address, at most 16 bytes. What
 * p points to before is room for a copy. Gives 0, or what kept it from being read; all reads 0
 * then.
 *
 * With KSTATS_CAST nothing is copied: p points to the kernel's memory, and *p is a load, a tenth
 * as dear as the helper's call, which reads 0 where there is no memory. bpf_rdonly_cast() makes
 * a number a pointer to a struct of two words; as bcc cannot compile a call of a function of the
 * kernel's, the loading child puts it where the helper numbered KSTATS_CAST is called.
 */
#ifdef KSTATS_CAST
static void *(*two_words)(const void *address, u32 type) = (void *)KSTATS_CAST;
#define READ(p, address) ((p) = two_words(address, KSTATS_TWO_WORDS), 0)
#else
static long (*read_kernel)(void *to, u32 size,
			   const void *from) = (void *)BPF_FUNC_probe_read_kernel;
#define READ(p, address) read_kernel(p, sizeof(*(p)), address)
#endif

/* What a raw tracepoint program is given: the tracepoint's own arguments. */
struct raw_args {
	u64 arg[12];
};

/*
 * What more an exit tells (see detail.c): how the guest accessed, the bytes of it if they are
 * told, and the number of what it accessed.
 */
#define ACCESS_NONE 0
#define ACCESS_READ 1
#define ACCESS_WRITE 2
#define ACCESS_FETCH 3

#define DETAIL(access, size, number)                                                               \
	((u64)(access) << 62 | ((u64)(size)&0x3f) << 56 | ((u64)(number) & ((1ULL << 56) - 1)))
#define DETAIL_UNTOLD (~0ULL)

/* Of an address, or of its page where pages are asked for. */
#ifdef KSTATS_DETAIL_PAGES
#define DETAIL_AT(access, size, address) DETAIL(access, 0, (address) & ~0xfffULL)
#else
#define DETAIL_AT(access, size, address) DETAIL(access, size, address)
#endif

#define NO_DETAIL (-3)
#define DETAIL_LATER (-4)
