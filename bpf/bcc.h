/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The header of programs that bcc compiles on the host. bcc creates most maps. The loader defines
 * KSTATS_ENTRIES_<map>, and a number KSTATS_FD_<map>, which it replaces with the descriptor in the
 * compiled program (kstats/loader/map_fd.py): bcc's own methods of maps cannot be used in macros.
 */

#define HASH(name, key, value) BPF_HASH(name, key, value, KSTATS_ENTRIES_##name)
#define LRU_HASH(name, key, value) BPF_TABLE("lru_hash", key, value, name, KSTATS_ENTRIES_##name)
/* The loader creates these: bcc would compile a variable as large as the value. */
#define ARRAY(name, value) struct name##_array
#define PERCPU_ARRAY(name, value) BPF_PERCPU_ARRAY(name, value, 1)
#define RING_BUFFER(name) BPF_RINGBUF_OUTPUT(name, KSTATS_ENTRIES_##name)
#define PAGE_SIZE 1 /* BPF_RINGBUF_OUTPUT() counts pages, we count bytes */

/* BPF_PSEUDO_MAP_FD and BPF_PSEUDO_MAP_VALUE of include/uapi/linux/bpf.h. */
#define MAP(name) ((void *)bpf_pseudo_fd(1, KSTATS_FD_##name))
#define VALUE(name) ((void *)bpf_pseudo_fd(2, KSTATS_FD_##name))

/* The length of an array that the host determines. */
#define SIZE_AT_LOAD(n) (n)

#define PROGRAM(name, ...) int name(__VA_ARGS__)
