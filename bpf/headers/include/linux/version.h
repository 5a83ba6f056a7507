/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* bcc wants a version to compile; no program of ours depends on it. */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
