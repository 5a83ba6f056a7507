/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* The types that the headers of bcc and kstats use; they replace the kernel's headers. */
#ifndef KSTATS_LINUX_TYPES_H
#define KSTATS_LINUX_TYPES_H

typedef unsigned char u8, __u8, uint8_t;
typedef unsigned short u16, __u16, __be16, __le16, __sum16, uint16_t;
typedef unsigned int u32, __u32, __be32, __wsum, uint32_t;
typedef unsigned long long u64, __u64, __be64, uint64_t;
typedef signed char s8, __s8;
typedef short s16, __s16;
typedef int s32, __s32, pid_t;
typedef long long s64, __s64;
typedef unsigned long size_t, uintptr_t;
typedef _Bool bool;

#define __aligned_u64 __u64 __attribute__((aligned(8)))
#define __always_inline inline __attribute__((always_inline))
#define true 1
#define false 0
#define NULL ((void *)0)

/* Only the name is used, in prototypes of bcc's helpers. */
struct pt_regs {
	long regs[40];
};

#endif
