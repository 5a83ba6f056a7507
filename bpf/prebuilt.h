/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The header of programs that are compiled when kstats is built: what bcc would define, and maps
 * as libbpf reads them from the object's BTF. It includes nothing, so that only clang is needed.
 *
 * An object contains placeholders for the numbers of the host. The loader (kstats/loader/patch.py)
 * replaces them, sets the sizes of maps, turns VALUE() into the address of the value, and fills in
 * the threads of is_wanted().
 */

typedef unsigned int u32;
typedef unsigned long long u64;
typedef _Bool bool;

#define true 1
#define false 0
#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))

/* enum bpf_map_type; libbpf reads numbers from the lengths of arrays. */
#define MAP_TYPE(number) int(*type)[number]
#define IS_MAP __attribute__((section(".maps"), used))
#define HASH(name, key_type, value_type)                                                           \
	struct {                                                                                   \
		MAP_TYPE(1);                                                                       \
		int (*max_entries)[1];                                                             \
		key_type *key;                                                                     \
		value_type *value;                                                                 \
	} name IS_MAP
#define LRU_HASH(name, key_type, value_type)                                                       \
	struct {                                                                                   \
		MAP_TYPE(9);                                                                       \
		int (*max_entries)[1];                                                             \
		key_type *key;                                                                     \
		value_type *value;                                                                 \
	} name IS_MAP
#define ARRAY(name, value_type)                                                                    \
	struct {                                                                                   \
		MAP_TYPE(2);                                                                       \
		int (*max_entries)[1];                                                             \
		u32 *key;                                                                          \
		value_type *value;                                                                 \
	} name IS_MAP
#define PERCPU_ARRAY(name, value_type)                                                             \
	struct {                                                                                   \
		MAP_TYPE(6);                                                                       \
		int (*max_entries)[1];                                                             \
		u32 *key;                                                                          \
		value_type *value;                                                                 \
	} name IS_MAP
#define RING_BUFFER(name)                                                                          \
	struct {                                                                                   \
		MAP_TYPE(27);                                                                      \
		int (*max_entries)[1];                                                             \
	} name IS_MAP

#define MAP(name) ((void *)&name)
#define VALUE(name) ((void *)&name)

/* The length of an array that the host determines: what is compiled does not depend on it. */
#define SIZE_AT_LOAD(n) 1

/* The loader handles the sections "kstats/…" itself. */
#define PROGRAM(name, ...)                                                                         \
	int name(__VA_ARGS__);                                                                     \
	__attribute__((section("kstats/" #name), used)) int name(__VA_ARGS__)

char LICENSE[] __attribute__((section("license"), used)) = "GPL";

/*
 * Whether the user selected this thread, by process and by thread ID: two lists of at most
 * KSTATS_LISTED numbers. The loader replaces what it does not need with jumps to the next
 * instruction, which the verifier removes.
 */
static __always_inline bool is_wanted(u64 thread)
{
	asm goto("r0 = %0\n\t"
		 "r0 >>= 32\n\t"
		 ".rept %c3 - 1\n\t"
		 "if r0 == %c1 goto 1f\n\t"
		 ".endr\n\t"
		 "if r0 != %c1 goto %l[no]\n"
		 "1:\n\t"
		 "r0 = %0\n\t"
		 "r0 <<= 32\n\t"
		 "r0 >>= 32\n\t"
		 ".rept %c3 - 1\n\t"
		 "if r0 == %c2 goto 2f\n\t"
		 ".endr\n\t"
		 "if r0 != %c2 goto %l[no]\n"
		 "2:"
		 :
		 : "r"(thread), "i"(KSTATS_PIDS), "i"(KSTATS_TIDS), "i"(KSTATS_LISTED)
		 : "r0"
		 : no);
	return true;
no:
	return false;
}
